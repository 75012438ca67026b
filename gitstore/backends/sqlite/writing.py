"""Append: from proposed events to durable rows.

One event is one statement: its conditions and the table's unique keys are the compare-and-swap.
Where they do not hold (the id is known, another program has written, the caller expects another
version), nothing was inserted, and the careful way decides in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gitstore.backends.disk.connections import transaction
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.sqlite.heads import Heads
from gitstore.backends.stamping import Stamper
from gitstore.backends.table.schema import INSERT, MARKS, Values
from gitstore.backends.table.table import EventTable
from gitstore.backends.table.tablefile import told
from gitstore.core.errors import WrongExpectedVersion
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.expected import ANY, ExpectedVersion, check_expected
from gitstore.core.idempotence import Proposal, already_recorded, check_batch_ids, check_new
from gitstore.core.timestamps import format_timestamp

_INSERT = f"{INSERT} VALUES({MARKS})"
# Where `last` is not the last position any more, NULL is put in, which the table refuses. Not as a
# SELECT with a condition: SQLite would put its row into a temporary table first.
_INSERT_NEXT = (
    f"{INSERT} VALUES((SELECT CASE WHEN max(position) IS ? THEN ? END FROM events),?,?,?,?,?,?,?)"
)


class Appended(NamedTuple):
    """What an append did: the recorded events, and whether they are new."""

    events: list[RecordedEvent]
    is_new: bool


class Writer:
    """Makes events durable; every method is safe for threads.

    ``on_recorded`` is called with new events, under the lock that gave them their positions.
    """

    def __init__(
        self,
        table: EventTable,
        lock: FileLock,
        stamper: Stamper,
        on_recorded: Callable[[Sequence[RecordedEvent]], None],
    ) -> None:
        self._table = table
        self._lock = lock
        self._stamper = stamper
        self._heads = Heads(table)
        self._on_recorded = on_recorded

    def append(self, proposal: Proposal, belief: ExpectedVersion) -> Appended:
        """Record one event, or find it recorded; see the protocol's ``append``."""

        def record() -> Appended:
            event = self._insert(proposal, belief)
            if event is not None:
                return Appended([event], is_new=True)
            self._heads.forget()
            ids = check_batch_ids([proposal])
            return self._decide([proposal], ids, {proposal.event.stream_id: belief})

        return self._locked(record)

    def append_many(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> Appended:
        """Record events, or find them recorded; see the protocol's ``append_many``."""
        ids = check_batch_ids(proposals)
        if not proposals:
            return Appended([], is_new=False)

        def record() -> Appended:
            try:
                return Appended(self._insert_all(proposals, expected), is_new=True)
            except (WrongExpectedVersion, sqlite3.IntegrityError):
                self._heads.forget()  # ids were not looked up yet, and heads may be out of date
                return self._decide(proposals, ids, expected)

        return self._locked(record)

    def _locked(self, record: Callable[[], Appended]) -> Appended:
        self._lock.acquire()
        try:
            self._table.file.check_place()
            appended = record()
            if appended.is_new:
                self._on_recorded(appended.events)
        except sqlite3.Error as error:
            self._heads.forget()
            raise told(self._table.path, error) from error
        except BaseException:
            self._heads.forget()
            raise
        finally:
            self._lock.release()
        return appended

    def _insert(self, proposal: Proposal, belief: ExpectedVersion) -> RecordedEvent | None:
        """A new event by one statement; ``None`` where that cannot be told from what is cached."""
        heads, given = self._heads, proposal.event
        if heads.last < 0:
            heads.refresh()
        head, last = heads.get(given.stream_id), heads.last
        if given.version not in (None, head + 1):
            return None
        event, values = self._place(proposal, head + 1, last + 1)
        try:
            if belief is not ANY:
                check_expected(given.stream_id, belief, head)
            self._table.file.get().execute(_INSERT_NEXT, (last or None, *values))
        except (WrongExpectedVersion, sqlite3.IntegrityError):
            return None
        heads.note(given.stream_id, head + 1)
        heads.last = last + 1
        return event

    def _insert_all(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> list[RecordedEvent]:
        """New events in one transaction."""
        with transaction(self._table.file.get()):
            self._heads.refresh()
            versions = self._versions(proposals, expected)
            check_new(proposals, expected, versions)
            return self._put_in(proposals, versions)

    def _decide(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> Appended:
        """What the table says, with nobody else writing: recorded before, new, or refused."""
        with transaction(self._table.file.get()):
            self._heads.refresh()
            known = {event.event.id or "": event for event in self._table.by_ids(ids)}
            versions = self._versions(proposals, expected)
            found = already_recorded(proposals, known, expected, versions)
            if found is not None:
                return Appended(found, is_new=False)
            check_new(proposals, expected, versions)
            return Appended(self._put_in(proposals, versions), is_new=True)

    def _versions(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> dict[str, int]:
        streams = dict.fromkeys([*(p.event.stream_id for p in proposals), *expected])
        return {stream: self._heads.get(stream) for stream in streams}

    def _put_in(
        self, proposals: Sequence[Proposal], versions: dict[str, int]
    ) -> list[RecordedEvent]:
        """Insert proposals after the streams' versions, which move, in an open transaction."""
        events: list[RecordedEvent] = []
        rows: list[Values] = []
        for position, proposal in enumerate(proposals, self._heads.last + 1):
            stream = proposal.event.stream_id
            versions[stream] += 1
            event, values = self._place(proposal, versions[stream], position)
            events.append(event)
            rows.append(values)
        self._table.file.get().executemany(_INSERT, rows)
        for stream in {row[1] for row in rows}:
            self._heads.note(stream, versions[stream])
        self._heads.last += len(rows)
        return events

    def _place(
        self, proposal: Proposal, version: int, position: int
    ) -> tuple[RecordedEvent, Values]:
        """A proposed event at its place, with an id and a time, and its row."""
        given = proposal.event
        time = given.timestamp or self._stamper.clock()
        event_id = given.id or self._stamper.new_id(time)
        event = trusted_event(
            given.stream_id,
            given.type,
            proposal.own_data,
            proposal.own_metadata,
            event_id,
            time,
            version,
            position,
            None,
        )
        return event, (
            position,
            given.stream_id,
            version,
            given.type,
            format_timestamp(time),
            event_id,
            proposal.data.decode(),
            proposal.metadata.decode(),
        )
