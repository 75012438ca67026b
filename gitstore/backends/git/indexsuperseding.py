"""Rows of ``index.db`` that a rebase superseded: how they come about, and what they say.

The feed tells it all: an event at a version that its stream had reached before takes, with those
after it, the place of what the stream had from that version on. What had it leaves ``events`` for
``superseded``, so that whoever asks for live events does not meet it; each of its rows names the
position at which the same event stands since.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gitstore.backends.git.indexfile import IndexFile, reports_damage
from gitstore.backends.git.indexschema import unpack_id
from gitstore.backends.git.journalschema import JournalRow

_INSERT = "INSERT OR IGNORE INTO events VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"
_SUPERSEDE = """
INSERT INTO superseded SELECT *, :by, (
    SELECT commit_id FROM events WHERE stream = :stream ORDER BY version DESC LIMIT 1
) FROM events WHERE stream = :stream AND version >= :version
"""
# An event that is lost for good stands nowhere since: it keeps the position of the first after it.
_NAME_SUCCESSORS = """
UPDATE superseded SET superseded_by = ifnull(
    (SELECT e.position FROM events e WHERE e.event_id = superseded.event_id), superseded_by
) WHERE superseded_by = ? AND stream = ?
"""
_POSITION, _STREAM, _VERSION, _COMMIT = 0, 1, 2, 6
"""Of the values of a row."""

Values = tuple[object, ...]


class IndexSuperseded(IndexFile):
    """The part of the index that knows of rebases."""

    @reports_damage
    def epoch(self, end: int = 2**63 - 1) -> int:
        """The last position up to ``end`` whose event took another's place, 0 without any."""
        found = self._db().execute(
            "SELECT ifnull(max(superseded_by), 0) FROM superseded WHERE superseded_by <= ?", (end,)
        )
        return int(found.fetchone()[0])

    @reports_damage
    def first_superseded(self, to: int, after: int, through: int) -> tuple[int, int] | None:
        """Of the positions up to ``to`` one that was superseded, and the position that did it.

        Only where that lies in ``after < superseded_by <= through``.
        """
        found: tuple[int, int] | None = (
            self._db()
            .execute(
                "SELECT position, superseded_by FROM superseded "
                "WHERE position <= ? AND superseded_by > ? AND superseded_by <= ? LIMIT 1",
                (to, after, through),
            )
            .fetchone()
        )
        return found

    @reports_damage
    def replaced(self, positions: Sequence[int]) -> dict[int, int]:
        """Of those positions whose events stood elsewhere before: where."""
        db = self._db()
        if not positions or db.execute("SELECT 1 FROM superseded LIMIT 1").fetchone() is None:
            return {}
        marks = ",".join("?" * len(positions))
        return dict(
            db.execute(
                f"SELECT superseded_by, position FROM superseded WHERE superseded_by IN ({marks})",
                positions,
            )
        )

    @reports_damage
    def tail(self, stream: str, after: int) -> list[JournalRow | tuple[int, bytes]]:
        """The rows of a stream with ``version > after``, by version, without parents and dates.

        Position and commit id alone of those whose data or metadata lie in git only.
        """
        db = self._db()
        rows = db.execute(
            "SELECT position, version, type, time, event_id, commit_id, data, metadata, origin "
            "FROM events WHERE stream = (SELECT id FROM streams WHERE name = ?) "
            "AND version > ? ORDER BY version",
            (stream, after),
        )
        return [
            (position, commit)
            if data is None or metadata is None
            else JournalRow(
                position,
                stream,
                version,
                db.word(kind),
                time,
                event_id if isinstance(event_id, str) else unpack_id(event_id),
                commit,
                None,
                0,
                data,
                metadata,
                origin,
            )
            for position, version, kind, time, event_id, commit, data, metadata, origin in rows
        ]


def insert(db: sqlite3.Connection, values: Sequence[Values]) -> bool:
    """Insert rows of ``events``; none of them, and ``False``, where something is in the way."""
    db.execute("SAVEPOINT inserting")
    if db.executemany(_INSERT, values).rowcount == len(values) or not values:
        db.execute("RELEASE inserting")
        return True
    db.execute("ROLLBACK TO inserting")
    db.execute("RELEASE inserting")
    return False


def insert_in_turn(db: sqlite3.Connection, values: Sequence[Values]) -> list[int]:
    """Insert rows by position, and let each rebase among them supersede what it does.

    Rows that are here already are passed over; gives the numbers of those that were not. Raises
    where a row has the place or the id of another event.
    """
    ends: dict[object, int] = {}
    open_rebases: dict[object, int] = {}
    new: list[int] = []
    for number, row in enumerate(values):
        if _is_here(db, row):
            continue
        stream, version = row[_STREAM], row[_VERSION]
        assert isinstance(version, int)
        if stream not in ends:
            ends[stream] = _end(db, stream)
        if version <= ends[stream]:
            _name_successors(db, {stream: open_rebases.pop(stream, 0)})
            open_rebases[stream] = _supersede(db, row)
        if db.execute(_INSERT, row).rowcount != 1:
            raise sqlite3.DatabaseError(f"it has an event like that of position {row[_POSITION]}")
        ends[stream] = version
        new.append(number)
    _name_successors(db, open_rebases)
    return new


def _is_here(db: sqlite3.Connection, row: Values) -> bool:
    """Whether the event at the row's position is the row's; raises where it is another."""
    found = db.execute("SELECT commit_id FROM every_event WHERE position = ?", (row[_POSITION],))
    held = found.fetchone()
    if held is not None and held[0] != row[_COMMIT]:
        position = row[_POSITION]
        raise sqlite3.DatabaseError(f"it has another event in place of position {position}")
    return held is not None


def _end(db: sqlite3.Connection, stream: object) -> int:
    found = db.execute("SELECT ifnull(max(version), 0) FROM events WHERE stream = ?", (stream,))
    return int(found.fetchone()[0])


def _supersede(db: sqlite3.Connection, row: Values) -> int:
    """Move what the row and those after it replace; gives the position that stands in for now."""
    position, stream, version = row[_POSITION], row[_STREAM], row[_VERSION]
    assert isinstance(position, int)
    db.execute(_SUPERSEDE, {"by": position, "stream": stream, "version": version})
    db.execute("DELETE FROM events WHERE stream = ? AND version >= ?", (stream, version))
    return position


def _name_successors(db: sqlite3.Connection, rebases: dict[object, int]) -> None:
    """Let what was superseded name where each event stands since; rebases: stream → position."""
    db.executemany(_NAME_SUCCESSORS, [(at, stream) for stream, at in rebases.items()])
