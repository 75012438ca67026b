"""What the index lists without decoding it: for the type index, verify, repair and packing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gitstore.backends.git.indexfile import IndexConnection, IndexFile, reports_damage
from gitstore.backends.git.indexschema import pack_id, unpack_id

# A commit that a rebase brought back is listed where it came first.
_ONCE = (
    "NOT EXISTS (SELECT 1 FROM superseded f WHERE f.stream = e.stream "
    "AND f.version = e.version AND f.commit_id = e.commit_id AND f.position < e.position)"
)


def _every(columns: str, where: str) -> str:
    """The query for every commit, live or superseded; SQLite merges its halves by position."""
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {table} e WHERE {where} AND {_ONCE}"
        for table in ("events", "superseded")
    )


_TYPED = "position, time, type, stream, version, commit_id"
# The numbers of time are taken from the year 1 on: SQLite divides towards 0.
_NOTE_LINES = f"""
SELECT type, note,
    strftime('%Y-%m-%dT%H:%M:%S.', second, 'unixepoch')
    || CASE WHEN micro % 1000 THEN printf('%06d', micro) ELSE printf('%03d', micro / 1000) END
    || 'Z ' || name || '@' || version || ' ' || lower(hex(commit_id)) || char(10)
FROM (
    SELECT type, day,
        (row_number() OVER (PARTITION BY type, day ORDER BY position) - 1) / ? AS note,
        passed / 1000000 - 62135596800 AS second, passed % 1000000 AS micro,
        passed, name, version, commit_id
    FROM (
        SELECT e.position, e.type, e.version, e.commit_id, s.name,
            e.time + 62135596800000000 AS passed,
            (e.time + 62135596800000000) / 86400000000 AS day
        FROM ({_every(_TYPED, "position <= ?")}) e JOIN streams s ON s.id = e.stream
    )
)
ORDER BY type, day, note, passed, name, version, commit_id
"""

TypedRow = tuple[int, int, str, str, int, bytes]
"""An event without its body: position, time (microseconds), type, stream, version, commit."""


class IndexLists(IndexFile):
    """``index.db``, row by row."""

    @reports_damage
    def typed(self, after: int, to: int, limit: int) -> list[TypedRow]:
        """Rows with ``after < position <= to``, by position, at most ``limit``.

        As all that the type index asks for: what was superseded too, and each commit once.
        """
        db = self._db()
        every = _every(_TYPED, "position > ?1 AND position <= ?2")
        rows = db.execute(f"{every} ORDER BY position LIMIT ?3", (after, to, limit))
        return _typed(db, rows)

    @reports_damage
    def typed_between(self, type_name: str, since: int, until: int, to: int) -> list[TypedRow]:
        """Rows of one type with ``since <= time < until`` and ``position <= to``, in any order."""
        db = self._db()
        every = _every(
            _TYPED,
            "+type = (SELECT id FROM words WHERE word = ?1) "
            "AND time >= ?2 AND time < ?3 AND position <= ?4",
        )
        rows = db.execute(every, (type_name, since, until, to))
        return _typed(db, rows)

    @reports_damage
    def count_to(self, position: int) -> int:
        """How many commits stand at ``position`` or a lower one."""
        every = _every("1", "position <= ?1")
        found = self._db().execute(f"SELECT count(*) FROM ({every})", (position,))
        return int(found.fetchone()[0])

    def note_lines(self, to: int, most: int) -> Iterator[tuple[str, int, str]]:
        """Type, number of the note from 0, and line of every commit with ``position <= to``.

        In the order of the type index: by type, UTC day, note (of ``most`` lines each), and in a
        note by time, stream and version. SQLite makes the lines, so that other threads go on.
        """
        db, rows = self._sorted_lines(to, most)
        while page := self._some_lines(db, rows):
            yield from page

    @reports_damage
    def _sorted_lines(self, to: int, most: int) -> tuple[IndexConnection, sqlite3.Cursor]:
        db = self._db()
        return db, db.execute(_NOTE_LINES, (most, to, to))

    @reports_damage
    def _some_lines(self, db: IndexConnection, rows: sqlite3.Cursor) -> list[tuple[str, int, str]]:
        words = db.word_texts
        page = rows.fetchmany(1_000)
        return [(words.get(kind) or db.word(kind), note, line) for kind, note, line in page]

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
    def commits_of(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        """Of those event ids that are here (at most 500 are asked for): their commit ids."""
        marks = ",".join("?" * len(event_ids))
        rows = self._db().execute(
            f"SELECT event_id, commit_id FROM events WHERE event_id IN ({marks})",
            list(map(pack_id, event_ids)),
        )
        return {unpack_id(i) if isinstance(i, bytes) else i: commit for i, commit in rows}

    @reports_damage
    def tips(self) -> list[tuple[str, int, bytes]]:
        """``(name, version, commit id)`` of where each stream ends in git, in no order; 0.5 µs."""
        rows = self._db().execute("SELECT name, version, commit_id FROM streams WHERE version > 0")
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
        """``(position, number of the stream, commit id)`` of commits after a position."""
        every = _every("position, stream, commit_id", "position > ?1")
        rows = self._db().execute(f"{every} ORDER BY position LIMIT ?2", (after, limit))
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
