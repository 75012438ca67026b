"""Ruling lines in turn: by what is recorded, and by what was admitted before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitstore.backends.jsonl.admitting import Ruling, StrangeLine, rule, whole_row
from gitstore.backends.jsonl.lines import Line
from gitstore.backends.table.schema import Row
from gitstore.backends.table.table import EventTable


class Judged(NamedTuple):
    """A line, what becomes of it, and its event where it is one."""

    line: Line
    ruling: Ruling
    row: Row | None


class Judge:
    """Rules the lines of a layout whose recorded events ``table`` has.

    What it admits counts for the lines that follow, until it is in the table: ``settle``.
    """

    def __init__(self, table: EventTable, *, is_part: bool) -> None:
        self._table = table
        self._is_part = is_part
        self._heads: dict[str, int] = {}
        self._admitted: dict[str, Row] = {}

    def settle(self) -> None:
        """Everything admitted is in the table."""
        self._heads.clear()
        self._admitted.clear()

    def judged(self, lines: Sequence[Line]) -> Iterator[Judged]:
        """The rulings on a page of lines, which are not blank, in their order."""
        rows = [_row_or_reason(line) for line in lines]
        ids = [row.event_id for row in rows if isinstance(row, Row)]
        known = {found.event.id: Row.of(found) for found in self._table.by_ids(ids)}
        for line, row in zip(lines, rows, strict=True):
            if isinstance(row, str):
                yield Judged(line, Ruling("strange", row), None)
            else:
                twin = self._admitted.get(row.event_id) or known.get(row.event_id)
                yield Judged(line, self._ruling(row, twin), row)

    def _ruling(self, row: Row, twin: Row | None) -> Ruling:
        head = self._heads.get(row.stream_id)
        if head is None:
            head = self._table.head(row.stream_id)
        ruling = rule(row, head, twin, is_part=self._is_part)
        if ruling.verdict == "admitted":
            self._heads[row.stream_id] = row.version
            self._admitted[row.event_id] = row
        return ruling


def _row_or_reason(line: Line) -> Row | str:
    try:
        return whole_row(line)
    except StrangeLine as error:
        return error.reason
