"""Recorded events out of the index: live ones, and those that a rebase superseded.

A read is as of a position, its ``end``: what a later position superseded was live then. Whoever
reads both tables reads ``events`` first: what leaves it meanwhile is found in ``superseded``, and
what is found in both is given once.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gitstore.backends.git.indexfile import IndexConnection, reports_damage
from gitstore.backends.git.indexquery import Query, plan
from gitstore.backends.git.indexschema import pack_id, unpack_id
from gitstore.backends.git.indexsuperseding import IndexSuperseded
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.encoded import EncodedEvent
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.filters import EventFilter
from gitstore.core.timestamps import from_microseconds

_COLUMNS = "position, stream, version, type, time, event_id, commit_id, data, metadata"
_IDS_AT_ONCE = 500
NO_END = 2**63 - 1
"""As of now: no position is later."""


class Place(NamedTuple):
    """Where an event is or was.

    ``tip``: of a superseded one, the commit at which its stream ended then; ``origin``: of a
    replayed one, the commit that first recorded it; each of 40 hex digits.
    """

    event: RecordedEvent
    tip: str | None
    origin: str | None


class IndexReading(IndexSuperseded):
    """The part of the index that gives events out."""

    def __init__(
        self, layout: StoreLayout, objects: Objects, *, wal: bool, read_only: bool
    ) -> None:
        super().__init__(layout, wal=wal, read_only=read_only)
        self._objects = objects

    @reports_damage
    def by_ids(self, event_ids: Sequence[str]) -> list[RecordedEvent]:
        """The live events with one of these ids."""
        found: list[RecordedEvent] = []
        for start in range(0, len(event_ids), _IDS_AT_ONCE):
            some = [pack_id(i) for i in event_ids[start : start + _IDS_AT_ONCE]]
            marks = ",".join("?" * len(some))
            found += self._fetch(f"WHERE event_id IN ({marks})", some)
        return found

    def by_place(self, stream: str, version: int) -> RecordedEvent | None:
        """The live event at ``stream@version``."""
        rows = self.stream_page(stream, version - 1, version, 1, backwards=False)
        return rows[0] if rows else None

    @reports_damage
    def stream_page(
        self,
        stream: str,
        after: int,
        to: int,
        limit: int,
        *,
        backwards: bool,
        end: int = NO_END,
    ) -> list[RecordedEvent]:
        """Events of one stream with ``after < version <= to``, by version, at most ``limit``.

        As of ``end``: those that were live then.
        """
        order = "DESC" if backwards else "ASC"
        where = (
            "WHERE stream = (SELECT id FROM streams WHERE name = ?) "
            "AND version > ? AND version <= ? AND position <= ?"
        )
        last = f"ORDER BY version {order} LIMIT ?"
        found = self._fetch(f"{where} {last}", (stream, after, to, end, limit))
        if end == NO_END or self.epoch() <= end:
            return found
        past = self._past(
            f"{where} AND superseded_by > ? {last}", (stream, after, to, end, end, limit), end
        )
        rows = {event.version: event for event in (*found, *past)}
        return [rows[version] for version in sorted(rows, reverse=backwards)][:limit]

    @reports_damage
    def superseded_at(self, stream: str, version: int) -> list[RecordedEvent]:
        """The events that were at ``stream@version`` before the present one, by position."""
        return self._past(
            "WHERE stream = (SELECT id FROM streams WHERE name = ?) AND version = ? "
            "ORDER BY position",
            (stream, version),
        )

    @reports_damage
    def places(self, event_id: str) -> list[Place]:
        """All places of an event, by position; the last is the live one, where git has it."""
        db = self._db()
        rows = db.execute(
            f"SELECT {_COLUMNS}, superseded_by, tip, origin FROM every_event "
            "WHERE event_id = ? ORDER BY position",
            (pack_id(event_id),),
        ).fetchall()
        events = self._recorded(db, [row[:-2] for row in rows])
        return [
            Place(event, tip.hex() if tip else None, origin.hex() if origin else None)
            for event, (*_, tip, origin) in zip(events, rows, strict=True)
        ]

    @reports_damage
    def plan(self, wanted: EventFilter, after: int, before: int, *, backwards: bool) -> Query:
        """How to read ``after < position < before`` of what is wanted."""
        return plan(self._db(), wanted, after, before, backwards=backwards)

    @reports_damage
    def page(self, query: Query, limit: int) -> list[RecordedEvent]:
        """The next live events of a planned query, by position, at most ``limit``."""
        return self._fetch(*query.page(limit))

    @reports_damage
    def encoded_page(self, query: Query, limit: int) -> list[EncodedEvent]:
        """``page`` without a look into data and metadata."""
        db = self._db()
        clause, values = query.page(limit)
        rows = db.execute(f"SELECT {_COLUMNS} FROM events {clause}", values).fetchall()
        names, words = db.stream_names, db.word_texts
        found = []
        for position, stream, version, kind, time, event_id, commit, data, metadata in rows:
            if data is None or metadata is None:
                data, metadata = self._read_bytes(commit.hex())  # noqa: PLW2901
            found.append(
                EncodedEvent(
                    position,
                    names.get(stream) or db.stream_name(stream),
                    version,
                    words.get(kind) or db.word(kind),
                    time,
                    event_id if isinstance(event_id, str) else unpack_id(event_id),
                    data,
                    metadata,
                )
            )
        return found

    @reports_damage
    def rows_at(self, positions: Sequence[int]) -> list[RecordedEvent]:
        """The live events at these positions (at most 1,000), rising."""
        marks = ",".join("?" * len(positions))
        return self._fetch(f"WHERE position IN ({marks}) ORDER BY position", positions)

    @reports_damage
    def positions(self, query: Query, limit: int | None) -> array[int]:
        """The positions of a query that looks them up first; 8 bytes each."""
        statement, values = query.positions(limit)
        rows = self._db().execute(statement, values)
        return array("q", (position for (position,) in rows))

    @reports_damage
    def superseded_page(
        self, query: Query, after: int, before: int, end: int, limit: int, *, every: bool
    ) -> list[RecordedEvent]:
        """Superseded events with ``after < position < before``, by position, at most ``limit``.

        Those that a planned query wants and that were live as of ``end``; ``every``: the others
        too, which say by which position they were superseded.
        """
        least = 0 if every else end
        if self.epoch() <= least:
            return []
        return self._past(*query.past(after, before, least, limit), end)

    def _fetch(self, clause: str, values: Sequence[object]) -> list[RecordedEvent]:
        db = self._db()
        rows = db.execute(f"SELECT {_COLUMNS}, NULL FROM events {clause}", values).fetchall()
        return self._recorded(db, rows)

    def _past(
        self, clause: str, values: Sequence[object], end: int = NO_END
    ) -> list[RecordedEvent]:
        """Superseded events; what came after ``end`` is not known of them."""
        db = self._db()
        rows = db.execute(
            f"SELECT {_COLUMNS}, CASE WHEN superseded_by <= ? THEN superseded_by END "
            f"FROM superseded {clause}",
            (end, *values),
        ).fetchall()
        return self._recorded(db, rows)

    def _recorded(self, db: IndexConnection, rows: Sequence[Sequence[Any]]) -> list[RecordedEvent]:
        """Events of rows: ``_COLUMNS``, and the position that superseded it."""
        replaced = self.replaced([row[0] for row in rows])
        names, words = db.stream_names, db.word_texts
        found = []
        for position, stream, version, kind, time, event_id, commit, data, metadata, by in rows:
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
                    by,
                )
            )
        return found

    def _read_bytes(self, commit: str) -> tuple[bytes, bytes]:
        """Data and metadata that are not here, from git, as bytes."""
        event = self._objects.read_event(commit)
        return self._objects.read_data(event), canonical.encode_own(event.metadata)

    def _read_body(self, commit: str) -> tuple[JSON, Mapping[str, JSON]]:
        """Data and metadata that are not here, from git."""
        event = self._objects.read_event(commit)
        return canonical.decode_own(self._objects.read_data(event)), event.metadata
