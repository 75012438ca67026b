"""The JSONL store: the contract of ``gitstore.core.protocol`` on a layout of files."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gitstore.backends.jsonl.folders import writing_errors_told
from gitstore.backends.jsonl.layout import INDEXES
from gitstore.backends.jsonl.making import open_parts
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.preparing import is_current, keep_up
from gitstore.backends.jsonl.recovery import bring_up, settle
from gitstore.backends.jsonl.replacing import replacement
from gitstore.backends.jsonl.state import LiveState, Source
from gitstore.backends.jsonl.takingin import take_in
from gitstore.backends.jsonl.verifying import verify
from gitstore.backends.jsonl.writing import Appended, Writer
from gitstore.backends.stamping import Stamper
from gitstore.backends.table.reading import Reader
from gitstore.core.base import BaseEventStore
from gitstore.core.canonical import JSON
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import ForeignCheckpoint, StoreUnavailable
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.filters import EventFilter, Names
from gitstore.core.findings import Progress, VerifyReport
from gitstore.core.garbage import uncollected
from gitstore.core.idempotence import Proposal
from gitstore.core.names import check_event_id, check_stream_id
from gitstore.core.protocol import Capabilities, Handler
from gitstore.core.status import StoreStatus
from gitstore.core.subscriptions import Subscriptions

_LOG = logging.getLogger("gitstore.store")


class JsonlEventStore(BaseEventStore):
    """Events as lines of files. Safe for threads and processes, not over a fork."""

    capabilities = Capabilities(durable=True, multi_process=True, commits=False)

    def __init__(self, parts: Parts, *, takes_events: bool) -> None:
        self._parts = parts
        self._takes_events = takes_events
        self._process = os.getpid()
        self._closed = threading.Event()
        self._subscriptions = Subscriptions()
        self._writer = Writer(parts, self._take_in, self._subscriptions.enqueue)
        self._reader = Reader(parts.index, self._look)
        self._at_exit = _close_at_exit(self)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = True,
        stamper: Stamper | None = None,
        part: Mapping[str, JSON] | None = None,
    ) -> JsonlEventStore:
        """Open the store at ``path``; see ``gitstore.open_store``.

        ``part``: what makes it hold a part of a history, as any JSON object: versions may then
        have gaps, and events must come with id, version and timestamp. Opened without, it takes no
        events; with another, it is refused with ``StoreUnavailable``.
        """
        with writing_errors_told(str(path)):
            parts = open_parts(path, stamper or Stamper(), part, create=create)
        return cls(parts, takes_events=part is not None or not parts.state.part)

    @property
    def store_id(self) -> str:
        self._check_open()
        return self._parts.state.store_id

    def directory_for(self, what: str) -> Path | None:
        return self._parts.where / INDEXES / what

    @property
    def source(self) -> Source | None:
        """What ``note_source`` noted, by whichever process; ``None`` where nobody has."""
        self._check_open()
        with writing_errors_told(str(self._parts.where)), self._parts.lock.held():
            return self._state().source

    def note_source(self, source: Source, store_id: str) -> None:
        """Note the store this one was exported from, and how far both say the same; durable.

        ``store_id``: of this store when that was found; nothing is noted where it is another now.
        """
        self._check_open()
        parts = self._parts
        with writing_errors_told(str(parts.where)), parts.lock.held():
            state = self._state()
            if state.store_id == store_id and state.source != source:
                parts.state = replace(state, source=source)
                parts.state.save(parts.indexes)

    @contextmanager
    def replaced(self, store_id: str) -> Iterator[JsonlEventStore | None]:
        """An empty store of the same part, which takes the place of this one when the block ends.

        It must then have every event of this one, at whatever version and position: else
        ``WouldLose``, and nothing is replaced, as after an error in the block. Afterwards this
        store, in every process that has it open, has the id and the positions of the new one.

        ``store_id``: of the store that is to be replaced; gives ``None`` where it is another now.
        """
        self._check_open()
        with replacement(self._parts, store_id) as where:
            if where is None:
                yield None
                return
            with JsonlEventStore.open(where, part=self._parts.state.part) as anew:
                yield anew

    def append(self, event: DomainEvent, expected_version: ExpectedVersion = ANY) -> RecordedEvent:
        proposal = Proposal.of(*self._checked([event]))
        self._check_writable()
        return self._deliver(self._writer.append(proposal, expected_version))[0]

    def append_many(
        self,
        events: Iterable[DomainEvent],
        expected_versions: Mapping[str, ExpectedVersion] | None = None,
    ) -> list[RecordedEvent]:
        proposals = [Proposal.of(event) for event in self._checked(events)]
        return self._append(proposals, expected_versions or {})

    def append_history(self, events: Iterable[DomainEvent]) -> list[RecordedEvent]:
        return self._append([Proposal.of(event) for event in events], {})

    def append_encoded(self, events: Sequence[EncodedEvent]) -> None:
        with uncollected():
            self._append([Proposal.of_encoded(event) for event in events], {})

    def read_encoded(self, after_position: int = 0, **filters: Any) -> Iterator[EncodedEvent]:
        filters.pop("superseded", False)  # nothing here ever is
        if any(value is not None for value in filters.values()):
            return super().read_encoded(after_position, **filters)
        self._check_open()
        return self._numbered(after_position).encoded(after_position)

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
        return self._reader.stream(stream_id, after_version, to_version, limit, backwards=backwards)

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
        return self._numbered(after_position).all(
            wanted, after_position, limit, backwards=backwards
        )

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
        end = stop or threading.Event()
        return self._numbered(after_position).follow(wanted, after_position, end, self._closed)

    def streams(self, category: str | None = None) -> Iterator[str]:
        self._check_open()
        return self._reader.streams(category)

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        self._check_open()
        return self._subscriptions.add(handler)

    def find_event(self, event_id: str) -> RecordedEvent | None:
        check_event_id(event_id)
        self._check_open()
        return self._reader.by_id(event_id)

    def last_position(self) -> int:
        self._check_open()
        return self._reader.last_position()

    def status(self) -> StoreStatus:
        self._check_open()
        self._look()
        events, streams = self._parts.index.counts()
        where = self._parts.where
        return StoreStatus(
            f"jsonl:{where}",
            "JSONL layout 2",
            self.store_id,
            events,
            streams,
            unflushed=self._parts.journal.count,
            size=_size_of(where),
            notes=self._parts.index.notes(),
        )

    def verify(
        self, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
    ) -> VerifyReport:
        self._check_open()
        return verify(self._parts, repair=repair, deep=deep, progress=progress)

    def close(self) -> None:
        if not self._end():
            return
        parts = self._parts
        try:
            with writing_errors_told(str(parts.where)), parts.lock.held():
                _put_in_last_place(parts)
        finally:
            parts.close()

    def _state(self) -> LiveState:
        """What ``state.json`` says now; under the lock."""
        keep_up(self._parts)
        return LiveState.load(self._parts.indexes) or self._parts.state

    def _end(self) -> bool:
        """Take no more calls; whether what is open is to be given back now."""
        if self._closed.is_set():
            return False
        self._closed.set()
        atexit.unregister(self._at_exit)
        return os.getpid() == self._process  # else it is the parent's

    def _append(
        self, proposals: list[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> list[RecordedEvent]:
        self._check_writable()
        return self._deliver(self._writer.append_many(proposals, expected))

    def _deliver(self, appended: Appended) -> list[RecordedEvent]:
        if appended.is_new:
            self._subscriptions.deliver()
        return appended.events

    def _look(self) -> None:
        """Bring the table up to all that is recorded, by whatever process or program."""
        self._check_open()
        parts = self._parts
        changed = parts.watch.changed() if self._takes_events and parts.watch.is_due() else []
        if changed or parts.tail.entries or not is_current(parts):
            with writing_errors_told(str(parts.where)), parts.lock.held():
                keep_up(parts)
                if changed:
                    take_in(parts, changed)
                bring_up(parts)

    def _numbered(self, after_position: int) -> Reader:
        """A reader by position; ``ForeignCheckpoint`` ends it where these come to be others."""
        begun = self._parts.state.store_id if after_position > 0 else None

        def look() -> None:
            nonlocal begun
            self._look()
            now = self._parts.state.store_id
            begun = begun or now
            if now != begun:
                why = "the store was made anew while it was read, and has other positions"
                raise ForeignCheckpoint(now, begun, why=why)

        return Reader(self._parts.index, look)

    def _take_in(self, file: str) -> None:
        take_in(self._parts, [file])

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise StoreUnavailable("the store is closed", hint="Open it again with open_store().")
        if os.getpid() != self._process:
            raise StoreUnavailable(
                "this store was opened before a fork, in the parent process",
                hint="Open the store again in this process.",
            )

    def _check_writable(self) -> None:
        self._check_open()
        if not self._takes_events:
            raise StoreUnavailable(
                f"{self._parts.where} holds a part of another store's history, and takes no events",
                hint="Append to the store it was exported from, and export again.",
            )


def _put_in_last_place(parts: Parts) -> None:
    keep_up(parts)
    bring_up(parts)
    if parts.journal.count:
        settle(parts)
        parts.journal.shrink()


def _size_of(where: Path) -> int:
    return sum(
        (Path(folder) / name).lstat().st_size
        for folder, _, names in os.walk(where)
        for name in names
    )


def _close_at_exit(store: JsonlEventStore) -> Callable[[], None]:
    """Close it when the interpreter ends, without keeping it alive until then."""
    reference = weakref.ref(store)

    def close() -> None:
        alive = reference()
        if alive is not None:
            alive.close()

    atexit.register(close)
    return close
