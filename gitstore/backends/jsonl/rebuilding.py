"""Making ``index.db`` and the text indexes anew, from what is left of the layout.

The data files are the record; the order of the events and their positions stand in
``by-stream.idx`` and in ``index.db``. Where one of these is whole, positions are kept: the store
is the same store. Where neither is, the events get positions anew, by time, and the store another
id, because a position means something only together with it.

Everything is made aside, made durable, and put in its place file by file, ``index.db`` last: one
that was cut short is done again. Lines that no index lists are left to ``takingin``. In bounded
memory: some eight bytes an event.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from gitstore.backends.disk.files import sync_tree
from gitstore.backends.jsonl.comparing import NOWHERE, Comparison, Offsets
from gitstore.backends.jsonl.entries import Entry, own_row_of
from gitstore.backends.jsonl.filing import BY_STREAM_FILE
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.indexlines import index_lines
from gitstore.backends.jsonl.judging import Judge
from gitstore.backends.jsonl.layout import BY_STREAM, BY_TYPE, INDEX, INDEXES, data_file, is_day
from gitstore.backends.jsonl.layout_order import OrderedLayout, Placed
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.placing import put_in_place
from gitstore.backends.jsonl.restoring import restore_lines
from gitstore.backends.jsonl.state import LiveState
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.findings import Progress, silent

REBUILT = ".rebuilt"
"""Below the indexes: where new ones are made."""
_log = logging.getLogger("gitstore.store")
_BATCH = 2_000
_REPORT_EVERY = 10 * _BATCH
_FIRST_BYTES = 4 * 1024
_LONGEST_ENTRY = 8 * 1024
_LISTED = re.compile(rb"(\d{1,18})\t[^\t]+\t([^\t]+)@(\d{1,19})\t([^\t]+)\t(\d{1,18})\n").fullmatch


class NotWhole(StoreCorrupted):
    """An index that does not tell the position of each of its events."""


class Aside:
    """Indexes that are being made, empty at first, in ``indexes/.rebuilt``."""

    def __init__(self, parts: Parts, state: LiveState) -> None:
        parts.indexes.remove(REBUILT)
        with parts.indexes.made(REBUILT) as folder:
            folder.made(BY_TYPE).close()
        self.where = parts.where / INDEXES / REBUILT
        self.index = Index(self.where / INDEX, wal=False)
        # Nobody else has it open, and it is made durable as a whole.
        self.index.file.get().execute("PRAGMA synchronous=OFF")
        self.index.file.get().execute("PRAGMA journal_mode=OFF")
        self.index.create(state)
        self.is_part = bool(state.part)
        self.events = 0

    def add(self, entries: list[Entry]) -> None:
        """Add entries whose positions go on; ``StoreUnavailable`` where two of them clash."""
        sizes = {name: self._write(name, lines) for name, lines in index_lines(entries).items()}
        listed = sizes.pop(BY_STREAM_FILE)
        self.index.take_in(entries, listed, sizes.items())
        self.events += len(entries)

    def _write(self, name: str, lines: list[bytes]) -> int:
        """Append lines to a text index; gives its size."""
        with (self.where / name.removeprefix(f"{INDEXES}/")).open("ab") as file:
            file.write(b"".join(lines))
            return file.tell()

    def check_versions(self) -> None:
        """``NotWhole`` where versions have gaps, unless they may."""
        found = self.index.file.get().execute(
            "SELECT stream_id FROM events GROUP BY stream_id HAVING max(version) != count(*)"
        )
        if not self.is_part and (gap := found.fetchone()):
            raise NotWhole(f"{BY_STREAM} does not list all events of {gap[0]}")

    def put_in_place(self, parts: Parts, state: LiveState) -> None:
        """Make all of it durable, and the indexes of the layout; ``state`` too where it is new."""
        self.index.file.close()
        sync_tree(self.where)
        if state != LiveState.load(parts.indexes):
            # First: positions that were given anew must never be taken for those of the old id.
            state.save(parts.indexes)
        _put_in_place(parts)
        parts.indexes.remove(REBUILT)
        parts.state = state
        parts.index.file.reopen()
        parts.filing.forget()
        parts.filing.take_over()
        parts.tail.restart(self.events)


def rebuild(parts: Parts, progress: Progress | None = None) -> None:
    """Make index, text indexes and state of a layout anew; under its lock.

    The lines of the journal must be in the data files. Keeps the positions of ``index.db``, or
    else of ``by-stream.idx``, and with them the store's id; where neither is whole, or the layout
    was made by ``export --layout`` of a former version, the store gets another id. Lines of
    recorded events that are missing are restored from ``index.db``.
    """
    tell = progress or silent
    state = LiveState.load(parts.indexes)
    last = _last_of_table(parts, state)
    if state is not None and last and last >= parts.filing.last()[0]:
        _log.warning("%s: indexes are made anew from %s", parts.where, INDEX)
        rebuild_from_index(parts, state, tell)
        return
    _rebuild_from_files(parts, state, tell)


def rebuild_from_index(parts: Parts, state: LiveState, tell: Progress) -> None:
    """Make the indexes anew with the positions of ``index.db``, which is whole."""
    with LayoutReader(parts.where) as reader:
        offsets = _restored(parts, reader, tell)
    with LayoutReader(parts.where) as reader:
        out = Aside(parts, state)
        _add_all(out, _kept(parts.index, reader, offsets), tell)
    out.put_in_place(parts, state)


def _last_of_table(parts: Parts, state: LiveState | None) -> int:
    """The last position of an ``index.db`` that can be trusted; 0: it cannot."""
    try:
        if parts.index.is_known() and state is not None:
            store_id, _, last = parts.index.noted()
            if store_id == state.store_id and not any(parts.index.damage(deep=True)):
                return last
    except (StoreCorrupted, StoreUnavailable, TypeError):
        pass  # damaged: the files say what it said
    return 0


def _restored(parts: Parts, reader: LayoutReader, tell: Progress) -> Offsets:
    """Where all lines stand, once those that were missing are restored."""
    comparison = Comparison(parts.index, reader, tell)
    odd = [odd for odd in comparison.oddities() if odd.is_damage]
    if restore_lines(parts, comparison, odd):
        with LayoutReader(parts.where) as again:
            comparison = Comparison(parts.index, again, tell)
            for _ in comparison.oddities():
                pass
    return comparison.offsets


def _rebuild_from_files(parts: Parts, state: LiveState | None, tell: Progress) -> None:
    fresh = (state or parts.state).renumbered()
    try:
        out = Aside(parts, state or fresh)
        with LayoutReader(parts.where) as reader:
            _add_all(out, _listed(reader, renumber=state is None), tell)
        out.check_versions()
    except (StoreCorrupted, StoreUnavailable) as error:
        if state is not None:
            _log.warning("%s: events get positions anew: %s", parts.where, error)
        state = None
        out = Aside(parts, fresh)
        _add_by_time(out, parts.where, tell)
    out.put_in_place(parts, state or fresh)


def _put_in_place(parts: Parts) -> None:
    with parts.indexes.folder(REBUILT) as aside:
        with aside.folder(BY_TYPE) as new, parts.indexes.made(BY_TYPE) as old:
            gone = set(old.names()).difference(new.names())
            for name in gone:
                if name.endswith(".idx"):
                    old.unlink(name)
        if BY_STREAM not in aside.names():
            parts.indexes.replace(BY_STREAM, b"")
        put_in_place(aside, parts.indexes)


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


def _add_by_time(out: Aside, where: Path, tell: Progress) -> None:
    layout = OrderedLayout("", where, tell)
    judge = Judge(out.index, is_part=out.is_part)
    try:
        placed = layout.placed()
        while page := list(islice(placed, _BATCH)):
            entries = _admitted(judge, page, out.events)
            if entries:
                out.add(entries)
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


def _kept(table: Index, reader: LayoutReader, offsets: Offsets) -> Iterator[Entry]:
    position = 0
    while rows := table.rows_after(position, _BATCH):
        for row in rows:
            position += 1
            file = data_file(row.stream_id, row.timestamp)
            if row.position != position or offsets[position] == NOWHERE:
                raise NotWhole(f"the line of {row.stream_id}@{row.version} is not in {file}")
            yield Entry(row, file, offsets[position], _line_at(reader, file, offsets[position]))
