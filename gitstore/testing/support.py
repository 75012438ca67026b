"""What the tests of the contract share: events to append, ways to wait and to compare."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import StoreUnavailable
from gitstore.core.event import DomainEvent, RecordedEvent

MakeStore = Callable[[], BaseEventStore]
"""Opens a store: the same place each time where the backend is durable."""

PATIENCE = 20.0
"""Seconds a test waits for another thread before it fails; a slow machine needs some."""

T0 = datetime(2026, 11, 23, 8, tzinfo=UTC)
"""The time the tests' events begin at."""

Result = TypeVar("Result")


def at(hours: float = 0, **more: float) -> datetime:
    """The moment that long after ``T0``."""
    return T0 + timedelta(hours=hours, **more)


def happened(stream_id: str = "task-1", **fields: Any) -> DomainEvent:
    """An event of type ``Happened`` in ``stream_id``."""
    return DomainEvent(stream_id, "Happened", **fields)


def named(stream_id: str, event_id: str, **fields: Any) -> DomainEvent:
    """An event whose id and timestamp are known before the append."""
    return happened(stream_id, id=event_id, timestamp=T0, **fields)


def fill(store: BaseEventStore, stream_id: str, count: int) -> list[RecordedEvent]:
    """Append ``count`` events to a stream, one by one."""
    return [store.append(happened(stream_id, data=n)) for n in range(1, count + 1)]


def ids(events: Iterable[RecordedEvent]) -> list[str | None]:
    """The event ids, in order."""
    return [recorded.event.id for recorded in events]


def versions(events: Iterable[RecordedEvent]) -> list[int]:
    """The versions, in order."""
    return [recorded.version for recorded in events]


def positions(events: Iterable[RecordedEvent]) -> list[int]:
    """The positions, in order."""
    return [recorded.position for recorded in events]


def data_of(events: Iterable[RecordedEvent]) -> list[Any]:
    """The events' data, in order."""
    return [recorded.event.data for recorded in events]


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: ``1`` is not ``1.0``, nor ``-0.0`` 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and (not isinstance(one, float) or repr(one) == repr(other))


def need(capability: bool, what: str) -> None:
    """Skip the test where the backend declares that it has not this capability."""
    if not capability:
        pytest.skip(f"this backend is not {what}")


def read_anew(store: BaseEventStore, make_store: MakeStore) -> list[RecordedEvent]:
    """All events, where the store is durable as a new store object finds them after a close."""
    here = list(store.read_all())
    if not store.capabilities.durable:
        return here
    store.close()
    with make_store() as again:
        there = list(again.read_all())
    assert there == here, "another store object on the same place reads other events"
    return there


@contextmanager
def nothing_recorded(store: BaseEventStore) -> Iterator[None]:
    """Fail unless the store holds the same events afterwards."""
    before = list(store.read_all())
    yield
    assert list(store.read_all()) == before


def verify_and_close(store: BaseEventStore, make_store: MakeStore) -> None:
    """End a test: the store's own ``verify()`` finds nothing, where it has one."""
    try:
        store.last_position()
    except StoreUnavailable:  # the test closed it
        if not store.capabilities.durable:
            return
        store = make_store()
    try:
        verify = getattr(store, "verify", None)
        if verify is not None:
            report = verify()
            assert report.ok, f"verify() found: {report.findings}"
    finally:
        store.close()


def run_together(jobs: Iterable[Callable[[], Result]]) -> list[Result]:
    """Run each job in a thread of its own, all at once; their results in order.

    The first exception of a job is raised here.
    """
    todo = list(jobs)
    results: dict[int, Result] = {}
    errors: list[BaseException] = []
    start = threading.Barrier(len(todo))

    def work(number: int, job: Callable[[], Result]) -> None:
        try:
            start.wait(PATIENCE)
            results[number] = job()
        except BaseException as error:  # noqa: BLE001 - raised again by the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(todo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
        assert not thread.is_alive(), "a thread did not come to its end"
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(todo))]


class Follower:
    """Goes through a reader in a thread of its own; ``take`` waits for what it gives."""

    def __init__(self, follow: Callable[[], Iterator[RecordedEvent]]) -> None:
        self._follow = follow
        self._given: queue.SimpleQueue[RecordedEvent] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for recorded in self._follow():
                self._given.put(recorded)
        except BaseException as error:  # noqa: BLE001 - raised again by the test's own thread
            self._error = error

    def take(self, count: int) -> list[RecordedEvent]:
        """The next ``count`` events; fails when they do not come."""
        taken: list[RecordedEvent] = []
        while len(taken) < count:
            try:
                taken.append(self._given.get(timeout=PATIENCE))
            except queue.Empty:
                pytest.fail(f"follow gave {len(taken)} of {count} events; error: {self._error!r}")
        return taken

    def rest(self) -> list[RecordedEvent]:
        """Wait for the end; what was given and not taken."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "follow did not end"
        if self._error is not None:
            raise self._error
        return [self._given.get() for _ in range(self._given.qsize())]
