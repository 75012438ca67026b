"""The index: the read model of everything in git, derived, and rebuilt when it is lost.

Rows hold the canonical data (up to the spill limit) and metadata, because decoding commits reads
at a sixth of the speed. ``through`` and ``feed`` say how far it goes: every event up to position
``through`` is here, as the feed commit ``feed`` and those below it list them.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence, Set

from gitstore.backends.git.connections import transaction
from gitstore.backends.git.indexfile import reports_damage
from gitstore.backends.git.indexfilling import IndexFilling
from gitstore.backends.git.indexlists import IndexLists
from gitstore.backends.git.indexquery import Query, plan
from gitstore.backends.git.indexschema import (
    StreamHead,
    event_values,
    pack_id,
    unpack_id,
    words_of,
)
from gitstore.backends.git.indexsuperseding import IndexSuperseded, insert, insert_in_turn
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.filters import EventFilter
from gitstore.core.timestamps import from_microseconds

_COLUMNS = "position, stream, version, type, time, event_id, commit_id, data, metadata"
_IDS_AT_ONCE = 500


class Index(IndexLists, IndexFilling, IndexSuperseded):
    """``index.db``: events in, and recorded events out."""

    def __init__(
        self, layout: StoreLayout, objects: Objects, *, wal: bool, read_only: bool
    ) -> None:
        super().__init__(layout, wal=wal, read_only=read_only)
        self._objects = objects

    @reports_damage
    def add(
        self, rows: Sequence[JournalRow], through: int, feed: str, after: Set[str] | None = None
    ) -> None:
        """Index events that are in git; those that are here already are passed over.

        An event at a version that its stream has reached already says that a rebase took the old
        one's place: see ``indexsuperseding``.

        ``after``: the feed commits the index may stand at, where ``rows`` continue it; ``None``:
        any. Raises ``IndexDamaged`` where it stands elsewhere, or has other events in their place.
        """
        db = self._db()
        with transaction(db):
            if after is not None and self.state()[1] not in after:
                raise sqlite3.DatabaseError("it stands elsewhere than the journal says")
            people = [words_of(row.metadata) for row in rows]
            streams = db.intern_streams({row.stream for row in rows})
            words = db.intern_words({row.type for row in rows}.union(*people) - {None})
            values = [
                event_values(row, streams, words, *who)
                for row, who in zip(rows, people, strict=True)
            ]
            new = rows if insert(db, values) else [rows[n] for n in insert_in_turn(db, values)]
            heads = {row.stream: row for row in new}
            db.executemany(
                "UPDATE streams SET version=?, commit_id=?, date=? WHERE name=? AND version<=?",
                [(r.version, r.commit_id, r.date, r.stream, r.version) for r in heads.values()],
            )
            db.execute("UPDATE state SET through = max(through, ?), feed = ?", (through, feed))
        db.streams.update(streams)
        db.words.update(words)

    @reports_damage
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

    @reports_damage
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

    @reports_damage
    def streams(self, category: str | None) -> list[str]:
        """The names of all streams, or of one category."""
        where, values = ("", []) if category is None else (" AND category = ?", [category])
        rows = self._db().execute(f"SELECT name FROM streams WHERE version > 0{where}", values)
        return [name for (name,) in rows]

    @reports_damage
    def twin_by_case(self, stream: str) -> str | None:
        """A stream whose name differs from this one in case only."""
        folded = stream.casefold()
        rows = self._db().execute("SELECT name FROM streams")
        return next((n for (n,) in rows if n != stream and n.casefold() == folded), None)

    @reports_damage
    def counts(self) -> tuple[int, int]:
        """``(events, streams)``."""
        db = self._db()
        events = db.execute("SELECT count(*) FROM events").fetchone()[0]
        streams = db.execute("SELECT count(*) FROM streams WHERE version > 0").fetchone()[0]
        return int(events), int(streams)

    @reports_damage
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

    @reports_damage
    def commit_at(self, stream: str, version: int) -> bytes | None:
        """The 20 bytes of the commit id of ``stream@version``, without its body; 6 µs."""
        rows = self._db().execute(
            "SELECT commit_id FROM events "
            "WHERE stream = (SELECT id FROM streams WHERE name = ?) AND version = ?",
            (stream, version),
        )
        return next((commit for (commit,) in rows), None)

    @reports_damage
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

    @reports_damage
    def page(self, query: Query, limit: int) -> list[RecordedEvent]:
        """The next events of a planned query, by position, at most ``limit``."""
        return self._fetch(*query.page(limit))

    @reports_damage
    def rows_at(self, positions: Sequence[int]) -> list[RecordedEvent]:
        """The events at these positions (at most 1,000), rising."""
        marks = ",".join("?" * len(positions))
        return self._fetch(f"WHERE position IN ({marks}) ORDER BY position", positions)

    @reports_damage
    def plan(self, wanted: EventFilter, after: int, before: int, *, backwards: bool) -> Query:
        """How to read ``after < position < before`` of what is wanted."""
        return plan(self._db(), wanted, after, before, backwards=backwards)

    @reports_damage
    def positions(self, query: Query, limit: int | None) -> array[int]:
        """The positions of a query that looks them up first; 8 bytes each."""
        statement, values = query.positions(limit)
        rows = self._db().execute(statement, values)
        return array("q", (position for (position,) in rows))

    @reports_damage
    def drop_bodies(self, after: int, to: int) -> None:
        """Drop data and metadata of ``after < position <= to``: they are in git, and read there."""
        self._db().execute(
            "UPDATE events SET data = NULL, metadata = NULL "
            "WHERE position > ? AND position <= ? AND metadata IS NOT NULL",
            (after, to),
        )

    def _fetch(self, clause: str, values: Sequence[object]) -> list[RecordedEvent]:
        db = self._db()
        rows = db.execute(f"SELECT {_COLUMNS} FROM events {clause}", values).fetchall()
        replaced = self.replaced([row[0] for row in rows])
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
                    replaced.get(position),
                )
            )
        return found

    def _read_body(self, commit: str) -> tuple[JSON, Mapping[str, JSON]]:
        """Data and metadata that are not here, from git."""
        event = self._objects.read_event(commit)
        return canonical.decode_own(self._objects.read_data(event)), event.metadata
