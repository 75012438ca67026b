"""The contract of ``follow``: the history, then what any process appends.

The clauses, and their tests:

- the history, then what comes, each once and in order: ``test_follow_catches_up_…``,
  ``test_follow_begins_after_…``, ``test_no_position_is_skipped_…``
- of any process: ``test_follow_sees_what_other_…``, ``contract_processes``
- ends with ``stop`` and with the store: ``test_stop_ends_…``, ``test_close_ends_…``
- as ``read_all`` filters: ``contract_filters``; after a rebase: ``contract_rebased``
"""

from __future__ import annotations

import threading
from functools import partial

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.testing.support import (
    Follower,
    MakeStore,
    at,
    data_of,
    fill,
    happened,
    ids,
    need,
    positions,
    run_together,
)


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
