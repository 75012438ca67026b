"""What the index lists without decoding it: for the type index, verify, repair and packing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gitstore.backends.git.indexfile import IndexConnection, IndexFile, reports_damage

_SELECT_TYPED = "SELECT position, time, type, stream, version, commit_id FROM events"
_DAY = "(time + 62135596800000000) / 86400000000"
"""Days since the year 1: SQLite divides towards 0, and 1970 is not where time begins."""

TypedRow = tuple[int, int, str, str, int, bytes]
"""An event without its body: position, time (microseconds), type, stream, version, commit."""


class IndexLists(IndexFile):
    """``index.db``, row by row."""

    @reports_damage
    def typed(self, after: int, to: int, limit: int) -> list[TypedRow]:
        """Rows with ``after < position <= to``, by position, at most ``limit``."""
        db = self._db()
        rows = db.execute(
            f"{_SELECT_TYPED} WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            (after, to, limit),
        )
        return _typed(db, rows)

    def typed_by_day(self, to: int) -> Iterator[TypedRow]:
        """Rows with ``position <= to``: type by type, UTC day by day, there by position."""
        db, rows = self._sorted_by_day(to)
        while page := self._typed_page(db, rows):
            yield from page

    @reports_damage
    def _sorted_by_day(self, to: int) -> tuple[IndexConnection, sqlite3.Cursor]:
        db = self._db()
        order = f"ORDER BY type, {_DAY}, position"
        return db, db.execute(f"{_SELECT_TYPED} WHERE position <= ? {order}", (to,))

    @reports_damage
    def _typed_page(self, db: IndexConnection, rows: sqlite3.Cursor) -> list[TypedRow]:
        return _typed(db, rows.fetchmany(1_000))

    @reports_damage
    def raw_page(self, after: int, to: int, limit: int) -> list[tuple[Any, ...]]:
        """Rows with ``after < position <= to`` as they lie there, by position, unchecked.

        Position, numbers of the stream and (after the version) of the type, time, event id, commit
        id, user and correlation, data, metadata.
        """
        rows = self._db().execute(
            "SELECT position, stream, version, type, time, event_id, commit_id, "
            "(SELECT word FROM words WHERE id = user), user IS NULL, "
            "(SELECT word FROM words WHERE id = correlation), correlation IS NULL, data, metadata "
            "FROM events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            (after, to, limit),
        )
        return rows.fetchall()

    @reports_damage
    def raw_streams(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        """Rows of ``streams`` with ``id > after`` as they lie there, by id."""
        rows = self._db().execute(
            "SELECT id, name, category, version, commit_id, date FROM streams "
            "WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        return rows.fetchall()

    @reports_damage
    def word(self, number: int) -> str:
        """The type of this number."""
        return self._db().word(number)

    @reports_damage
    def stream_name(self, number: int) -> str:
        """The stream of this number."""
        return self._db().stream_name(number)

    @reports_damage
    def commits(self, after: int, limit: int) -> list[tuple[int, int, bytes]]:
        """``(position, number of the stream, commit id)`` of events after a position."""
        rows = self._db().execute(
            "SELECT position, stream, commit_id FROM events WHERE position > ? "
            "ORDER BY position LIMIT ?",
            (after, limit),
        )
        return rows.fetchall()


def _typed(db: IndexConnection, rows: Iterable[Sequence[Any]]) -> list[TypedRow]:
    words, names = db.word_texts, db.stream_names
    return [
        (
            position,
            time,
            words.get(kind) or db.word(kind),
            names.get(stream) or db.stream_name(stream),
            version,
            commit,
        )
        for position, time, kind, stream, version, commit in rows
    ]
