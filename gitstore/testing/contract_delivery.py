"""The contract of delivery: ``subscribe`` in this store object, ``follow`` from any process."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import InvalidEvent, WrongExpectedVersion
from gitstore.core.event import RecordedEvent
from gitstore.testing.support import (
    Follower,
    MakeStore,
    at,
    data_of,
    fill,
    happened,
    ids,
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
            inside.release()

        store.subscribe(handler)
        run_together(partial(fill, store, f"s-{n}", 20) for n in range(4))
        assert positions(seen) == list(range(1, 81))
        assert seen == list(store.read_all())


class FollowingContract:
    """``follow``: the history, then what comes, each event once."""

    def test_follow_catches_up_and_stays(self, store: BaseEventStore) -> None:
        """What is there, then what is appended later by another thread, each once, in order."""
        there = fill(store, "a", 3)
        stop = threading.Event()
        follower = Follower(lambda: store.follow(stop=stop))
        assert follower.take(3) == there
        for _ in range(3):
            recorded = store.append(happened("b"))
            assert follower.take(1) == [recorded]
        batch = store.append_many([happened("b"), happened("a")])
        assert follower.take(2) == batch
        stop.set()
        assert follower.rest() == []

    @pytest.mark.parametrize("after", [2, 3])
    def test_follow_begins_after_a_position(self, store: BaseEventStore, after: int) -> None:
        """``after_position`` is exclusive; at the end of the history only news is given."""
        fill(store, "a", 3)
        follower = Follower(lambda: store.follow(after))
        store.append(happened("a"))
        assert positions(follower.take(4 - after)) == list(range(after + 1, 5))
        store.close()
        assert follower.rest() == []

    def test_follow_may_begin_after_a_position_to_come(self, store: BaseEventStore) -> None:
        """Positions up to it are passed over, also those given while the follower waits."""
        fill(store, "a", 1)
        stop = threading.Event()
        follower = Follower(lambda: store.follow(3, stop=stop))
        recorded = fill(store, "a", 4)
        assert follower.take(2) == recorded[2:]
        stop.set()
        assert follower.rest() == []

    def test_follow_of_an_empty_store_waits(self, store: BaseEventStore) -> None:
        """The first event of a store reaches who waited for it."""
        follower = Follower(store.follow)
        recorded = store.append(happened("a"))
        assert follower.take(1) == [recorded]
        store.close()
        assert follower.rest() == []

    def test_stop_ends_a_follower_that_waits(self, store: BaseEventStore) -> None:
        """No event is needed to wake it."""
        fill(store, "a", 1)
        stop = threading.Event()
        follower = Follower(lambda: store.follow(stop=stop))
        follower.take(1)
        stop.set()
        assert follower.rest() == []

    def test_stop_ends_a_follower_that_catches_up(self, store: BaseEventStore) -> None:
        """Once ``stop`` is set nothing more is given, however long the history."""
        fill(store, "a", 5)
        stop = threading.Event()
        given = store.follow(stop=stop)
        assert positions([next(given), next(given)]) == [1, 2]
        stop.set()
        assert list(given) == []

    def test_a_stop_that_is_set_already_gives_nothing(self, store: BaseEventStore) -> None:
        """A follower stopped before it began ends at once."""
        fill(store, "a", 2)
        stop = threading.Event()
        stop.set()
        assert list(store.follow(stop=stop)) == []

    def test_close_ends_every_follower(self, store: BaseEventStore) -> None:
        """One that waits, and one that is half through the history."""
        fill(store, "a", 3)
        waiting = Follower(store.follow)
        waiting.take(3)
        half = store.follow()
        next(half)
        store.close()
        assert waiting.rest() == []
        assert list(half) == []

    def test_follow_filters_what_comes(self, store: BaseEventStore) -> None:
        """Events that do not pass are passed over, and do not end the waiting."""
        stop = threading.Event()
        follower = Follower(lambda: store.follow(streams="b", since=at(1), stop=stop))
        for n, (stream, hours) in enumerate([("b", 1), ("a", 1), ("b", 0), ("b", 2)]):
            store.append(happened(stream, timestamp=at(hours), data=n))
        assert data_of(follower.take(2)) == [0, 3]
        stop.set()
        assert follower.rest() == []

    def test_who_follows_may_append(self, store: BaseEventStore) -> None:
        """What the follower's own thread appends reaches it in its turn."""
        fill(store, "a", 2)
        stop = threading.Event()
        given = store.follow(stop=stop)
        seen = []
        for recorded in given:
            seen.append(recorded.position)
            if recorded.stream_id == "a":
                store.append(happened("b"))
            if len(seen) == 4:
                stop.set()
        assert seen == [1, 2, 3, 4]

    def test_followers_do_not_take_from_each_other(self, store: BaseEventStore) -> None:
        """Each of several followers is given everything."""
        stop = threading.Event()
        followers = [Follower(lambda: store.follow(stop=stop)) for _ in range(3)]
        recorded = fill(store, "a", 5)
        assert [follower.take(5) for follower in followers] == [recorded] * 3
        stop.set()
        assert [follower.rest() for follower in followers] == [[]] * 3

    def test_no_position_is_skipped_beside_writers(self, store: BaseEventStore) -> None:
        """With writers in four threads a follower sees every position once, in order."""
        stop = threading.Event()
        follower = Follower(lambda: store.follow(stop=stop))
        run_together(partial(fill, store, f"s-{n % 2}", 25) for n in range(4))
        assert positions(follower.take(100)) == list(range(1, 101))
        stop.set()
        assert follower.rest() == []

    def test_follow_sees_what_other_store_objects_append(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """Followers hear of every writer on the same place."""
        need(store.capabilities.multi_process, "for several processes")
        stop = threading.Event()
        follower = Follower(lambda: store.follow(stop=stop))
        with make_store() as other:
            recorded = [writer.append(happened("a")) for writer in (other, store, other)]
        assert follower.take(3) == recorded
        assert ids(store.read_all()) == ids(recorded)
        stop.set()
        assert follower.rest() == []
