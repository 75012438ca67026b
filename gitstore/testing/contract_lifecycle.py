"""The contract of opening, closing and opening again.

The clauses, and their tests:

- a closed store: ``test_a_closed_store_is_unavailable``; ``close``, idempotent:
  ``test_close_may_be_repeated``
- ``durable``: ``test_events_outlive_…``, ``test_a_history_goes_on_…``, ``test_ids_and_versions_…``
- ``store_id``: ``test_a_store_is_known_by_its_id``
- the context manager: ``test_a_store_is_a_context_manager``, ``test_the_context_lets_…``
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.errors import DuplicateEventId, StoreUnavailable, WrongExpectedVersion
from gitstore.core.expected import NO_STREAM
from gitstore.core.protocol import Capabilities, EventStore
from gitstore.testing.support import MakeStore, at, fill, happened, named, need, positions

_METHODS: dict[str, Callable[[BaseEventStore], object]] = {
    "append": lambda store: store.append(happened()),
    "append of a known id": lambda store: store.append(named("task-1", "known")),
    "append_many": lambda store: store.append_many([happened()]),
    "append_many of none": lambda store: store.append_many([]),
    "read_stream": lambda store: list(store.read_stream("task-1")),
    "read_all": lambda store: list(store.read_all()),
    "follow": lambda store: next(store.follow()),
    "streams": lambda store: list(store.streams()),
    "subscribe": lambda store: store.subscribe(print),
    "get_events": lambda store: list(store.get_events("task-1")),
    "get_events_by_type": lambda store: list(store.get_events_by_type("Happened")),
    "stream_version": lambda store: store.stream_version("task-1"),
    "find_event": lambda store: store.find_event("known"),
    "last_position": lambda store: store.last_position(),
    "store_id": lambda store: store.store_id,
    "epoch": lambda store: store.epoch,
    "checkpoint": lambda store: store.checkpoint(),
    "resume": lambda store: store.resume(Checkpoint("", 0, 0)),
    "status": lambda store: store.status(),
    "verify": lambda store: store.verify(),
    "maintain": lambda store: store.maintain(),
}


class LifecycleContract:
    """Opening, closing and opening again."""

    def test_a_store_keeps_the_protocol_and_declares_itself(self, store: BaseEventStore) -> None:
        """It is an ``EventStore``, and its capabilities are told, not tried."""
        assert isinstance(store, EventStore)
        assert isinstance(store, BaseEventStore)
        assert isinstance(store.capabilities, Capabilities)

    @pytest.mark.parametrize("method", _METHODS.values(), ids=_METHODS)
    def test_a_closed_store_is_unavailable(
        self, store: BaseEventStore, method: Callable[[BaseEventStore], object]
    ) -> None:
        """``StoreUnavailable`` from every method but ``close``."""
        store.append(named("task-1", "known"))
        store.close()
        with pytest.raises(StoreUnavailable):
            method(store)

    def test_close_may_be_repeated(self, store: BaseEventStore) -> None:
        """Closing what is closed is no error."""
        fill(store, "a", 1)
        store.close()
        store.close()

    def test_a_store_is_a_context_manager(self, make_store: MakeStore) -> None:
        """``with`` gives the store and closes it."""
        made = make_store()
        with made as store:
            assert store is made
            fill(store, "a", 1)
        with pytest.raises(StoreUnavailable):
            store.last_position()

    def test_the_context_lets_errors_through(self, make_store: MakeStore) -> None:
        """An error inside closes the store and is not swallowed."""
        with pytest.raises(LookupError), make_store() as store:
            raise LookupError
        with pytest.raises(StoreUnavailable):
            store.last_position()

    def test_unsubscribing_from_a_closed_store_is_no_error(self, store: BaseEventStore) -> None:
        """Who gives back a subscription need not know whether the store is still open."""
        leave = store.subscribe(print)
        store.close()
        leave()

    def test_events_outlive_the_store_object(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """A new store object reads the same events, places, times and commits."""
        need(store.capabilities.durable, "durable")
        recorded = [*fill(store, "a", 2), *store.append_many([happened("b/c"), happened("a")])]
        store.close()
        for _ in range(2):
            with make_store() as again:
                assert list(again.read_all()) == recorded
                assert list(again.read_all(backwards=True)) == recorded[::-1]
                assert list(again.read_stream("a")) == [r for r in recorded if r.stream_id == "a"]
                assert list(again.streams()) == ["a", "b/c"]

    def test_a_store_is_known_by_its_id(self, store: BaseEventStore, make_store: MakeStore) -> None:
        """A durable store has one id for ever, and no two stores have the same."""
        known = store.store_id
        assert known == store.store_id
        store.close()
        with make_store() as again:
            assert (again.store_id == known) == store.capabilities.durable

    def test_a_history_goes_on_where_it_was_left(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """Versions and positions count on over any number of openings."""
        need(store.capabilities.durable, "durable")
        store.close()
        for number in range(1, 4):
            with make_store() as again:
                recorded = again.append(happened("a"), number - 1)
                assert (recorded.version, recorded.position) == (number, number)
        with make_store() as again:
            assert positions(again.read_all()) == [1, 2, 3]

    def test_ids_and_versions_are_remembered(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """A retry, a taken id and a wrong expectation are known after opening again."""
        need(store.capabilities.durable, "durable")
        recorded = store.append_many([named("a", "x"), named("a", "y")], {"a": NO_STREAM})
        store.close()
        with make_store() as again:
            assert again.append(named("a", "x")) == recorded[0]
            assert again.append_many([named("a", "x"), named("a", "y")], {"a": 0}) == recorded
            assert again.find_event("y") == recorded[1]
            with pytest.raises(DuplicateEventId):
                again.append(named("b", "x"))
            with pytest.raises(WrongExpectedVersion):
                again.append(happened("a"), 1)
            assert again.last_position() == 2

    def test_filters_know_the_old_and_the_new(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """Events of an earlier opening and of this one are one history to every filter."""
        need(store.capabilities.durable, "durable")
        for stream, user in (("a", "ann"), ("b", "bob")):
            store.append(happened(stream, metadata={"userId": user}, timestamp=at(1)))
        store.close()
        with make_store() as again:
            again.append(happened("b", metadata={"userId": "ann"}, timestamp=at(0)))
            assert positions(again.read_all(users="ann")) == [1, 3]
            assert positions(again.read_all(streams="b", backwards=True)) == [3, 2]
            assert positions(again.read_all(until=at(1))) == [3]
            assert positions(again.read_all(types="Happened", since=at(1), limit=1)) == [1]
