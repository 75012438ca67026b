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
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.idempotence import Proposal, already_recorded, check_batch_ids, check_new
from gitstore.core.timestamps import format_timestamp

_INSERT = f"{INSERT} VALUES({MARKS})"
_INSERT_AFTER = f"{INSERT} SELECT {MARKS} WHERE (SELECT max(position) FROM events) IS ?"


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

    def append(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> Appended:
        """Record proposals, or find them recorded; see the protocol's ``append_many``."""
        ids = check_batch_ids(proposals)
        if not proposals:
            return Appended([], is_new=False)
        self._lock.acquire()
        try:
            self._table.file.check_place()
            appended = self._append(proposals, ids, expected)
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

    def _append(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> Appended:
        try:
            insert = self._insert if len(proposals) == 1 else self._insert_all
            events = insert(proposals, expected)
        except (WrongExpectedVersion, sqlite3.IntegrityError):
            events = None  # by what is cached, and before ids were looked up: no ground to refuse
        if events is not None:
            return Appended(events, is_new=True)
        self._heads.forget()
        return self._decide(proposals, ids, expected)

    def _insert(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> list[RecordedEvent] | None:
        """One new event by one statement; ``None`` where others have written."""
        heads = self._heads
        if heads.last < 0:
            heads.refresh()
        given = proposals[0].event
        stream = given.stream_id
        head = heads.get(stream)
        if given.version or any(belief is not ANY for belief in expected.values()):
            check_new(proposals, expected, self._versions(proposals, expected))
        event, values = self._place(proposals[0], head + 1, heads.last + 1)
        done = self._table.file.get().execute(_INSERT_AFTER, (*values, heads.last or None))
        if done.rowcount != 1:
            return None
        heads.note(stream, head + 1)
        heads.last += 1
        return [event]

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
