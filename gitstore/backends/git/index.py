"""The index: the read model of everything in git, derived, and rebuilt when it is lost.

Rows hold the canonical data (up to the spill limit) and metadata, because decoding commits reads
at a sixth of the speed. ``through`` and ``feed`` say how far it goes: every event up to position
``through`` is here, as the feed commit ``feed`` and those below it list them.
"""

from __future__ import annotations

import functools
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, ParamSpec, TypeVar

from gitstore.backends.disk.files import file_identity
from gitstore.backends.git.connections import (
    Connection,
    ThreadConnections,
    connect,
    fold_log,
    transaction,
)
from gitstore.backends.git.indexquery import Query, plan
from gitstore.backends.git.indexschema import (
    SCHEMA,
    VERSION,
    StreamHead,
    event_values,
    pack_id,
    unpack_id,
    words_of,
)
from gitstore.backends.git.journal import JournalRow
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.filters import EventFilter
from gitstore.core.names import category_of
from gitstore.core.timestamps import from_microseconds

_COLUMNS = "position, stream, version, type, time, event_id, commit_id, data, metadata"
_SELECT_TYPED = "SELECT position, time, type, stream, version, commit_id FROM events"
_DAY = "(time + 62135596800000000) / 86400000000"
"""Days since the year 1: SQLite divides towards 0, and 1970 is not where time begins."""
_IDS_AT_ONCE = 500
_MOST_NAMES = 100_000
_MOST_WORDS = 10_000
"""Names and words kept in memory; more are looked up again."""


class IndexDamaged(StoreCorrupted):
    """``index.db`` is damaged, or was taken away; it can be rebuilt from git."""


TypedRow = tuple[int, int, str, str, int, bytes]
"""An event without its body: position, time (microseconds), type, stream, version, commit."""

P = ParamSpec("P")
R = TypeVar("R")


def _reports_damage(method: Callable[P, R]) -> Callable[P, R]:
    """Turn what SQLite says of a damaged file into ``IndexDamaged``."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "no such column" in str(error):
                raise IndexDamaged(f"index.db has lost its tables: {error}") from error
            raise StoreUnavailable(f"index.db cannot be used: {error}") from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise IndexDamaged(f"index.db is damaged: {error}") from error

    return call


class _Connection(Connection):
    """A connection to ``index.db``, with the names it has looked up: numbers differ by file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stream_names: dict[int, str] = {}
        self.word_texts: dict[int, str] = {}
        self.streams: dict[str, int] = {}
        self.words: dict[str | None, int | None] = {}

    def stream_name(self, number: int) -> str:
        """The stream of this number, looked up; remembered in ``stream_names``."""
        return self._look_up(self.stream_names, "SELECT name FROM streams WHERE id = ?", number)

    def word(self, number: int) -> str:
        """The type of this number, looked up; remembered in ``word_texts``."""
        return self._look_up(self.word_texts, "SELECT word FROM words WHERE id = ?", number)

    def _look_up(self, known: dict[int, str], statement: str, number: int) -> str:
        row = self.execute(statement, (number,)).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"index.db has no name {number}")
        if len(known) >= _MOST_NAMES:
            known.clear()
        name = known[number] = str(row[0])
        return name


