"""Verifying a layout: every line against what is recorded, every index against the lines.

Data files, ``index.db`` and text indexes tell of the same events, so each is held against the
others: a line that was changed, cut or lost, an index that leads elsewhere. Lines of somebody
else's, which are no damage, are named by file and line.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, repeat
from typing import NamedTuple

from gitstore.backends.jsonl.comparing import NOWHERE, Comparison, Oddity
from gitstore.backends.jsonl.filing import BY_STREAM_FILE
from gitstore.backends.jsonl.layout import (
    BY_STREAM,
    INDEX,
    INDEXES,
    data_file,
    index_files,
    index_line,
    parse_index_line,
)
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.preparing import keep_up, make_anew, unseen
from gitstore.backends.jsonl.recovery import bring_up, settle
from gitstore.backends.jsonl.takingin import take_in
from gitstore.backends.table.schema import Row
from gitstore.backends.table.table import EventTable
from gitstore.backends.table.tablefile import TableDamaged
from gitstore.core.errors import StoreCorrupted
from gitstore.core.findings import Finding, Progress, VerifyReport, silent

_MOST = 1_000
"""Odd lines that are named one by one."""
_PAGE = 2_000
_INDEX = f"{INDEXES}/{INDEX}"


def verify(
    parts: Parts, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
) -> VerifyReport:
    """Look at all files of the layout, and mend them where ``repair`` says so.

    ``deep``: SQLite's own look at ``index.db`` too is the slow one. Others write meanwhile, unless
    damage is found: then all is looked at again without them, and mended.
    """
    tell = progress or silent
    # Before a repair to the full: what trusts a damaged index would lose events.
    found = list(_look(parts, tell, parts.lock, deep=deep or repair))
    repaired: list[Finding] = []
    if any(finding.repairable for finding in found):
        with parts.lock.held():
            found = list(_look(parts, tell, nullcontext(), deep=deep or repair))
            if repair and any(finding.repairable for finding in found):
                make_anew(parts, _error(found))
                left = list(_look(parts, tell, nullcontext(), deep=True))
                repaired = [finding for finding in found if finding not in left]
                found = left
    events, streams = parts.index.counts()
    return VerifyReport(tuple(found), events, streams, repaired=tuple(repaired))


def _look(
    parts: Parts, tell: Progress, lock: AbstractContextManager[None], *, deep: bool
) -> Iterator[Finding]:
    """Bring everything up, under ``lock``, and hold files and indexes against each other."""
    with LayoutReader(parts.where) as reader:
        try:
            with lock:
                keep_up(parts)
                bring_up(parts)
            damage = list(parts.index.damage(deep=deep))
            if not damage:
                with lock:
                    keep_up(parts)
                    take_in(parts, unseen(parts, dict(reader.data_files())))
                    settle(parts)
                    extent = _Extent.of(parts, reader, tell)
        except StoreCorrupted as error:
            damage = [str(error)]
        if damage:
            yield from map(_of_table, damage)  # it is what all else is held against
        else:
            yield from _of_files(parts.index, reader, extent, tell)


def check(
    parts: Parts, tell: Progress, look: Callable[[], None], *, deep: bool
) -> Iterator[Finding]:
    """Hold files and indexes against each other, without the lock; ``look`` brings the table up."""
    damage = list(parts.index.damage(deep=deep))
    yield from map(_of_table, damage)
    if not damage:
        # Lines are written before they are listed, and after their events are recorded.
        last, listed = parts.filing.last()
        with LayoutReader(parts.where) as reader:
            comparison = Comparison(parts.index, reader, tell, last)
            look()
            yield from _of_files(parts.index, reader, _Extent(comparison, listed), tell)


class _Extent(NamedTuple):
    """What is looked at: all that is there at a moment; ``listed``: bytes of ``by-stream.idx``."""

    comparison: Comparison
    listed: int

    @classmethod
    def of(cls, parts: Parts, reader: LayoutReader, tell: Progress) -> _Extent:
        """All that is there."""
        comparison = Comparison(parts.index, reader, tell, through=parts.index.known_files())
        return cls(comparison, parts.filing.open(BY_STREAM_FILE).size())


def _of_files(
    table: EventTable, reader: LayoutReader, extent: _Extent, tell: Progress
) -> Iterator[Finding]:
    odd = list(_some(extent.comparison.oddities()))
    lost = _lost(extent.comparison)
    yield from (_of_line(each, each.line.file in lost) for each in odd)
    for file, (row, count) in lost.items():
        yield _of_lost(file, row, count)
    if not lost:
        yield from _of_indexes(table, reader, extent, tell)


def _error(found: Sequence[Finding]) -> StoreCorrupted:
    """What is to be mended; ``TableDamaged`` where ``index.db`` cannot be trusted."""
    of_table = [finding for finding in found if finding.place == _INDEX]
    kind = TableDamaged if of_table else StoreCorrupted
    return kind(f"{len(found):,} findings: {(of_table or found)[0].message}")


def _some(odd: Iterable[Oddity]) -> Iterator[Oddity]:
    """All damage, and the first of what is none."""
    named = 0
    for each in odd:
        named += not each.is_damage
        if each.is_damage or named <= _MOST:
            yield each


def _of_table(message: str) -> Finding:
    return Finding("index", message, repairable=True, place=_INDEX)


def _of_line(odd: Oddity, has_lost: bool) -> Finding:
    line, verdict, reason, _ = odd
    place = f"{line.file}:{line.number}"
    if verdict == "waits":
        return Finding("stream", reason, stream=None, place=place)
    if verdict == "zeros" or (odd.is_damage and has_lost):
        return Finding("file", reason, repairable=True, place=place)
    return Finding("quarantine", reason, place=place)


def _lost(comparison: Comparison) -> dict[str, tuple[Row, int]]:
    """The files that lack lines of recorded events: the first of them, and how many."""
    lost: dict[str, tuple[Row, int]] = {}
    for row in comparison.missing():
        file = data_file(row.stream_id, row.timestamp)
        first, count = lost.get(file, (row, 0))
        lost[file] = first, count + 1
    return lost


def _of_lost(file: str, row: Row, count: int) -> Finding:
    name = f"{row.stream_id}@{row.version}"
    what = f"the line of {name} is missing"
    if count > 1:
        what = f"{count:,} lines are missing, that of {name} first"
    return Finding("file", what, stream=row.stream_id, repairable=True, place=file)


def _of_indexes(
    table: EventTable, reader: LayoutReader, extent: _Extent, tell: Progress
) -> Iterator[Finding]:
    """``by-stream.idx`` line for line; of the others, whether they are what they should be."""
    comparison = extent.comparison
    listed = chain(_up_to(extent.listed, reader.index_lines()), repeat(b""))
    expected: dict[str, int] = {}
    is_right = True
    for row in _rows(table, comparison.last, tell):
        if comparison.offsets[row.position] == NOWHERE:
            continue
        line = _index_line(row, comparison.offsets[row.position])
        by_type = index_files(row.type)[1]
        expected[by_type] = zlib.crc32(line, expected.get(by_type, 0))
        if is_right and next(listed) != line:
            is_right = False
            what = f"does not lead to {row.stream_id}@{row.version}, position {row.position}"
            place = f"{INDEXES}/{BY_STREAM}:{row.position}"
            yield Finding("index", what, repairable=True, place=place)
    if is_right and (more := next(listed)):
        place = f"{INDEXES}/{BY_STREAM}:{comparison.last + 1}"
        yield Finding(
            "index", f"lists what is not recorded: {more[:60]!r}", repairable=True, place=place
        )
    for name, checksum in expected.items():
        if _checksum(reader, name, comparison.last) != checksum:
            what = "does not list the events of its type as they stand"
            yield Finding("index", what, repairable=True, place=name)


def _up_to(size: int, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The first ``size`` bytes of lines."""
    for line in lines:
        if size <= 0:
            return
        yield line[:size]
        size -= len(line)


def _rows(table: EventTable, last: int, tell: Progress) -> Iterator[Row]:
    position = 0
    while position < last and (rows := table.rows_after(position, _PAGE)):
        yield from (row for row in rows if row.position <= last)
        position = rows[-1].position
        tell("Checking indexes", min(position, last), last)


def _index_line(row: Row, offset: int) -> bytes:
    file = data_file(row.stream_id, row.timestamp)
    return index_line(row.position, row.timestamp, row.stream_id, row.version, file, offset)


def _checksum(reader: LayoutReader, name: str, last: int) -> int:
    checksum = 0
    for line in reader.index_lines(name.removeprefix(f"{INDEXES}/")):
        entry = parse_index_line(line)
        if entry is None or entry.position <= last:
            checksum = zlib.crc32(line, checksum)
    return checksum
