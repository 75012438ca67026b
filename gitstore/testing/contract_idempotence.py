"""The contract of retries: an id names one event for ever.

The clauses of ``append`` and ``append_many`` about ids, and their tests:

- the same content is what is recorded: ``test_a_retry_returns_…``, ``test_a_batch_is_retried_…``
- looked up before versions: ``test_a_retry_is_looked_up_before_…``
- right after an exact expectation: ``test_a_retry_must_stand_…``, ``test_a_retried_batch_must_…``
- ``DuplicateEventId``: ``test_other_content_under_…``, ``test_an_id_twice_in_one_batch_…``,
  ``test_a_batch_in_another_order_…``, ``test_a_batch_with_a_gap_…``
- ``PartialDuplicate``: ``test_a_batch_known_in_part_…``
"""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import DuplicateEventId, PartialDuplicate, WrongExpectedVersion
from gitstore.core.event import DomainEvent
from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from gitstore.testing.support import (
    T0,
    MakeStore,
    at,
    fill,
    happened,
    named,
    need,
    nothing_recorded,
    run_together,
)

_DATA = {"amount": 1, "tags": ["x", {"y": None}]}
_METADATA = {"userId": "ann", "own": {"n": 1}}


def _paid(**changes: Any) -> DomainEvent:
    fields: dict[str, Any] = {
        "stream_id": "task-1",
        "type": "Paid",
        "data": _DATA,
        "metadata": _METADATA,
        "id": "id-1",
        "timestamp": T0,
    }
    return DomainEvent(**{**fields, **changes})


