"""The contract of what the base class builds on the eight methods.

``get_events``: ``test_get_events_…``; ``get_events_by_type``: ``test_get_events_by_type_…``, and in
``contract_filters``; ``stream_version``: ``test_stream_version_…``; ``find_event``:
``test_find_event_…``; ``last_position``: ``test_last_position_…``. The rest: ``contract_upkeep``.
"""

from __future__ import annotations

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.testing.support import at, fill, happened, named


class ConvenienceContract:
    """``get_events``, ``get_events_by_type``, ``stream_version``, ``find_event`` and so on."""

    @pytest.mark.parametrize(
        ("from_version", "expected"), [(None, [1, 2, 3]), (0, [1, 2, 3]), (2, [3]), (3, [])]
    )
    def test_get_events_is_exclusive(
        self, store: BaseEventStore, from_version: int | None, expected: list[int]
    ) -> None:
        """``get_events`` gives the plain events after ``from_version``."""
        recorded = fill(store, "a", 3)
        events = list(store.get_events("a", from_version))
        assert events == [recorded[version - 1].event for version in expected]
        assert all(type(event) is DomainEvent for event in events)

    def test_get_events_of_no_stream(self, store: BaseEventStore) -> None:
        """A stream that is not there has no events."""
        assert list(store.get_events("a")) == []

    def test_get_events_by_type_is_in_arrival_order(self, store: BaseEventStore) -> None:
        """Plain events of one type over all streams, by position, not by time."""
        for event_id, stream, hours in (("x", "a", 2), ("y", "b", 1), ("z", "a", 3)):
            store.append(DomainEvent(stream, "Hit", id=event_id, timestamp=at(hours)))
            store.append(DomainEvent(stream, "Miss", timestamp=at(hours)))
        assert [event.id for event in store.get_events_by_type("Hit")] == ["x", "y", "z"]
        assert [event.id for event in store.get_events_by_type("Hit", at(2))] == ["x", "z"]
        assert list(store.get_events_by_type("Hi")) == []

    def test_stream_version_is_the_last_version(self, store: BaseEventStore) -> None:
        """0 for a stream that is not there."""
        assert store.stream_version("a") == 0
        fill(store, "a", 3)
        assert (store.stream_version("a"), store.stream_version("b")) == (3, 0)

    def test_find_event_by_its_id(self, store: BaseEventStore) -> None:
        """Of an id nobody gave ``None``, of what is no id ``InvalidEvent``."""
        recorded = store.append_many([named("a", "x"), named("b", "y")])
        assert store.find_event("y") == recorded[1]
        assert store.find_event("z") is None
        for no_id in ("", " y", "\u00e9", "y" * 201):
            with pytest.raises(InvalidEvent):
                store.find_event(no_id)

    def test_last_position_is_the_highest(self, store: BaseEventStore) -> None:
        """The number of events, until a rebase leaves holes."""
        fill(store, "a", 2)
        store.append_many([happened("b")] * 3)
        assert store.last_position() == 5
