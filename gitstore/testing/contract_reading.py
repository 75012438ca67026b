"""The contract of ``read_stream``, ``read_all`` and ``streams``: bounds, order, laziness, pages.

The clauses, and their tests:

- exclusive, inclusive, backwards, limit: ``test_the_bounds_of_read_stream``,
  ``test_the_bounds_of_read_all``, ``test_long_histories_…``
- lazily and in bounded memory: ``test_readers_are_iterators``, ``test_reading_takes_bounded_…``
- no stream, no stream id: ``test_a_stream_that_is_not_there_…``, ``test_what_is_no_stream_id_…``
- no event is skipped: ``test_a_half_read_reader_…``, ``contract_concurrency``
- ``superseded``: ``test_without_a_rebase_…``, ``contract_rebased``
- ``streams``: ``test_streams_are_sorted_…``, ``test_streams_of_one_category``
- the filters: ``contract_filters``
"""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import RecordedEvent
from gitstore.testing.support import (
    at,
    data_of,
    fill,
    happened,
    positions,
    versions,
)

_MANY = 2_500  # more than any backend's page
_BODY = 10_000
_MOST_MEMORY = 12_000_000  # bytes; half of what all those events hold
_READS: dict[str, Callable[[BaseEventStore], Iterator[RecordedEvent]]] = {
    "read_all": lambda store: store.read_all(),
    "backwards": lambda store: store.read_all(backwards=True),
    "read_stream": lambda store: store.read_stream("a"),
    "follow": lambda store: store.follow(),
}


