"""Verify: SQLite's own check, then every row as the only witness of its event."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gitstore.backends.table.schema import SELECT
from gitstore.backends.table.table import EventTable
from gitstore.backends.table.tablefile import TableDamaged
from gitstore.core import canonical
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.core.findings import Finding, Progress, VerifyReport
from gitstore.core.timestamps import format_timestamp, parse_timestamp

_PAGE = 1_000


class Verifier:
    """One look at the whole table, in bounded memory."""

    def __init__(self, table: EventTable, progress: Progress) -> None:
        self._table = table
        self._progress = progress
        self._place = str(table.file.path)
        self._heads: dict[str, int] = {}
        self._last = 0
        self._events = 0

    def run(self) -> VerifyReport:
        """What is not as it should be; damage is a finding here, and no error."""
        findings: list[Finding] = []
        try:
            findings += self._structure()
            for row in self._rows():
                findings += self._row(row)
        except (sqlite3.Error, TableDamaged) as error:
            what = str(error)
            named = what if self._place in what else f"{self._place}: {what}"
            findings.append(Finding("file", named, place=self._place))
        return VerifyReport(tuple(findings), self._events, len(self._heads))

    def _structure(self) -> Iterator[Finding]:
        for (said,) in self._table.file.get().execute("PRAGMA integrity_check"):
            if said != "ok":
                message = f"{self._place}: {said}"
                yield Finding("file", message, repairable=True, place=self._place)

    def _rows(self) -> Iterator[tuple[object, ...]]:
        """The rows by position; each page is a look of its own, so that writers go on."""
        db = self._table.file.get()
        total = self._table.last_position()
        after = -(2**63)
        while rows := db.execute(
            f"{SELECT} WHERE position > ? ORDER BY position LIMIT ?", (after, _PAGE)
        ).fetchall():
            yield from rows
            after = rows[-1][0]
            self._progress("Checking", self._events, max(total, self._events))

    def _row(self, row: tuple[object, ...]) -> Iterator[Finding]:
        position, stream, version = row[:3]
        assert isinstance(position, int)  # they were asked for by number
        self._events += 1
        if position != self._last + 1:
            gap = f"{self._place}: position {position} follows on {self._last}"
            lost = f", {self._last + 1} to {position - 1} are missing"
            what = gap + (lost if position > self._last else "")
            yield Finding("order", what, place=self._place)
        self._last = max(position, 0)
        name = f"the event at position {position} ({stream}@{version})"
        head = self._heads.get(str(stream), 0)
        if version != head + 1:
            what = f"{self._place}: {name} follows on version {head}"
            yield Finding("stream", what, stream=str(stream), place=self._place)
        self._heads[str(stream)] = version if isinstance(version, int) else head
        try:
            _check(row)
        except (InvalidEvent, ValueError, TypeError, AttributeError) as error:
            yield Finding("stream", f"{self._place}: {name} is damaged: {error}", place=self._place)


def _check(row: tuple[object, ...]) -> None:
    """Raise where an append would not have written this row."""
    _, stream, version, kind, text, event_id, data, metadata = row
    time = parse_timestamp(text)  # type: ignore[arg-type]  # it looks at what it gets
    if format_timestamp(time) != text:
        raise ValueError(f"its timestamp {text!r} is not in the one form")
    body = canonical.read_canonical(data.encode())  # type: ignore[attr-defined]
    about = canonical.read_canonical(metadata.encode())  # type: ignore[attr-defined]
    DomainEvent(stream, kind, body, about, event_id, time, version)  # type: ignore[arg-type]
