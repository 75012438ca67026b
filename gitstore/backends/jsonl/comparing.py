"""Every line of the data files against what is recorded: where each event stands, what is odd.

``index.db`` keeps the bodies of all events, so a line that was changed, cut or lost is known, and
can be restored. One pass over the files, in bounded memory: eight bytes an event.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

import orjson

from gitstore.backends.jsonl.admitting import StrangeLine, difference, rule, whole_row
from gitstore.backends.jsonl.entries import line_of
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.layout import data_file
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.lines import Line
from gitstore.backends.jsonl.scanning import NOTHING, through, torn_end, whole_lines
from gitstore.backends.table.schema import Row
from gitstore.core.findings import Progress

Offsets: TypeAlias = "array[int]"
"""By position: the offset of the line in its file; -1: it stands nowhere."""
Verdict = Literal["strange", "garbage", "repeats", "waits", "changed", "torn", "zeros"]
_PAGE = 500
NOWHERE = -1


class Oddity(NamedTuple):
    """A line that is not the line of a recorded event.

    - ``changed``: it has the id of the event at ``position`` and differs from it. ``garbage``: it
      is no JSON. ``torn``: the end of the file, without its line feed; ``zeros``: NUL bytes there.
      ``strange``, ``repeats``, ``waits``: see ``admitting``.
    - ``line``: where it stands; its ``file`` relative to the layout.
    """

    line: Line
    verdict: Verdict
    reason: str
    position: int = 0

    @property
    def is_damage(self) -> bool:
        """Whether it may be what became of a recorded event's line."""
        return self.verdict in ("changed", "garbage", "torn", "zeros")


class Comparison:
    """One pass over all data files; read all of ``oddities`` first.

    Of what is there, and recorded, when it is made: then it may need a lock, later it does not.
    ``last``: the last event that is looked at; else of the table. ``through``: up to where lines of
    others were taken in, of each file; what comes after that is not looked at.
    """

    def __init__(
        self,
        table: Index,
        reader: LayoutReader,
        tell: Progress,
        last: int | None = None,
        through: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._table = table
        self._reader = reader
        self._tell = tell
        self._through = through
        self._files = list(reader.data_files())
        self.last = table.last_position() if last is None else last
        """Events that are recorded later are not looked at."""
        self.offsets: Offsets = array("q", [NOWHERE]) * (self.last + 1)

    def oddities(self) -> Iterator[Oddity]:
        """The lines that are no recorded event's, by file and line."""
        done, total = 0, sum(size for _, size in self._files)
        for file, size in self._files:
            yield from self._of_file(file, size)
            done += size
            self._tell("Checking lines", done, total)

    def missing(self) -> Iterator[Row]:
        """The recorded events whose lines stand nowhere, by position."""
        for position, offset in enumerate(self.offsets):
            if position and offset == NOWHERE:
                yield from self._table.rows_after(position - 1, 1)

    def _of_file(self, file: str, size: int) -> Iterator[Oddity]:
        descriptor = self._reader.open(file)
        try:
            end = NOTHING
            lines = whole_lines(descriptor, file, to=size)
            while page := list(islice(lines, _PAGE)):
                yield from self._of_page([line for line in page if line.text])
                end = through(page[-1])
            if size > end.size:
                text = torn_end(descriptor, size)
                yield _torn(Line(file, end.lines + 1, text, end.size, size - end.size))
        finally:
            os.close(descriptor)

    def _of_page(self, lines: Sequence[Line]) -> Iterator[Oddity]:
        ids = [_id_of(line) for line in lines]
        known = self._recorded([i for i in ids if i is not None])
        for line, event_id in zip(lines, ids, strict=True):
            recorded = known.get(event_id or "")
            odd = self._unrecorded(line) if recorded is None else self._recorded_as(line, recorded)
            if odd is not None and not self._came_later(line):
                yield odd

    def _came_later(self, line: Line) -> bool:
        return self._through is not None and line.offset >= self._through.get(line.file, (0, 0))[0]

    def _recorded_as(self, line: Line, recorded: Row) -> Oddity | None:
        if recorded.position > self.last:
            return None
        differs = _differs(line, recorded)
        if differs:
            name = f"{recorded.stream_id}@{recorded.version}"
            why = f"{name} was recorded otherwise: this line has {differs}"
            return Oddity(line, "changed", why, recorded.position)
        if self.offsets[recorded.position] != NOWHERE:
            return Oddity(line, "repeats", f"repeats the event {recorded.event_id!r}")
        self.offsets[recorded.position] = line.offset
        return None

    def _unrecorded(self, line: Line) -> Oddity:
        try:
            row = whole_row(line)
        except StrangeLine as error:
            return Oddity(line, "strange" if _is_json(line.text) else "garbage", error.reason)
        verdict, reason = rule(row, self._table.head(row.stream_id), None)
        if verdict == "waits":
            return Oddity(line, "waits", reason)
        return Oddity(line, "strange", reason or "is not recorded yet")

    def _recorded(self, ids: Sequence[str]) -> dict[str, Row]:
        return {row.event_id: row for row in self._table.rows_by_ids(ids)}


def _id_of(line: Line) -> str | None:
    try:
        found = orjson.loads(line.text)["id"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _differs(line: Line, recorded: Row) -> str:
    """What differs; empty where the line says what is recorded, in whatever form."""
    if line.text == line_of(recorded)[:-1] and line.file == data_file(
        recorded.stream_id, recorded.timestamp
    ):
        return ""
    try:
        return difference(whole_row(line), recorded)
    except StrangeLine as error:
        return error.reason


def _torn(line: Line) -> Oddity:
    if line.text.strip(b"\0"):
        return Oddity(line, "torn", "has no line feed: it is being written, or was cut short")
    return Oddity(line, "zeros", f"ends in {len(line.text):,} NUL bytes, as after a power cut")