class ReadingContract:
    """What ``read_stream`` and ``read_all`` give: bounds, order, limits, pages."""

    @pytest.mark.parametrize(
        ("bounds", "expected"),
        [
            ({}, [1, 2, 3, 4, 5]),
            ({"after_version": 0}, [1, 2, 3, 4, 5]),
            ({"after_version": 2}, [3, 4, 5]),
            ({"after_version": 5}, []),
            ({"after_version": 9}, []),
            ({"to_version": 3}, [1, 2, 3]),
            ({"to_version": 0}, []),
            ({"to_version": 9}, [1, 2, 3, 4, 5]),
            ({"after_version": 2, "to_version": 3}, [3]),
            ({"after_version": 3, "to_version": 3}, []),
            ({"after_version": 4, "to_version": 2}, []),
            ({"limit": 2}, [1, 2]),
            ({"limit": 0}, []),
            ({"limit": 9}, [1, 2, 3, 4, 5]),
            ({"after_version": 1, "to_version": 4, "limit": 2}, [2, 3]),
            ({"backwards": True}, [5, 4, 3, 2, 1]),
            ({"backwards": True, "after_version": 3}, [5, 4]),
            ({"backwards": True, "to_version": 3}, [3, 2, 1]),
            ({"backwards": True, "limit": 2}, [5, 4]),
            ({"backwards": True, "limit": 0}, []),
            ({"backwards": True, "after_version": 1, "to_version": 4, "limit": 2}, [4, 3]),
        ],
        ids=str,
    )
    def test_the_bounds_of_read_stream(
        self, store: BaseEventStore, bounds: dict[str, Any], expected: list[int]
    ) -> None:
        """``after_version`` exclusive, ``to_version`` inclusive, ``limit`` of what is given."""
        for n in range(1, 6):
            store.append_many([happened("a", data=n), happened("b")])
        events = list(store.read_stream("a", **bounds))
        assert versions(events) == data_of(events) == expected
        assert {recorded.stream_id for recorded in events} <= {"a"}

    @pytest.mark.parametrize(
        ("bounds", "expected"),
        [
            ({}, [1, 2, 3, 4]),
            ({"after_position": 1}, [2, 3, 4]),
            ({"after_position": 4}, []),
            ({"after_position": 9}, []),
            ({"limit": 3}, [1, 2, 3]),
            ({"limit": 0}, []),
            ({"limit": 9}, [1, 2, 3, 4]),
            ({"after_position": 1, "limit": 2}, [2, 3]),
            ({"backwards": True}, [4, 3, 2, 1]),
            ({"backwards": True, "limit": 1}, [4]),
            ({"backwards": True, "after_position": 2}, [4, 3]),
            ({"backwards": True, "after_position": 1, "limit": 2}, [4, 3]),
            ({"backwards": True, "limit": 0}, []),
        ],
        ids=str,
    )
    def test_the_bounds_of_read_all(
        self, store: BaseEventStore, bounds: dict[str, Any], expected: list[int]
    ) -> None:
        """``after_position`` exclusive in both directions, ``limit`` of what is given."""
        for stream in "abab":
            store.append(happened(stream))
        assert positions(store.read_all(**bounds)) == expected

    def test_arguments_may_be_given_by_place(self, store: BaseEventStore) -> None:
        """The order of the arguments is part of the interface."""
        fill(store, "a", 5)
        assert versions(store.read_stream("a", 1, 4, 2, True)) == [4, 3]  # noqa: FBT003
        given = store.read_all(1, "Happened", ["a"], ["a"], at(-9e4), at(9e4), 2, True)  # noqa: FBT003
        assert positions(given) == [5, 4]

    def test_a_stream_that_is_not_there_is_empty(self, store: BaseEventStore) -> None:
        """Reading what nobody wrote is no error."""
        fill(store, "task-1", 1)
        assert list(store.read_stream("task-2")) == []
        assert list(store.read_stream("task")) == []
        assert list(store.read_stream("task-2", backwards=True, limit=1)) == []

    def test_an_empty_store_reads_empty(self, store: BaseEventStore) -> None:
        """No events, no streams, no error."""
        assert list(store.read_all()) == list(store.read_all(backwards=True)) == []
        assert list(store.streams()) == []
        assert store.last_position() == 0

    def test_readers_are_iterators(self, store: BaseEventStore) -> None:
        """What is read is given one by one, not as a list."""
        fill(store, "a", 2)
        for reader in (store.read_all(), store.read_stream("a"), store.streams()):
            assert iter(reader) is reader
            next(reader)

    @pytest.mark.parametrize("read", _READS.values(), ids=_READS)
    def test_reading_takes_bounded_memory(
        self, store: BaseEventStore, read: Callable[[BaseEventStore], Iterator[RecordedEvent]]
    ) -> None:
        """A history is never held whole, however it is read."""
        for _ in range(5):
            store.append_many(
                happened("a", data=f"{n:10}" * (_BODY // 10)) for n in range(_MANY // 5)
            )
        tracemalloc.start()
        try:
            reading = read(store)
            for _ in range(_MANY):
                next(reading)
            assert tracemalloc.get_traced_memory()[1] < _MOST_MEMORY
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("no_name", ["", " a", "a\nb", "a" * 1_001, "\ud800", None], ids=ascii)
    def test_what_is_no_stream_id_is_refused(self, store: BaseEventStore, no_name: Any) -> None:
        """``InvalidEvent``, also in the methods that are built on ``read_stream``."""
        fill(store, "a", 1)
        with pytest.raises(InvalidEvent):
            list(store.read_stream(no_name))
        with pytest.raises(InvalidEvent):
            list(store.get_events(no_name))
        with pytest.raises(InvalidEvent):
            store.stream_version(no_name)

    def test_a_half_read_reader_goes_on_beside_appends(self, store: BaseEventStore) -> None:
        """Nothing there when the reading began is skipped or doubled by what comes meanwhile."""
        store.append_many(happened("a", data=n) for n in range(_MANY))
        readers = [store.read_all(), store.read_stream("a"), store.read_all(backwards=True)]
        halves = [[next(reader) for _ in range(10)] for reader in readers]
        store.append_many(happened("a", data=n) for n in range(_MANY, _MANY + 100))
        store.append(happened("b"))
        forward, stream, back = ([*h, *r] for h, r in zip(halves, readers, strict=True))
        assert positions(forward)[:_MANY] == list(range(1, _MANY + 1))
        assert positions(forward) == list(range(1, len(forward) + 1))
        assert versions(stream)[:_MANY] == list(range(1, _MANY + 1))
        assert versions(stream) == list(range(1, len(stream) + 1))
        assert positions(back) == list(range(_MANY, 0, -1))

    @pytest.mark.parametrize("reader", ["read_all", "read_stream"])
    def test_a_half_read_reader_gives_no_half_batch(
        self, store: BaseEventStore, reader: str
    ) -> None:
        """Of a batch that comes meanwhile it gives all or nothing: a page may end anywhere."""
        store.append_many(happened("a", data=n) for n in range(190))
        reading = store.read_all() if reader == "read_all" else store.read_stream("a")
        next(reading)
        store.append_many(happened("a", data=n) for n in range(190, 390))
        assert len(list(reading)) + 1 in {190, 390}

    def test_a_reader_that_is_given_up_stops_nobody(self, store: BaseEventStore) -> None:
        """A reader left in the middle keeps neither writers nor other readers from their work."""
        store.append_many(happened("a") for _ in range(_MANY))
        left = [store.read_all(), store.read_all(backwards=True), store.read_stream("a")]
        for reader in left:
            next(reader)
        assert store.append(happened("a")).version == _MANY + 1
        assert len(list(store.read_all())) == _MANY + 1

    def test_long_histories_are_read_whole(self, store: BaseEventStore) -> None:
        """No event is lost or doubled at the edge of a page, in either direction."""
        store.append_many(
            happened(f"s-{n % 3}", data=n, metadata={"userId": f"u{n % 2}"}) for n in range(_MANY)
        )
        everything = list(range(1, _MANY + 1))
        assert positions(store.read_all()) == everything
        assert positions(store.read_all(backwards=True)) == everything[::-1]
        assert positions(store.read_all(999, limit=1_002)) == everything[999:2_001]
        assert positions(store.read_all(users="u1")) == everything[1::2]
        assert positions(store.read_all(streams="s-1", backwards=True)) == everything[1::3][::-1]
        assert data_of(store.read_stream("s-2", 1)) == list(range(5, _MANY, 3))
        assert data_of(store.read_stream("s-0", backwards=True, limit=2)) == [2_499, 2_496]

    def test_streams_are_sorted_by_code_point(self, store: BaseEventStore) -> None:
        """Every stream once; ``B`` before ``a``, ``Z`` before ``é``, ``a-10`` before ``a-2``."""
        names = ["a-2", "B-1", "a", "é", "Z", "a-10", "\ufffd", "\U0001f600", "a-2"]
        for name in names:
            store.append(happened(name))
        assert list(store.streams()) == sorted(set(names))

    @pytest.mark.parametrize(
        ("category", "expected"),
        [
            ("task", ["task", "task-", "task-1", "task-a-b"]),
            ("tasks", ["tasks-1"]),
            ("", ["-x"]),
            ("task-a", []),
            ("none", []),
            (None, ["-x", "task", "task-", "task-1", "task-a-b", "tasks-1"]),
        ],
    )
    def test_streams_of_one_category(
        self, store: BaseEventStore, category: str | None, expected: list[str]
    ) -> None:
        """A category is the stream id up to its first ``-``, or all of it, or nothing."""
        for name in ("task-1", "tasks-1", "task", "-x", "task-a-b", "task-"):
            store.append(happened(name))
        assert list(store.streams(category)) == expected

    def test_without_a_rebase_nothing_is_superseded(self, store: BaseEventStore) -> None:
        """Asking for superseded events changes no read, and the epoch is 0."""
        for stream in "abab":
            store.append(happened(stream))
        events = list(store.read_all())
        assert list(store.read_all(superseded=True)) == events
        backwards = store.read_all(1, streams="a", limit=2, backwards=True, superseded=True)
        assert list(backwards) == [events[2]]
        stop = threading.Event()
        following = store.follow(superseded=True, stop=stop)
        assert [next(following) for _ in events] == events
        stop.set()
        assert all(event.replaces is event.superseded_by is None for event in events)
        assert store.epoch == 0

    def test_order_is_arrival_not_time(self, store: BaseEventStore) -> None:
        """An event that happened earlier keeps its time, and stands where it arrived."""
        for hours in (5, 1, 3):
            store.append(happened("a", timestamp=at(hours)))
        assert [r.event.timestamp for r in store.read_all()] == [at(5), at(1), at(3)]
        assert versions(store.read_stream("a")) == [1, 2, 3]

    def test_what_a_caller_changes_after_the_append_changes_nothing(
        self, store: BaseEventStore
    ) -> None:
        """The store keeps what was appended, not the caller's objects."""
        data, metadata = {"tags": ["a"]}, {"own": ["a"]}
        recorded = store.append(happened(data=data, metadata=metadata))
        for kept in (data["tags"], metadata["own"]):
            kept.append("later")
        data["more"], metadata["more"] = [], []
        (read,) = store.read_all()
        assert (read.event.data, read.event.metadata) == ({"tags": ["a"]}, {"own": ["a"]})
        assert (recorded.event.data, recorded.event.metadata) == (read.event.data, {"own": ["a"]})

    def test_what_a_reader_changes_changes_nothing(self, store: BaseEventStore) -> None:
        """Every reader has values of its own, the appender too."""
        event = happened(data={"tags": ["a"]}, metadata={"own": ["a"]}, id="x")
        unsubscribe = store.subscribe(lambda recorded: recorded.event.data["tags"].append("seen"))
        returned = store.append(event)
        unsubscribe()
        found = store.find_event("x")
        assert found is not None
        reads = [returned, found, *store.read_all(), *store.read_stream("task-1")]
        for recorded in reads:
            recorded.event.data["tags"].append("changed")
            recorded.event.metadata["own"].append("changed")
        for recorded in (*store.read_all(), *store.read_stream("task-1"), store.append(event)):
            assert recorded.event.data == {"tags": ["a"]}
            assert recorded.event.metadata == {"own": ["a"]}