class IdempotenceContract:
    """An event id names one event for ever: retries, partial batches, contradictions."""

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"timestamp": None},
            {"timestamp": T0.astimezone(timezone(timedelta(hours=9)))},
            {"version": 2},
            {"data": {"tags": ["x", {"y": None}], "amount": 1}},
            {"metadata": {"own": {"n": 1}, "userId": "ann"}},
        ],
        ids=["same", "no-timestamp", "other-zone", "its-version", "data-keys", "metadata-keys"],
    )
    def test_a_retry_returns_what_is_recorded(
        self, store: BaseEventStore, changes: dict[str, Any]
    ) -> None:
        """Same content under the same id: success, and nothing is written."""
        fill(store, "task-1", 1)
        recorded = store.append(_paid())
        fill(store, "task-1", 2)
        with nothing_recorded(store):
            assert store.append(_paid(**changes)) == recorded
            assert store.append_many([_paid(**changes)]) == [recorded]

    def test_a_retry_with_the_stores_own_timestamp_left_out(self, store: BaseEventStore) -> None:
        """Who gave no timestamp the first time gives none the second, and it is the same event."""
        recorded = store.append(_paid(timestamp=None))
        with nothing_recorded(store):
            assert store.append(_paid(timestamp=None)) == recorded

    def test_events_without_ids_are_events_of_their_own(self, store: BaseEventStore) -> None:
        """Only an id makes a retry; equal events without one are two."""
        first, second = store.append(_paid(id=None)), store.append(_paid(id=None))
        assert (first.version, second.version) == (1, 2)
        assert first.event.id != second.event.id

    @pytest.mark.parametrize(
        ("place", "expected"),
        [(1, ANY), (1, NO_STREAM), (1, 0), (2, ANY), (2, 1), (2, STREAM_EXISTS)],
        ids=str,
    )
    def test_a_retry_is_looked_up_before_the_version(
        self, store: BaseEventStore, place: int, expected: ExpectedVersion
    ) -> None:
        """The expectation that let an event in lets its retry pass, however far the stream is."""
        fill(store, "task-1", place - 1)
        recorded = store.append(_paid(), expected)
        fill(store, "task-1", 3)
        with nothing_recorded(store):
            assert store.append(_paid(), expected) == recorded

    @pytest.mark.parametrize("expected", [NO_STREAM, 0, 2, 4, 9], ids=str)
    def test_a_retry_must_stand_right_after_an_exact_expectation(
        self, store: BaseEventStore, expected: ExpectedVersion
    ) -> None:
        """Else ``WrongExpectedVersion`` with the stream's version, also at its very head."""
        fill(store, "task-1", 1)
        store.append(_paid())
        fill(store, "task-1", 2)
        with nothing_recorded(store), pytest.raises(WrongExpectedVersion) as caught:
            store.append(_paid(), expected)
        error = caught.value
        assert (error.stream_id, error.expected, error.actual) == ("task-1", expected, 4)

    @pytest.mark.parametrize(
        "changes",
        [
            {"stream_id": "task-2"},
            {"type": "Refunded"},
            {"data": {"amount": 2}},
            {"data": {**_DATA, "amount": 1.0}},
            {"data": {**_DATA, "amount": True}},
            {"data": None},
            {"metadata": {"userId": "ann", "own": {"n": 1.0}}},
            {"metadata": {"userId": "bob", "own": {"n": 1}}},
            {"metadata": {"userId": "ann"}},
            {"metadata": None},
            {"timestamp": at(1)},
            {"timestamp": T0 + timedelta(microseconds=1)},
            {"version": 1},
            {"version": 3},
        ],
        ids=lambda changes: "-".join(f"{k}={v}" for k, v in changes.items())[:40],
    )
    def test_other_content_under_a_known_id_is_refused(
        self, store: BaseEventStore, changes: dict[str, Any]
    ) -> None:
        """``DuplicateEventId`` says where the id is recorded; ``1`` and ``1.0`` differ."""
        fill(store, "task-1", 1)
        store.append(_paid())
        with nothing_recorded(store), pytest.raises(DuplicateEventId) as caught:
            store.append(_paid(**changes))
        error = caught.value
        assert (error.event_id, error.stream_id, error.version) == ("id-1", "task-1", 2)

    def test_other_content_is_the_error_before_a_wrong_version(self, store: BaseEventStore) -> None:
        """Ids are looked up before versions."""
        store.append(_paid())
        with pytest.raises(DuplicateEventId):
            store.append(_paid(data=2), 7)

    def test_minus_zero_is_other_content_than_zero(self, store: BaseEventStore) -> None:
        """Content is compared by its canonical bytes, not by Python's ``==``."""
        store.append(_paid(data=0.0))
        with nothing_recorded(store), pytest.raises(DuplicateEventId):
            store.append(_paid(data=-0.0))

    def test_a_batch_is_retried_whole(self, store: BaseEventStore) -> None:
        """A batch over several streams, appended again after others: what is recorded, in order."""
        batch = [named(s, f"{s}{n}") for n, s in enumerate("abbac")]
        before: dict[str, ExpectedVersion] = {"a": NO_STREAM, "b": 0}
        recorded = store.append_many(batch, before)
        fill(store, "a", 1)
        with nothing_recorded(store):
            assert store.append_many(batch, before) == recorded
            assert store.append_many(batch) == recorded

    def test_a_part_that_stands_together_is_a_retry_too(self, store: BaseEventStore) -> None:
        """A batch recorded within a larger one, or event by event, is recorded all the same."""
        events = [named("a", f"a{n}") for n in range(5)]
        recorded = [*store.append_many(events[:3]), *map(store.append, events[3:])]
        with nothing_recorded(store):
            assert store.append_many(events[1:4], {"a": 1}) == recorded[1:4]
            assert store.append_many(events) == recorded

    def test_a_retried_batch_must_stand_right_after_an_exact_expectation(
        self, store: BaseEventStore
    ) -> None:
        """Each stream of the batch has an expectation of its own."""
        fill(store, "b", 1)
        batch = [named("a", "a1"), named("b", "b2")]
        store.append_many(batch, {"a": 0, "b": 1})
        with nothing_recorded(store), pytest.raises(WrongExpectedVersion) as caught:
            store.append_many(batch, {"a": 0, "b": 2})
        error = caught.value
        assert (error.stream_id, error.expected, error.actual) == ("b", 2, 2)

    def test_a_batch_in_another_order_is_no_retry(self, store: BaseEventStore) -> None:
        """Each stream's events must stand in the batch's order."""
        first, second, other = named("a", "a1"), named("a", "a2"), named("b", "b1")
        recorded = store.append_many([first, other, second])
        with nothing_recorded(store):
            with pytest.raises(DuplicateEventId):
                store.append_many([second, first])
            by_stream = store.append_many([other, first, second])
        assert by_stream == [recorded[1], recorded[0], recorded[2]]

    def test_a_batch_with_a_gap_is_no_retry(self, store: BaseEventStore) -> None:
        """Each stream's events must stand one right after another."""
        events = [named("a", f"a{n}") for n in range(3)]
        store.append_many(events)
        with nothing_recorded(store), pytest.raises(DuplicateEventId):
            store.append_many([events[0], events[2]])

    @pytest.mark.parametrize("order", ["kn", "nk", "kkn", "kn-"], ids=str)
    def test_a_batch_known_in_part_is_refused(self, store: BaseEventStore, order: str) -> None:
        """``PartialDuplicate`` names the known and the unknown ids, in the batch's order."""
        store.append_many([named("a", "k0"), named("a", "k1")])
        batch = [named("a", f"{kind}{n}") for n, kind in enumerate(order) if kind != "-"]
        known = [event.id for event in batch if event.id in {"k0", "k1"}]
        unknown = [event.id for event in batch if event.id not in {"k0", "k1"}]
        without_id = [happened("a")] * order.count("-")
        with nothing_recorded(store), pytest.raises(PartialDuplicate) as caught:
            store.append_many([*batch, *without_id])
        assert list(caught.value.known) == known
        assert list(caught.value.unknown)[: len(unknown)] == unknown

    @pytest.mark.parametrize("other", [named("a", "x"), named("b", "x"), named("a", "x", data=1)])
    def test_an_id_twice_in_one_batch_is_refused(
        self, store: BaseEventStore, other: DomainEvent
    ) -> None:
        """``DuplicateEventId``, in one stream or two, with the same content or with other."""
        with nothing_recorded(store), pytest.raises(DuplicateEventId) as caught:
            store.append_many([named("a", "x"), named("a", "y"), other])
        assert (caught.value.event_id, caught.value.stream_id) == ("x", None)

    def test_an_id_twice_in_one_batch_is_refused_when_it_is_known(
        self, store: BaseEventStore
    ) -> None:
        """The rule holds for a known id as for a new one."""
        store.append(named("a", "x"))
        with nothing_recorded(store), pytest.raises(DuplicateEventId):
            store.append_many([named("a", "x"), named("a", "x")])

    def test_ids_differ_by_case(self, store: BaseEventStore) -> None:
        """Ids are compared character by character."""
        store.append_many([named("a", "id"), named("a", "ID"), named("a", "Id")])
        assert store.stream_version("a") == 3

    @pytest.mark.parametrize("event_id", ["x", "0", "%", "a b", "'; --", "%_", "~" * 200], ids=repr)
    def test_an_id_is_kept_as_it_is(self, store: BaseEventStore, event_id: str) -> None:
        """Every printable ASCII text of 1 to 200 characters is an id, found again by it."""
        recorded = store.append(named("a", event_id))
        assert recorded.event.id == event_id
        assert store.find_event(event_id) == recorded
        assert store.append(named("a", event_id)) == recorded

    def test_an_id_is_known_to_every_store_object(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """A retry through another store object on the same place is a retry."""
        need(store.capabilities.multi_process, "for several processes")
        with make_store() as other:
            recorded = store.append(_paid())
            assert other.append(_paid(), NO_STREAM) == recorded
            with pytest.raises(DuplicateEventId):
                other.append(_paid(type="Refunded"))

    def test_one_id_from_many_threads_is_one_event(self, store: BaseEventStore) -> None:
        """A retry that overtakes the first attempt is still a retry."""
        given = run_together([lambda: store.append(_paid(), NO_STREAM)] * 8)
        assert given == list(store.read_all()) * 8
