"""The table of events: pages of rows, where streams end, and rows put in.

Every method is one statement or one transaction: none stays open for the next, so that the log can
be folded at any time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gitstore.backends.disk.connections import Connection, transaction
from gitstore.backends.table.query import Query, plan, stream_range
from gitstore.backends.table.schema import (
    INSERT,
    MARKS,
    SELECT,
    SELECT_BYTES,
    BytesValues,
    Row,
    Values,
    encoded_of,
    recorded_of,
)
from gitstore.backends.table.tablefile import TableDamaged, TableFile, reports_damage
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import RecordedEvent
from gitstore.core.filters import EventFilter

_IDS_AT_ONCE = 500
_PAGE_BYTES = 2**22
"""Once so much data and metadata is in a page, it ends."""
_NAMES = (
    "WITH RECURSIVE s(n) AS (SELECT min(stream_id) FROM events WHERE stream_id >= ?1 AND "
    "stream_id < ?2 UNION ALL SELECT (SELECT min(stream_id) FROM events WHERE stream_id > n AND "
    "stream_id < ?2) FROM s WHERE n IS NOT NULL)"
)
"""Each name once: the index is asked for the next one, not gone through."""
_ALL = ("", b"")  # a blob comes after every text


class Page(NamedTuple):
    """Events in order, and whether there may be more after them."""

    events: list[RecordedEvent]
    more: bool


class EventTable:
    """Events in an SQLite file. Who inserts holds the lock of the file's user."""

    def __init__(self, file: TableFile) -> None:
        self.file = file

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self.file.path

    @reports_damage
    def insert(
        self, rows: Sequence[Row], extra: Callable[[Connection], None] | None = None
    ) -> None:
        """Put rows in, and do what ``extra`` does with the connection, all or nothing.

        ``sqlite3.IntegrityError`` becomes ``StoreUnavailable``: an id or a place is taken.
        """
        db = self.file.get()
        with transaction(db):
            db.executemany(f"{INSERT} VALUES({MARKS})", map(Row.values, rows))
            if extra is not None:
                extra(db)

    @reports_damage
    def last_position(self) -> int:
        """The highest position, 0 without any."""
        found = self.file.get().execute("SELECT max(position) FROM events").fetchone()[0]
        return found or 0

    @reports_damage
    def head(self, stream_id: str) -> int:
        """The highest version of a stream, 0 where there is none."""
        found = self.file.get().execute(
            "SELECT max(version) FROM events WHERE stream_id = ?", (stream_id,)
        )
        return found.fetchone()[0] or 0

    @reports_damage
    def counts(self) -> tuple[int, int]:
        """How many events and how many streams there are."""
        row = self.file.get().execute(
            f"{_NAMES} SELECT (SELECT count(*) FROM events), count(n) FROM s", _ALL
        )
        events, streams = row.fetchone()
        return events, streams

    @reports_damage
    def streams(self, category: str | None = None) -> list[str]:
        """The streams, or those of a category, sorted by code point."""
        if category is None:
            return self._names(_ALL)
        if "-" in category:
            return []
        own = [category] if self.head(category) else []
        return own + self._names(stream_range(category))

    @reports_damage
    def by_ids(self, event_ids: Sequence[str]) -> list[RecordedEvent]:
        """The events with one of these ids, in no order."""
        found: list[RecordedEvent] = []
        for start in range(0, len(event_ids), _IDS_AT_ONCE):
            some = event_ids[start : start + _IDS_AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self.file.get().execute(f"{SELECT} WHERE id IN ({marks})", some)
            found += map(self._recorded, rows)
        return found

    @reports_damage
    def rows_after(self, position: int, limit: int) -> list[Row]:
        """The rows after a position, by position, at most ``limit``."""
        rows = self.file.get().execute(
            f"{SELECT} WHERE position > ? ORDER BY position LIMIT ?", (position, limit)
        )
        return [self._row(row) for row in rows]

    @reports_damage
    def stream_page(
        self, stream_id: str, after: int, to: int, limit: int, *, backwards: bool
    ) -> Page:
        """Events of one stream with ``after < version <= to``, by version, at most ``limit``."""
        order = "DESC" if backwards else "ASC"
        return self._page(
            f"{SELECT} WHERE stream_id = ? AND version > ? AND version <= ? "
            f"ORDER BY version {order}",
            (stream_id, after, to),
            limit,
        )

    @reports_damage
    def plan(self, wanted: EventFilter, span: int, most: int) -> Query:
        """How to read ``most`` of what is wanted from a range of ``span`` positions."""
        return plan(self.file.get(), wanted, span, most)

    @reports_damage
    def page(self, query: Query, after: int, to: int, limit: int, *, backwards: bool) -> Page:
        """Events with ``after < position <= to`` that pass the query's tests, by position."""
        order = "DESC" if backwards else "ASC"
        tests, values = query.where()
        return self._page(
            f"{SELECT} WHERE position > ? AND position <= ?{tests} ORDER BY position {order}",
            (after, to, *values),
            limit,
        )

    @reports_damage
    def encoded_page(self, after: int, to: int, limit: int) -> list[EncodedEvent]:
        """The events with ``after < position <= to``, by position, at most ``limit``, as bytes."""
        rows = self.file.get().execute(
            f"{SELECT_BYTES} WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            (after, to, limit),
        )
        found: list[EncodedEvent] = []
        size = 0
        for row in rows:
            try:
                found.append(encoded_of(row))
                size += len(row[6]) + len(row[7])
            except (ValueError, TypeError, InvalidEvent) as error:
                raise self._damaged(row, error) from error
            if size > _PAGE_BYTES:
                rows.close()
                break
        return found

    @reports_damage
    def positions(self, query: Query, after: int, to: int) -> array[int]:
        """The positions ``after < position <= to`` a query leads to, rising; 8 bytes each."""
        tests, values = query.positions()
        rows = self.file.get().execute(
            f"SELECT position FROM events WHERE {tests} AND +position > ? AND +position <= ? "
            "ORDER BY +position",
            (*values, after, to),
        )
        return array("q", (position for (position,) in rows))

    @reports_damage
    def page_at(self, positions: Sequence[int], *, backwards: bool) -> Page:
        """The events at these positions (at most 500), by position."""
        order = "DESC" if backwards else "ASC"
        marks = ",".join("?" * len(positions))
        return self._page(
            f"{SELECT} WHERE position IN ({marks}) ORDER BY position {order}",
            positions,
            len(positions),
        )

    def _names(self, bounds: tuple[object, object]) -> list[str]:
        rows = self.file.get().execute(f"{_NAMES} SELECT n FROM s WHERE n IS NOT NULL", bounds)
        return [name for (name,) in rows]

    def _page(self, statement: str, values: Sequence[object], limit: int) -> Page:
        rows = self.file.get().execute(f"{statement} LIMIT ?", (*values, limit))
        events: list[RecordedEvent] = []
        size = 0
        for row in rows:
            events.append(self._recorded(row))
            size += len(row[6]) + len(row[7])
            if size > _PAGE_BYTES:
                rows.close()
                return Page(events, more=True)
        return Page(events, more=len(events) == limit)

    def _recorded(self, row: Values) -> RecordedEvent:
        try:
            return recorded_of(row)
        except (ValueError, TypeError, InvalidEvent) as error:
            raise self._damaged(row, error) from error

    def _row(self, values: Values) -> Row:
        try:
            "".join((values[1], *values[3:]))
            return Row.read(values)
        except TypeError as error:  # bytes, or a number, where SQLite should have text
            raise self._damaged(values, error) from error

    def _damaged(self, row: Values | BytesValues, error: Exception) -> TableDamaged:
        return TableDamaged(
            f"{self.path}: the event at position {row[0]} ({row[1]}@{row[2]}) is damaged: {error}"
        )
