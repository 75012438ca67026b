"""The contract of ``subscribe``: delivery within one store object.

The clauses, and their tests:

- each event through this store object, and no other: ``test_each_appended_…``,
  ``test_only_what_goes_through_…``, ``test_a_retry_delivers_…``, ``test_a_refused_append_…``
- by position: ``test_threads_share_one_order``; after it is durable: ``test_an_event_is_…``
- unless another thread is delivering: ``test_who_delivers_takes_…``
- what a handler appends: ``test_what_a_handler_appends_…``
- a handler that raises: ``test_a_handler_that_raises_…``
- unsubscribe: ``test_unsubscribe_…``, ``test_a_handler_may_unsubscribe_…``
"""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import InvalidEvent, WrongExpectedVersion
from gitstore.core.event import RecordedEvent
from gitstore.testing.support import (
    PATIENCE,
    MakeStore,
    fill,
    happened,
    named,
    need,
    positions,
    run_together,
)


class SubscribingContract:
    """``subscribe``: in order, once, after the event is durable."""

    def test_each_appended_event_is_delivered_once(self, store: BaseEventStore) -> None:
        """Before the append returns, in position order, equal to what it returns."""
        seen: list[RecordedEvent] = []
        store.subscribe(seen.append)
        recorded = [store.append(happened("a"))]
        assert seen == recorded
        recorded += store.append_many([happened("b"), happened("a"), happened("c")])
        assert seen == recorded

    def test_every_handler_is_called(self, store: BaseEventStore) -> None:
        """Each of several handlers gets every event."""
        seen: list[str] = []
        store.subscribe(lambda recorded: seen.append(f"x{recorded.position}"))
        store.subscribe(lambda recorded: seen.append(f"y{recorded.position}"))
        fill(store, "a", 2)
        assert sorted(seen) == ["x1", "x2", "y1", "y2"]

    def test_an_event_is_recorded_when_it_is_delivered(self, store: BaseEventStore) -> None:
        """A handler finds the event it is given in the store."""
        found: list[bool] = []
        store.subscribe(lambda recorded: found.append(recorded in list(store.read_all())))
        store.append_many([happened("a"), happened("b")])
        assert found == [True, True]

    def test_what_was_there_before_is_not_delivered(self, store: BaseEventStore) -> None:
        """``subscribe`` begins with the next append."""
        fill(store, "a", 2)
        seen: list[RecordedEvent] = []
        store.subscribe(seen.append)
        recorded = store.append(happened("a"))
        assert seen == [recorded]

    def test_what_a_handler_appends_comes_after_the_present_event(
        self, store: BaseEventStore
    ) -> None:
        """No handler is called inside another call; all see one order."""
        depth, seen, also_seen = [0], list[int](), list[int]()

        def react(recorded: RecordedEvent) -> None:
            depth[0] += 1
            assert depth[0] == 1, "a handler was called inside a handler"
            if recorded.event.data < 3:
                store.append_many([happened("b", data=recorded.event.data + 1)] * 2)
            seen.append(recorded.position)
            depth[0] -= 1

        store.subscribe(react)
        store.subscribe(lambda recorded: also_seen.append(recorded.position))
        store.append(happened("a", data=1))
        assert seen == also_seen == [1, 2, 3, 4, 5, 6, 7]

    def test_a_handler_that_raises_stops_nothing(
        self, store: BaseEventStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The append stands, the others are called, and the error is logged."""
        seen: list[int] = []

        def fail(recorded: RecordedEvent) -> None:
            seen.append(-recorded.position)
            raise RuntimeError("the handler's own trouble")

        store.subscribe(fail)
        store.subscribe(lambda recorded: seen.append(recorded.position))
        recorded = store.append_many([happened("a"), happened("a")])
        assert list(store.read_all()) == recorded
        assert sorted(seen) == [-2, -1, 1, 2]
        logged = [entry for entry in caplog.records if entry.name == "gitstore.subscriptions"]
        assert len(logged) == 2
        assert all(entry.exc_info for entry in logged)

    def test_unsubscribe_ends_the_calls(self, store: BaseEventStore) -> None:
        """For this handler alone; saying it again changes nothing."""
        seen: list[str] = []
        leave = store.subscribe(lambda _: seen.append("left"))
        store.subscribe(lambda _: seen.append("stayed"))
        leave()
        leave()
        store.append(happened())
        assert seen == ["stayed"]

    def test_a_handler_may_unsubscribe_while_it_is_called(self, store: BaseEventStore) -> None:
        """Itself or another: no call comes after, not even of the same batch."""
        seen: list[str] = []

        def first(recorded: RecordedEvent) -> None:
            seen.append(f"first{recorded.position}")
            leave_first()
            leave_second()

        leave_first = store.subscribe(first)
        leave_second = store.subscribe(lambda r: seen.append(f"second{r.position}"))
        store.append_many([happened("a"), happened("a")])
        assert seen == ["first1"]

    def test_a_retry_delivers_nothing(self, store: BaseEventStore) -> None:
        """What was recorded before was delivered before."""
        batch = [named("a", "x"), named("b", "y")]
        store.append_many(batch)
        seen: list[RecordedEvent] = []
        store.subscribe(seen.append)
        store.append_many(batch)
        store.append(batch[0])
        assert seen == []

    def test_a_refused_append_delivers_nothing(self, store: BaseEventStore) -> None:
        """Nothing recorded, nothing delivered, and the next event is delivered as ever."""
        seen: list[RecordedEvent] = []
        store.subscribe(seen.append)
        with pytest.raises(WrongExpectedVersion):
            store.append_many([happened("a"), happened("b")], {"b": 1})
        with pytest.raises(InvalidEvent):
            store.append_many([happened("a"), happened("b", data={1})])
        assert seen == []
        assert [store.append(happened("a"))] == seen

    def test_only_what_goes_through_this_store_object(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """What others append is not delivered; ``follow`` is for that."""
        need(store.capabilities.multi_process, "for several processes")
        seen: list[RecordedEvent] = []
        store.subscribe(seen.append)
        with make_store() as other:
            fill(other, "a", 2)
            recorded = store.append(happened("a"))
        assert seen == [recorded]
        assert recorded.version == 3

    def test_threads_share_one_order(self, store: BaseEventStore) -> None:
        """Handlers see every event once and by position, whichever thread appended it."""
        seen: list[RecordedEvent] = []
        inside = threading.Lock()

        def handler(recorded: RecordedEvent) -> None:
            assert inside.acquire(blocking=False), "two deliveries at once"
            seen.append(recorded)
            time.sleep(0.0005)  # so that two deliveries would meet
            inside.release()

        store.subscribe(handler)
        run_together(partial(fill, store, f"s-{n}", 20) for n in range(4))
        assert positions(seen) == list(range(1, 81))
        assert seen == list(store.read_all())

    def test_who_delivers_takes_others_events_along(self, store: BaseEventStore) -> None:
        """An append beside a delivery returns at once; the thread that delivers goes on with it."""
        inside, go_on = threading.Event(), threading.Event()
        seen: list[tuple[int, int]] = []

        def handler(recorded: RecordedEvent) -> None:
            seen.append((recorded.position, threading.get_ident()))
            inside.set()
            assert go_on.wait(PATIENCE)

        store.subscribe(handler)
        delivering = threading.Thread(target=fill, args=(store, "a", 1), daemon=True)
        delivering.start()
        assert inside.wait(PATIENCE)
        recorded = store.append(happened("b"))
        assert (recorded.position, len(seen)) == (2, 1)
        go_on.set()
        delivering.join(PATIENCE)
        assert seen == [(1, delivering.ident), (2, delivering.ident)]
