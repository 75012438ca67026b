"""The store in memory: the reference implementation of the contract, in its plainest form."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gitstore.backends.stamping import Stamper
from gitstore.core import canonical
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import StoreUnavailable
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.filters import EventFilter, Names
from gitstore.core.idempotence import Proposal, already_recorded, check_batch_ids, check_new
from gitstore.core.names import category_of, check_event_id, check_stream_id
from gitstore.core.protocol import Capabilities, Handler
from gitstore.core.status import StoreStatus
from gitstore.core.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of an event: bytes, which neither a caller nor a reader can change."""

    stream_id: str
    type: str
    data: bytes
    metadata: bytes
    id: str
    timestamp: datetime
    version: int
    position: int

    def recorded(self) -> RecordedEvent:
        """The event, with data and metadata of its own each time."""
        event = DomainEvent(
            self.stream_id,
            self.type,
            canonical.decode_own(self.data),
            canonical.decode_own(self.metadata),
            self.id,
            self.timestamp,
            self.version,
        )
        return RecordedEvent(event, self.position)


class MemoryEventStore(BaseEventStore):
    """Events in lists, gone with the object. Safe for threads."""

    capabilities = Capabilities(durable=False, multi_process=False, commits=False)

    def __init__(self, stamper: Stamper | None = None) -> None:
        self._stamper = stamper or Stamper()
        self._all: list[_Row] = []
        self._streams: dict[str, list[_Row]] = {}
        self._by_id: dict[str, _Row] = {}
        self._changed = threading.Condition()
        self._subscriptions = Subscriptions()
        self._closed = False

    def append(self, event: DomainEvent, expected_version: ExpectedVersion = ANY) -> RecordedEvent:
        return self.append_many([event], {event.stream_id: expected_version})[0]

    def append_many(
        self,
        events: Iterable[DomainEvent],
        expected_versions: Mapping[str, ExpectedVersion] | None = None,
    ) -> list[RecordedEvent]:
        return self._append(self._checked(events), expected_versions or {})

    def append_history(self, events: Iterable[DomainEvent]) -> list[RecordedEvent]:
        return self._append(events, {})

    def _append(
        self, events: Iterable[DomainEvent], expected: Mapping[str, ExpectedVersion]
    ) -> list[RecordedEvent]:
        proposals = [Proposal.of(event) for event in events]
        ids = check_batch_ids(proposals)
        with self._changed:
            self._check_open()
            if not proposals:
                return []
            known = {i: self._by_id[i].recorded() for i in ids if i in self._by_id}
            streams = [*(p.event.stream_id for p in proposals), *expected]
            versions = {stream: self._head(stream) for stream in streams}
            recorded = already_recorded(proposals, known, expected, versions)
            if recorded is not None:
                return recorded
            check_new(proposals, expected, versions)
            rows = [self._record(proposal) for proposal in proposals]
            self._subscriptions.enqueue(row.recorded() for row in rows)
            self._changed.notify_all()
        self._subscriptions.deliver()
        return [row.recorded() for row in rows]

    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        to_version: int | None = None,
        limit: int | None = None,
        backwards: bool = False,
    ) -> Iterator[RecordedEvent]:
        check_stream_id(stream_id)
        self._check_open()
        rows = self._streams.get(stream_id, [])
        with self._changed:  # not between two events of a batch
            last = len(rows)
        last = last if to_version is None else min(to_version, last)
        return _give(rows, after_version, last, EventFilter(), limit, backwards)

    def read_all(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        backwards: bool = False,
        *,
        users: Names = None,
        correlations: Names = None,
        superseded: bool = False,  # noqa: ARG002 - nothing here ever is
    ) -> Iterator[RecordedEvent]:
        wanted = EventFilter.of(types, streams, categories, users, correlations, since, until)
        self._check_open()
        return _give(self._all, after_position, self._last(), wanted, limit, backwards)

    def follow(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        users: Names = None,
        correlations: Names = None,
        stop: threading.Event | None = None,
        superseded: bool = False,  # noqa: ARG002 - nothing here ever is
    ) -> Iterator[RecordedEvent]:
        wanted = EventFilter.of(types, streams, categories, users, correlations, since, until)
        self._check_open()
        return self._follow(after_position, wanted, stop or threading.Event())

    def _follow(
        self, position: int, wanted: EventFilter, stop: threading.Event
    ) -> Iterator[RecordedEvent]:
        while not (stop.is_set() or self._closed):
            last = self._last()
            for recorded in _give(self._all, position, last, wanted):
                yield recorded
                if stop.is_set() or self._closed:
                    return
            position = max(position, last)
            with self._changed:
                # Bounded, because nobody notifies when `stop` is set.
                self._changed.wait_for(self._news_after(last), 0.05)

    def _news_after(self, last: int) -> Callable[[], bool]:
        return lambda: len(self._all) > last or self._closed

    def streams(self, category: str | None = None) -> Iterator[str]:
        self._check_open()
        with self._changed:  # not between two events of a batch
            names = list(self._streams)
        return iter(sorted(s for s in names if category in (None, category_of(s))))

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        self._check_open()
        return self._subscriptions.add(handler)

    def find_event(self, event_id: str) -> RecordedEvent | None:
        check_event_id(event_id)
        self._check_open()
        row = self._by_id.get(event_id)
        return row.recorded() if row else None

    def last_position(self) -> int:
        self._check_open()
        return self._last()

    def status(self) -> StoreStatus:
        self._check_open()
        with self._changed:  # not between two events of a batch
            events, streams = len(self._all), len(self._streams)
        return StoreStatus("memory:", "in memory", self.store_id, events, streams)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed", hint="Open it again with open_store().")

    def _last(self) -> int:
        with self._changed:
            return len(self._all)

    def _head(self, stream_id: str) -> int:
        return len(self._streams.get(stream_id, ()))

    def _record(self, proposal: Proposal) -> _Row:
        given = proposal.event
        timestamp = given.timestamp or self._stamper.clock()
        row = _Row(
            given.stream_id,
            given.type,
            proposal.data,
            proposal.metadata,
            given.id or self._stamper.new_id(timestamp),
            timestamp,
            self._head(given.stream_id) + 1,
            len(self._all) + 1,
        )
        self._all.append(row)
        self._streams.setdefault(row.stream_id, []).append(row)
        self._by_id[row.id] = row
        return row


def _give(
    rows: Sequence[_Row],
    after: int,
    to: int,
    wanted: EventFilter,
    limit: int | None = None,
    backwards: bool = False,
) -> Iterator[RecordedEvent]:
    """Places ``after`` (exclusive) ``to`` (inclusive), counted from 1, that are wanted."""
    places = range(max(after, 0), to)
    for place in reversed(places) if backwards else places:
        if limit is not None and limit <= 0:
            return
        recorded = rows[place].recorded()
        if wanted.matches(recorded):
            yield recorded
            if limit is not None:
                limit -= 1
