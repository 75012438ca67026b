"""From a filter to SQL: which index of ``index.db`` answers it, and in which order.

Two ways. A filter that passes much is read page by page along the positions, each row tested. A
selective one (few streams, a span of time, a correlation) looks its positions up first, 8 bytes
each, and fetches those rows: paging it by position would search the same index again a page.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from gitstore.core.filters import EventFilter
from gitstore.core.timestamps import to_microseconds

_SELECTIVE = 8
"""A filter on streams that passes less than one event in so many looks positions up first."""


@dataclass(slots=True)
class Query:
    """A read of ``after < position < before``; ``page`` is called again with moved bounds."""

    where: tuple[str, ...]
    values: tuple[object, ...]
    after: int
    before: int
    backwards: bool
    looks_up: bool
    """Whether positions are looked up first."""

    def page(self, limit: int) -> tuple[str, Sequence[object]]:
        """The clause of the next page, and what it binds."""
        return self._clause(), (*self.values, self.after, self.before, limit)

    def positions(self, limit: int | None) -> tuple[str, Sequence[object]]:
        """The statement that gives all positions (or the first ``limit``)."""
        most = -1 if limit is None else limit
        statement = f"SELECT position FROM events {self._clause()}"
        return statement, (*self.values, self.after, self.before, most)

    def past(self, after: int, before: int, least: int, limit: int) -> tuple[str, Sequence[object]]:
        """The clause of a page of rows that a position beyond ``least`` superseded."""
        # By position whatever is wanted: the pages of a read then take one walk through the table.
        tests = [*self.where, "position > ?", "position < ?", "superseded_by > ?"]
        clause = (
            f"NOT INDEXED WHERE {' AND '.join(tests)} ORDER BY position {self._order()} LIMIT ?"
        )
        return clause, (*self.values, after, before, least, limit)

    def _clause(self) -> str:
        # A + keeps SQLite from walking the positions where another index is meant.
        column = "+position" if self.looks_up else "position"
        tests = [*self.where, f"{column} > ?", f"{column} < ?"]
        return f"WHERE {' AND '.join(tests)} ORDER BY {column} {self._order()} LIMIT ?"

    def _order(self) -> str:
        return "DESC" if self.backwards else "ASC"


def plan(
    db: sqlite3.Connection, wanted: EventFilter, after: int, before: int, *, backwards: bool
) -> Query:
    """The query of a filter."""
    by_time = wanted.since is not None or wanted.until is not None
    by_stream = _is_selective(db, wanted)
    looks_up = by_time or by_stream or wanted.correlations is not None
    where: list[str] = []
    values: list[object] = []

    def test(column: str, numbers: Sequence[object], *, leads: bool) -> None:
        mark = "" if leads or not looks_up else "+"
        where.append(f"{mark}{column} IN ({','.join('?' * len(numbers))})")
        values.extend(numbers)

    if wanted.correlations is not None:
        test("correlation", _words(db, wanted.correlations), leads=True)
    if wanted.streams is not None or wanted.categories is not None:
        numbers, names = _stream_numbers(wanted)
        mark = "" if by_stream and wanted.correlations is None else "+"
        where.append(f"{mark}stream IN ({numbers})")
        values.extend(names)
    if wanted.looked_up_types is not None:
        test("type", _words(db, wanted.looked_up_types), leads=not looks_up)
    if wanted.users is not None:
        test("user", _words(db, wanted.users), leads=True)
    column = "time" if wanted.correlations is None and not by_stream else "+time"
    if wanted.since is not None:
        where.append(f"{column} >= ?")
        values.append(to_microseconds(wanted.since))
    if wanted.until is not None:
        where.append(f"{column} < ?")
        values.append(to_microseconds(wanted.until))
    return Query(tuple(where), tuple(values), after, before, backwards, looks_up)


def _is_selective(db: sqlite3.Connection, wanted: EventFilter) -> bool:
    """Whether the streams asked for hold few of the events: their versions say how many."""
    if wanted.streams is None and wanted.categories is None:
        return False
    numbers, names = _stream_numbers(wanted)
    total = db.execute("SELECT max(position) FROM events").fetchone()[0] or 0
    held = db.execute(f"SELECT sum(version) FROM streams WHERE id IN ({numbers})", names)
    return (held.fetchone()[0] or 0) * _SELECTIVE < total


def _stream_numbers(wanted: EventFilter) -> tuple[str, list[str]]:
    """A query for the streams asked for, and what it binds."""
    tests: list[str] = []
    values: list[str] = []
    for column, names in (("name", wanted.streams), ("category", wanted.categories)):
        if names is not None:
            tests.append(f"{column} IN ({','.join('?' * len(names))})")
            values += sorted(names)
    return f"SELECT id FROM streams WHERE {' AND '.join(tests)}", values


def _words(db: sqlite3.Connection, words: frozenset[str]) -> list[int]:
    marks = ",".join("?" * len(words))
    rows = db.execute(f"SELECT id FROM words WHERE word IN ({marks})", sorted(words))
    return [number for (number,) in rows]