class Index:
    """``index.db``. Writers hold the store's flush lock.

    Every method raises ``IndexDamaged`` where the file is damaged or is not the one opened.
    """

    def __init__(
        self, layout: StoreLayout, objects: Objects, *, wal: bool, read_only: bool
    ) -> None:
        self._layout = layout
        self._objects = objects
        self._wal = wal
        self._read_only = read_only
        self._connections = ThreadConnections(layout.index, self._open)

    @_reports_damage
    def create(self) -> None:
        """Make the tables, in an empty file."""
        db = self._db()
        with transaction(db):
            for statement in SCHEMA.strip().split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @_reports_damage
    def is_usable(self) -> bool:
        """Whether the file is there and has this version's tables."""
        if not self._layout.index.exists():
            return False
        db = self._db()
        return bool(db.execute("PRAGMA user_version").fetchone()[0] == VERSION)

    @_reports_damage
    def state(self) -> tuple[int, str]:
        """``(through, feed)``: how far the index goes."""
        found = self._db().execute("SELECT through, feed FROM state").fetchone()
        return int(found[0]), str(found[1])

    @_reports_damage
    def add(
        self, rows: Sequence[JournalRow], through: int, feed: str, after: Set[str] | None = None
    ) -> None:
        """Index events that are in git; those that are here already are passed over.

        ``after``: the feed commits the index may stand at, where ``rows`` continue it; ``None``:
        any. Raises ``IndexDamaged`` where it stands elsewhere, or has other events in their place.
        """
        db = self._db()
        with transaction(db):
            if after is not None and self.state()[1] not in after:
                raise sqlite3.DatabaseError("it stands elsewhere than the journal says")
            people = [words_of(row.metadata) for row in rows]
            streams = self._intern_streams(db, {row.stream for row in rows})
            words = self._intern_words(db, {row.type for row in rows}.union(*people) - {None})
            added = db.executemany(
                "INSERT OR IGNORE INTO events VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                [
                    event_values(row, streams, words, *who)
                    for row, who in zip(rows, people, strict=True)
                ],
            )
            if added.rowcount < len(rows):
                _check_same(db, rows)
            heads = {row.stream: row for row in rows}
            db.executemany(
                "UPDATE streams SET version=?, commit_id=?, date=? WHERE name=? AND version<=?",
                [(r.version, r.commit_id, r.date, r.stream, r.version) for r in heads.values()],
            )
            db.execute("UPDATE state SET through = max(through, ?), feed = ?", (through, feed))
        db.streams.update(streams)
        db.words.update(words)

    @_reports_damage
    def head(self, stream: str) -> StreamHead | None:
        """Where the stream ends in git, ``None`` for a stream that is not there."""
        row = (
            self._db()
            .execute("SELECT version, commit_id, date FROM streams WHERE name = ?", (stream,))
            .fetchone()
        )
        return StreamHead(*row) if row and row[0] else None

    def heads(self) -> Iterator[tuple[str, StreamHead]]:
        """All streams and where they end, by name."""
        after = ""
        while True:
            rows = self._heads_page(after)
            for name, version, commit, date in rows:
                yield name, StreamHead(version, commit, date)
            if not rows:
                return
            after = rows[-1][0]

    @_reports_damage
    def _heads_page(self, after: str) -> list[tuple[str, int, bytes, int]]:
        return (
            self._db()
            .execute(
                "SELECT name, version, commit_id, date FROM streams "
                "WHERE name > ? AND version > 0 ORDER BY name LIMIT 1000",
                (after,),
            )
            .fetchall()
        )

    @_reports_damage
    def streams(self, category: str | None) -> list[str]:
        """The names of all streams, or of one category."""
        where, values = ("", []) if category is None else (" AND category = ?", [category])
        rows = self._db().execute(f"SELECT name FROM streams WHERE version > 0{where}", values)
        return [name for (name,) in rows]

    @_reports_damage
    def twin_by_case(self, stream: str) -> str | None:
        """A stream whose name differs from this one in case only."""
        folded = stream.casefold()
        rows = self._db().execute("SELECT name FROM streams")
        return next((n for (n,) in rows if n != stream and n.casefold() == folded), None)

    @_reports_damage
    def counts(self) -> tuple[int, int]:
        """``(events, streams)``."""
        db = self._db()
        events = db.execute("SELECT count(*) FROM events").fetchone()[0]
        streams = db.execute("SELECT count(*) FROM streams WHERE version > 0").fetchone()[0]
        return int(events), int(streams)

    @_reports_damage
    def by_ids(self, event_ids: Sequence[str]) -> list[RecordedEvent]:
        """The events with one of these ids."""
        found: list[RecordedEvent] = []
        for start in range(0, len(event_ids), _IDS_AT_ONCE):
            some = [pack_id(i) for i in event_ids[start : start + _IDS_AT_ONCE]]
            marks = ",".join("?" * len(some))
            found += self._fetch(f"WHERE event_id IN ({marks})", some)
        return found

    def by_place(self, stream: str, version: int) -> RecordedEvent | None:
        """The event at ``stream@version``."""
        rows = self.stream_page(stream, version - 1, version, 1, backwards=False)
        return rows[0] if rows else None

    @_reports_damage
    def stream_page(
        self, stream: str, after: int, to: int, limit: int, *, backwards: bool
    ) -> list[RecordedEvent]:
        """Events of one stream with ``after < version <= to``, by version, at most ``limit``."""
        order = "DESC" if backwards else "ASC"
        return self._fetch(
            "WHERE stream = (SELECT id FROM streams WHERE name = ?) "
            f"AND version > ? AND version <= ? ORDER BY version {order} LIMIT ?",
            (stream, after, to, limit),
        )

    @_reports_damage
    def page(self, query: Query, limit: int) -> list[RecordedEvent]:
        """The next events of a planned query, by position, at most ``limit``."""
        return self._fetch(*query.page(limit))

    @_reports_damage
    def rows_at(self, positions: Sequence[int]) -> list[RecordedEvent]:
        """The events at these positions (at most 1,000), rising."""
        marks = ",".join("?" * len(positions))
        return self._fetch(f"WHERE position IN ({marks}) ORDER BY position", positions)

    @_reports_damage
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

    @_reports_damage
    def _sorted_by_day(self, to: int) -> tuple[_Connection, sqlite3.Cursor]:
        db = self._db()
        order = f"ORDER BY type, {_DAY}, position"
        return db, db.execute(f"{_SELECT_TYPED} WHERE position <= ? {order}", (to,))

    @_reports_damage
    def _typed_page(self, db: _Connection, rows: sqlite3.Cursor) -> list[TypedRow]:
        return _typed(db, rows.fetchmany(1_000))

    @_reports_damage
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

    @_reports_damage
    def raw_streams(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        """Rows of ``streams`` with ``id > after`` as they lie there, by id."""
        rows = self._db().execute(
            "SELECT id, name, category, version, commit_id, date FROM streams "
            "WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        return rows.fetchall()

    @_reports_damage
    def word(self, number: int) -> str:
        """The type of this number."""
        return self._db().word(number)

    @_reports_damage
    def stream_name(self, number: int) -> str:
        """The stream of this number."""
        return self._db().stream_name(number)

    @_reports_damage
    def plan(self, wanted: EventFilter, after: int, before: int, *, backwards: bool) -> Query:
        """How to read ``after < position < before`` of what is wanted."""
        return plan(self._db(), wanted, after, before, backwards=backwards)

    @_reports_damage
    def positions(self, query: Query, limit: int | None) -> array[int]:
        """The positions of a query that looks them up first; 8 bytes each."""
        statement, values = query.positions(limit)
        rows = self._db().execute(statement, values)
        return array("q", (position for (position,) in rows))

    @_reports_damage
    def check(self, *, every_index: bool = False) -> None:
        """Raise ``IndexDamaged`` where SQLite finds the file damaged; reads all of it.

        ``every_index``: also that each of its indexes lists what the tables hold, 5 µs an event.
        """
        what = "integrity_check(1)" if every_index else "quick_check(1)"
        found = self._db().execute(f"PRAGMA {what}").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    @_reports_damage
    def checkpoint(self) -> None:
        """Move the log into the file when it has grown; call under the flush lock."""
        log = self._layout.index.with_name("index.db-wal")
        if log.exists() and log.stat().st_size > 8 << 20:
            self._db().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    @_reports_damage
    def cut_log(self) -> None:
        """Move the whole log into the file, and cut it to nothing; call under the flush lock."""
        fold_log(self._db(), "TRUNCATE")

    @_reports_damage
    def commits(self, after: int, limit: int) -> list[tuple[int, int, bytes]]:
        """``(position, number of the stream, commit id)`` of events after a position."""
        rows = self._db().execute(
            "SELECT position, stream, commit_id FROM events WHERE position > ? "
            "ORDER BY position LIMIT ?",
            (after, limit),
        )
        return rows.fetchall()

    @_reports_damage
    def drop_bodies(self, after: int, to: int) -> None:
        """Drop data and metadata of ``after < position <= to``: they are in git, and read there."""
        self._db().execute(
            "UPDATE events SET data = NULL, metadata = NULL "
            "WHERE position > ? AND position <= ? AND metadata IS NOT NULL",
            (after, to),
        )

    @_reports_damage
    def give_back_space(self) -> None:
        """Write the file anew without what was dropped; readers go on meanwhile."""
        self._db().execute("VACUUM")

    def reopen(self) -> None:
        """Every thread opens the file at the index's path anew."""
        self._connections.reopen()

    def close(self) -> None:
        """Close it."""
        self._connections.close()

    def _db(self) -> _Connection:
        connection = self._connections.get()
        if file_identity(self._layout.index) != connection.identity:
            raise sqlite3.DatabaseError("another file is in its place")
        return connection

    def _open(self) -> _Connection:
        connection = connect(
            self._layout.index,
            _Connection,
            synchronous="NORMAL",
            wal=self._wal,
            read_only=self._read_only,
        )
        connection.execute("PRAGMA cache_size = -16000")
        return connection

    def _fetch(self, clause: str, values: Sequence[object]) -> list[RecordedEvent]:
        db = self._db()
        rows = db.execute(f"SELECT {_COLUMNS} FROM events {clause}", values)
        names, words = db.stream_names, db.word_texts
        found = []
        for position, stream, version, kind, time, event_id, commit, data, metadata in rows:
            commit_hex = commit.hex()
            if data is None or metadata is None:
                body, about = self._read_body(commit_hex)
            else:
                body, about = canonical.decode_own(data), canonical.decode_own(metadata)
            found.append(
                trusted_event(
                    names.get(stream) or db.stream_name(stream),
                    words.get(kind) or db.word(kind),
                    body,
                    about,
                    event_id if isinstance(event_id, str) else unpack_id(event_id),
                    from_microseconds(time),
                    version,
                    position,
                    commit_hex,
                )
            )
        return found

    def _read_body(self, commit: str) -> tuple[JSON, Mapping[str, JSON]]:
        """Data and metadata that are not here, from git."""
        event = self._objects.read_event(commit)
        return canonical.decode_own(self._objects.read_data(event)), event.metadata

    def _intern_streams(self, db: _Connection, wanted: Set[str]) -> dict[str, int]:
        found = {name: db.streams[name] for name in wanted if name in db.streams}
        for name in sorted(wanted - found.keys()):
            db.execute(
                "INSERT OR IGNORE INTO streams VALUES(NULL, ?, ?, 0, x'', 0)",
                (name, category_of(name)),
            )
            row = db.execute("SELECT id FROM streams WHERE name = ?", (name,)).fetchone()
            found[name] = row[0]
        if len(db.streams) >= _MOST_NAMES:
            db.streams.clear()
        return found

    def _intern_words(
        self, db: _Connection, wanted: Set[str | None]
    ) -> dict[str | None, int | None]:
        names = sorted(word for word in wanted if word is not None)
        found: dict[str | None, int | None] = {word: db.words.get(word) for word in names}
        missing = [word for word in names if found[word] is None]
        db.executemany("INSERT OR IGNORE INTO words VALUES(NULL, ?)", [(w,) for w in missing])
        for start in range(0, len(missing), _IDS_AT_ONCE):
            some = missing[start : start + _IDS_AT_ONCE]
            marks = ",".join("?" * len(some))
            found.update(db.execute(f"SELECT word, id FROM words WHERE word IN ({marks})", some))
        found[None] = None
        if len(db.words) >= _MOST_WORDS:
            db.words.clear()
        return found


def _typed(db: _Connection, rows: Iterable[Sequence[Any]]) -> list[TypedRow]:
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


def _check_same(db: sqlite3.Connection, rows: Sequence[JournalRow]) -> None:
    """Raise where a row was passed over because another event has its position, place or id."""
    for row in rows:
        found = db.execute("SELECT commit_id FROM events WHERE position = ?", (row.position,))
        if found.fetchone() != (row.commit_id,):
            raise sqlite3.DatabaseError(f"it has another event in place of position {row.position}")
