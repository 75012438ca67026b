"""Making ``index.db`` and the text indexes anew, from what is left of the layout.

The data files are the record; the order of the events and their positions stand in
``by-stream.idx`` and in ``index.db``. Where one of these is whole, positions are kept: the store
is the same store. Where neither is, the events get positions anew, by time, and the store must get
another id, because a position means something only together with it.

Everything is made aside, and put in its place by ``put_in_place`` when it is durable, ``index.db``
last: one that was cut short is done again. Lines that are left out, because no index lists them,
are taken in afterwards (``takingin``). In bounded memory.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from gitstore.backends.disk.connections import transaction
from gitstore.backends.disk.files import DIRECTORY_MODE, sync_tree
from gitstore.backends.jsonl.comparing import Comparison, Offsets
from gitstore.backends.jsonl.entries import Entry, own_row_of
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.indexlines import index_lines
from gitstore.backends.jsonl.judging import Judge
from gitstore.backends.jsonl.layout import BY_STREAM, BY_TYPE, data_file, is_day
from gitstore.backends.jsonl.layout_order import OrderedLayout, Placed
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.looked import advance
from gitstore.backends.table.schema import INSERT, MARKS
from gitstore.backends.table.table import EventTable
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.findings import Progress, silent

INDEX = "index.db"
_BATCH = 2_000
_REPORT_EVERY = 10 * _BATCH
_FIRST_BYTES = 4 * 1024
_LISTED = re.compile(rb"(\d{1,18})\t[^\t]+\t([^\t]+)@(\d{1,19})\t([^\t]+)\t(\d{1,18})\n").fullmatch
_LONGEST_ENTRY = 8 * 1024

Create = Callable[[Path], EventTable]
"""Makes an empty ``index.db`` at a path."""


class NotWhole(StoreCorrupted):
    """An index that does not tell the position of each of its events."""


class Rebuilt(NamedTuple):
    """What was made: how many ``events`` are in it; ``kept``: at the positions they had before."""

    events: int
    kept: bool


class Aside:
    """Indexes that are being made in a directory of their own, which must not exist yet."""

    def __init__(self, where: Path, create: Create) -> None:
        where.mkdir(mode=DIRECTORY_MODE)
        (where / BY_TYPE).mkdir(mode=DIRECTORY_MODE)
        self._where = where
        self.table = create(where / INDEX)
        self.events = 0

    def add(self, entries: list[Entry]) -> None:
        """Add entries whose positions go on; ``sqlite3.IntegrityError`` where two of them clash."""
        db = self.table.file.get()
        with transaction(db):
            rows = (entry.row.values() for entry in entries)
            db.executemany(f"{INSERT} VALUES({MARKS})", rows)
            advance(db, entries)
        for name, lines in index_lines(entries).items():
            with (self._where / name.partition("/")[2]).open("ab") as file:
                file.write(b"".join(lines))
        self.events += len(entries)

    def finish(self) -> None:
        """Make all of it durable."""
        self.table.file.close()
        sync_tree(self._where)


def rebuild_from_files(
    where: Path,
    aside: Path,
    create: Create,
    *,
    is_part: bool = False,
    renumber: bool = False,
    progress: Progress | None = None,
) -> Rebuilt:
    """Make indexes in ``aside`` from the data files, in the order of ``by-stream.idx``.

    Where that is not whole, by time. ``renumber``: its positions are another store's, and only its
    order counts. ``is_part``: the versions of a stream may have gaps.
    """
    tell = progress or silent
    try:
        out = Aside(aside, create)
        with LayoutReader(where) as reader:
            _add_all(out, _listed(reader, renumber=renumber), tell)
        if not is_part:
            _check_versions(out.table)
        kept = not renumber
    except (StoreCorrupted, sqlite3.IntegrityError):
        # What the index does tell decides the order all the same.
        out = _emptied(out, aside, create)
        _add_by_time(out, where, tell, is_part=is_part)
        kept = False
    out.finish()
    return Rebuilt(out.events, kept)


def rebuild_from_table(
    where: Path, aside: Path, create: Create, table: EventTable, progress: Progress | None = None
) -> Rebuilt:
    """Make indexes in ``aside`` from an ``index.db`` that is whole, with its positions.

    ``NotWhole``: the line of an event stands nowhere.
    """
    tell = progress or silent
    out = Aside(aside, create)
    with LayoutReader(where) as reader:
        comparison = Comparison(table, reader, tell)
        for _ in comparison.oddities():
            pass
        _add_all(out, _kept(table, reader, comparison.offsets), tell)
    out.finish()
    return Rebuilt(out.events, kept=True)


def put_in_place(aside: Folder, indexes: Folder) -> None:
    """Put indexes that were made aside in the place of those of the layout, ``index.db`` last."""
    with aside.folder(BY_TYPE) as new, indexes.made(BY_TYPE) as old:
        names = set(new.names())
        for name in names:
            new.move(name, old)
        for gone in set(old.names()) - names:
            if gone.endswith(".idx"):
                old.unlink(gone)
    if BY_STREAM in aside.names():
        aside.move(BY_STREAM, indexes)
    else:
        indexes.replace(BY_STREAM, b"")
    for log in (f"{INDEX}-wal", f"{INDEX}-shm"):
        indexes.unlink(log)
    aside.move(INDEX, indexes)


def _add_all(out: Aside, entries: Iterator[Entry], tell: Progress) -> None:
    while batch := list(islice(entries, _BATCH)):
        out.add(batch)
        if out.events % _REPORT_EVERY == 0:
            tell("Indexing", out.events, 0)


def _listed(reader: LayoutReader, *, renumber: bool) -> Iterator[Entry]:
    """What ``by-stream.idx`` lists, each with the line it leads to; ``NotWhole`` at any doubt."""
    for position, line in enumerate(_index_lines(reader), 1):
        match = _LISTED(line)
        if match is None:
            raise NotWhole(f"line {position} of {BY_STREAM} is damaged")
        given, stream, version, raw, offset = match.groups()
        file = os.fsdecode(raw)
        if (int(given) != position and not renumber) or not _is_data_file(file):
            raise NotWhole(f"line {position} of {BY_STREAM} is for position {int(given)}")
        text = _line_at(reader, file, int(offset))
        row = own_row_of(position, text, f"{file}, offset {int(offset)}")
        name = f"{row.stream_id}@{row.version}".encode()
        if name != b"%b@%b" % (stream, version) or data_file(row.stream_id, row.timestamp) != file:
            raise NotWhole(f"line {position} of {BY_STREAM} leads to another event")
        yield Entry(row, file, int(offset), text)


def _index_lines(reader: LayoutReader) -> Iterator[bytes]:
    """The lines of ``by-stream.idx``, but for a last one that is torn."""
    last = b""
    for line in reader.index_lines():
        if last:
            yield last
        last = line
    if last.endswith(b"\n"):
        yield last
    elif not last:
        raise NotWhole(f"{BY_STREAM} lists nothing")


def _is_data_file(file: str) -> bool:
    day, _, name = file.partition("/")
    return is_day(day) and "/" not in name


def _line_at(reader: LayoutReader, file: str, offset: int) -> bytes:
    size = _FIRST_BYTES
    try:
        while True:
            text = reader.read(file, offset, size)
            end = text.find(b"\n") + 1
            if end:
                return text[:end]
            if len(text) < size:
                raise NotWhole(f"{file} ends before the line at offset {offset} does")
            size *= 16
    except StoreUnavailable as error:
        raise NotWhole(str(error)) from error


def _check_versions(table: EventTable) -> None:
    found = table.file.get().execute(
        "SELECT stream_id FROM events GROUP BY stream_id HAVING max(version) != count(*) LIMIT 1"
    )
    for (stream,) in found:
        raise NotWhole(f"{BY_STREAM} does not list all events of {stream}")


def _emptied(out: Aside, aside: Path, create: Create) -> Aside:
    out.table.file.close()
    with Folder.at(aside.parent) as parent:
        parent.remove(aside.name)
    return Aside(aside, create)


def _add_by_time(out: Aside, where: Path, tell: Progress, *, is_part: bool) -> None:
    layout = OrderedLayout("", where, tell)
    judge = Judge(out.table, is_part=is_part)
    try:
        placed = layout.placed()
        while page := list(islice(placed, _BATCH)):
            out.add(_admitted(judge, page, out.events))
            judge.settle()
            tell("Indexing", out.events, 0)
    finally:
        layout.close()


def _admitted(judge: Judge, page: list[Placed], last: int) -> list[Entry]:
    whole = [placed for placed in page if placed.raw.endswith(b"\n")]
    lines = [placed.line._replace(file=placed.file) for placed in whole]
    entries = []
    for placed, (_, ruling, row) in zip(whole, judge.judged(lines), strict=True):
        if ruling.verdict == "admitted" and row is not None:
            last += 1
            at = placed.line.offset
            entries.append(Entry(row._replace(position=last), placed.file, at, placed.raw))
    return entries


def _kept(table: EventTable, reader: LayoutReader, offsets: Offsets) -> Iterator[Entry]:
    position = 0
    while rows := table.rows_after(position, _BATCH):
        for row in rows:
            position += 1
            file = data_file(row.stream_id, row.timestamp)
            if row.position != position or offsets[position] < 0:
                raise NotWhole(f"the line of {row.stream_id}@{row.version} is not in {file}")
            yield Entry(row, file, offsets[position], _line_at(reader, file, offsets[position]))
