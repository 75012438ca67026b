"""The queue between appends and handlers, apart from any store."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.subscriptions import Subscriptions
from gitstore.testing.support import PATIENCE, run_together


def _event(position: int) -> RecordedEvent:
    return RecordedEvent(DomainEvent("a", "T", version=position), position)


def test_nothing_is_kept_without_handlers() -> None:
    """A store nobody subscribes to pays nothing, and a late handler gets no old events."""
    subscriptions, seen = Subscriptions(), list[RecordedEvent]()
    assert not subscriptions
    subscriptions.enqueue([_event(1)])
    subscriptions.add(seen.append)
    assert subscriptions
    subscriptions.deliver()
    assert seen == []


def test_events_wait_until_they_are_delivered() -> None:
    """``enqueue`` only puts them in line: it is called under a lock."""
    subscriptions, seen = Subscriptions(), list[int]()
    subscriptions.add(lambda recorded: seen.append(recorded.position))
    subscriptions.enqueue([_event(1), _event(2)])
    subscriptions.enqueue([_event(3)])
    assert seen == []
    subscriptions.deliver()
    subscriptions.deliver()
    assert seen == [1, 2, 3]


def test_whoever_is_delivering_delivers_for_all() -> None:
    """A second thread leaves its events to the first, and none is left behind."""
    subscriptions, seen = Subscriptions(), list[tuple[int, int]]()
    inside, go_on = threading.Event(), threading.Event()

    def handler(recorded: RecordedEvent) -> None:
        inside.set()
        go_on.wait(PATIENCE)
        seen.append((recorded.position, threading.get_ident()))

    subscriptions.add(handler)
    subscriptions.enqueue([_event(1)])
    first = threading.Thread(target=subscriptions.deliver)
    first.start()
    assert inside.wait(PATIENCE)
    subscriptions.enqueue([_event(2)])
    subscriptions.deliver()
    assert seen == []
    go_on.set()
    first.join(PATIENCE)
    assert seen == [(1, first.ident), (2, first.ident)]


def test_no_event_is_left_when_threads_pass_the_work_on() -> None:
    """Whoever finds the queue busy may go: what it put there is delivered in order."""
    subscriptions, seen, lock = Subscriptions(), list[int](), threading.Lock()
    subscriptions.add(lambda recorded: seen.append(recorded.position))
    count = iter(range(1, 10_000))

    def work() -> None:
        for _ in range(200):
            with lock:
                subscriptions.enqueue([_event(next(count))])
            subscriptions.deliver()

    run_together([work] * 8)
    assert seen == list(range(1, 1_601))


def test_a_stop_from_outside_passes_through_and_wedges_nothing() -> None:
    """Ctrl-C inside a handler is not swallowed; the next delivery goes on."""
    subscriptions, seen = Subscriptions(), list[int]()

    def handler(recorded: RecordedEvent) -> None:
        seen.append(recorded.position)
        if recorded.position == 1:
            raise KeyboardInterrupt

    subscriptions.add(handler)
    subscriptions.enqueue([_event(1), _event(2)])
    with pytest.raises(KeyboardInterrupt):
        subscriptions.deliver()
    subscriptions.deliver()
    assert seen == [1, 2]


def test_unsubscribing_is_each_handlers_own() -> None:
    """One function subscribed twice is two subscriptions."""
    subscriptions, seen = Subscriptions(), list[int]()
    handler = partial(list.append, seen)
    leave, _ = subscriptions.add(handler), subscriptions.add(handler)
    leave()
    leave()
    subscriptions.enqueue([_event(1)])
    subscriptions.deliver()
    assert [recorded.position for recorded in seen] == [1]  # type: ignore[attr-defined]
