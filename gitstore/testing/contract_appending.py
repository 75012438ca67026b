"""The contract of ``append`` and ``append_many``: places, expectations, all or nothing.

``append``, the clauses and their tests:

- returned whole: ``test_append_returns_…``, ``test_a_missing_…``, ``test_a_commit_is_given_…``
- seen at once, beside others: ``test_what_is_appended_is_seen_…``, ``contract_processes``
- version and position: ``test_versions_count_…``, ``test_a_refused_append_leaves_no_hole``
- ``WrongExpectedVersion``: ``test_an_expectation_that_…``, ``test_an_event_that_names_…``
- ``InvalidEvent``: ``test_what_is_no_expected_version_…``, ``contract_data``, ``contract_names``

``append_many``:

- all or nothing: ``test_a_batch_is_recorded_whole_…``, ``test_events_that_fail_to_come_…``; over a
  crash: ``contract_processes``
- contiguous, in the order given: ``test_a_batch_stands_together_…``, ``test_a_large_batch_…``
- ``expected_versions``: ``test_a_batchs_expectations_…``, ``test_a_batch_may_depend_on_…``
- none: ``test_a_batch_of_none_…``
- ``actual`` counts the batch's own events: ``test_a_wrong_named_version_counts_…``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import InvalidEvent, WrongExpectedVersion
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from gitstore.testing.support import (
    T0,
    MakeStore,
    data_of,
    fill,
    happened,
    need,
    nothing_recorded,
    positions,
    versions,
)

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NAN = float("nan")


class AppendingContract:
    """Where an appended event stands, and what is believed before it."""

    def test_append_returns_what_is_recorded(self, store: BaseEventStore) -> None:
        """The event comes back whole, and equal to what every reader is given."""
        metadata = {"userId": "ann", "correlationId": "c", "causationId": "b", "own": [1]}
        event = DomainEvent("task-1", "Opened", {"title": "Ship"}, metadata, "id-1", T0)
        recorded = store.append(event)
        assert recorded.event == DomainEvent(
            "task-1", "Opened", {"title": "Ship"}, metadata, "id-1", T0, 1
        )
        assert list(store.read_all()) == [recorded]
        assert list(store.read_stream("task-1")) == [recorded]

    def test_versions_count_each_stream_and_positions_the_store(
        self, store: BaseEventStore
    ) -> None:
        """A version is the stream's plus one, a position the store's highest plus one."""
        recorded = [store.append(happened(stream)) for stream in ("a", "b", "a", "a", "b")]
        assert versions(recorded) == [1, 1, 2, 3, 2]
        assert positions(recorded) == [1, 2, 3, 4, 5]

    def test_a_missing_id_is_a_new_uuid7(self, store: BaseEventStore) -> None:
        """Events without an id get a UUIDv7 each."""
        given = [store.append(happened()).event.id or "" for _ in range(20)]
        assert all(map(_UUID7.fullmatch, given))
        assert len(set(given)) == 20

    def test_a_missing_timestamp_is_now_in_utc(self, store: BaseEventStore) -> None:
        """Events without a timestamp get the time of the append, aware and in UTC."""
        before = datetime.now(UTC) - timedelta(milliseconds=1)  # stores may cut to milliseconds
        timestamp = store.append(happened()).event.timestamp
        assert timestamp is not None
        assert before <= timestamp <= datetime.now(UTC)
        assert timestamp.utcoffset() == timedelta(0)

    def test_a_commit_is_given_where_the_store_makes_commits(self, store: BaseEventStore) -> None:
        """``RecordedEvent.commit`` is a git object id, or ``None``, as the capabilities say."""
        commits = [recorded.commit for recorded in fill(store, "a", 3)]
        if store.capabilities.commits:
            assert all(re.fullmatch("[0-9a-f]{40}", commit or "") for commit in commits)
            assert len(set(commits)) == 3
        else:
            assert commits == [None] * 3

    def test_what_is_appended_is_seen_by_other_store_objects(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """A reader beside the writer sees an event as soon as its append has returned."""
        need(store.capabilities.multi_process, "for several processes")
        with make_store() as other:
            for _ in range(3):
                recorded = store.append(happened())
                assert other.stream_version("task-1") == recorded.version
                assert list(other.read_all(recorded.position - 1)) == [recorded]

    def test_writers_beside_each_other_continue_one_history(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """Two store objects give one row of versions and positions."""
        need(store.capabilities.multi_process, "for several processes")
        with make_store() as other:
            recorded = [writer.append(happened()) for writer in (store, other, store, other)]
        assert versions(recorded) == positions(recorded) == [1, 2, 3, 4]
        assert list(store.read_all()) == recorded

    @pytest.mark.parametrize(
        ("there", "expected"),
        [(0, ANY), (0, NO_STREAM), (0, 0), (2, ANY), (2, STREAM_EXISTS), (2, 2)],
        ids=str,
    )
    def test_an_expectation_that_holds_lets_the_event_in(
        self, store: BaseEventStore, there: int, expected: ExpectedVersion
    ) -> None:
        """``ANY``, ``NO_STREAM``, ``STREAM_EXISTS`` and numbers speak of the stream before it."""
        fill(store, "task-1", there)
        assert store.append(happened(), expected).version == there + 1

    @pytest.mark.parametrize(
        ("there", "expected"),
        [(0, STREAM_EXISTS), (0, 1), (2, NO_STREAM), (2, 0), (2, 1), (2, 3), (2, 2**70)],
        ids=str,
    )
    def test_an_expectation_that_fails_keeps_the_event_out(
        self, store: BaseEventStore, there: int, expected: ExpectedVersion
    ) -> None:
        """``WrongExpectedVersion`` carries stream, expectation and truth; nothing is recorded."""
        fill(store, "task-1", there)
        fill(store, "task-2", 1)
        with nothing_recorded(store), pytest.raises(WrongExpectedVersion) as caught:
            store.append(happened(), expected)
        error = caught.value
        assert (error.stream_id, error.expected, error.actual) == ("task-1", expected, there)

    @pytest.mark.parametrize("expected", [True, -1, "1", 1.0, None], ids=repr)
    def test_what_is_no_expected_version_is_refused(
        self, store: BaseEventStore, expected: Any
    ) -> None:
        """``InvalidEvent`` for an expectation that is none: it would protect nothing."""
        fill(store, "task-1", 1)
        with nothing_recorded(store), pytest.raises(InvalidEvent):
            store.append(happened(), expected)
        with nothing_recorded(store), pytest.raises(InvalidEvent):
            store.append_many([happened()], {"task-1": expected})

    @pytest.mark.parametrize("there", [0, 3])
    def test_an_event_may_name_the_next_version(self, store: BaseEventStore, there: int) -> None:
        """An event that names its version expects the stream just below it."""
        fill(store, "task-1", there)
        assert store.append(happened(version=there + 1)).version == there + 1

    @pytest.mark.parametrize("version", [1, 2, 4, 2**63 - 1])
    def test_an_event_that_names_another_version_is_refused(
        self, store: BaseEventStore, version: int
    ) -> None:
        """``WrongExpectedVersion`` when the named version is not the next; nothing is recorded."""
        fill(store, "task-1", 2)
        with nothing_recorded(store), pytest.raises(WrongExpectedVersion) as caught:
            store.append(happened(version=version))
        error = caught.value
        assert (error.stream_id, error.expected, error.actual) == ("task-1", version - 1, 2)

    def test_a_named_version_and_an_expectation_must_both_hold(self, store: BaseEventStore) -> None:
        """One of the two does not make up for the other."""
        fill(store, "task-1", 2)
        for version, expected in ((3, 1), (2, 2), (3, NO_STREAM)):
            with nothing_recorded(store), pytest.raises(WrongExpectedVersion):
                store.append(happened(version=version), expected)
        assert store.append(happened(version=3), 2).version == 3

    def test_a_refused_append_leaves_no_hole(self, store: BaseEventStore) -> None:
        """The next event takes the place the refused ones did not get."""
        fill(store, "task-1", 1)
        for event, expected in ((happened(), 7), (happened(version=9), ANY)):
            with pytest.raises(WrongExpectedVersion):
                store.append(event, expected)
        with pytest.raises(InvalidEvent):
            store.append(happened(data=_NAN))
        recorded = store.append(happened())
        assert (recorded.version, recorded.position) == (2, 2)

    def test_a_batch_stands_together_in_the_order_given(self, store: BaseEventStore) -> None:
        """``append_many`` over several streams: contiguous positions, versions by stream."""
        fill(store, "a", 1)
        recorded = store.append_many(happened(s, data=n) for n, s in enumerate("baabc"))
        assert positions(recorded) == [2, 3, 4, 5, 6]
        assert versions(recorded) == [1, 2, 3, 2, 1]
        assert data_of(recorded) == [0, 1, 2, 3, 4]
        assert list(store.read_all(1)) == recorded

    def test_a_batch_of_none_is_an_empty_list(self, store: BaseEventStore) -> None:
        """No events: nothing is recorded, and nothing is wrong, whatever is expected."""
        assert store.append_many([]) == []
        assert store.append_many([], {"a": STREAM_EXISTS, "b": 7}) == []
        assert store.append_many(iter(())) == []
        assert store.last_position() == 0

    def test_a_batchs_expectations_speak_of_the_streams_before_it(
        self, store: BaseEventStore
    ) -> None:
        """One expectation a stream, however many events follow; a stream not named: ``ANY``."""
        fill(store, "a", 2)
        fill(store, "c", 1)
        recorded = store.append_many(map(happened, "aabbc"), {"a": 2, "b": NO_STREAM})
        assert versions(recorded) == [3, 4, 1, 2, 2]

    def test_the_events_of_a_batch_may_name_their_versions(self, store: BaseEventStore) -> None:
        """Named versions count on within the batch."""
        fill(store, "a", 1)
        batch = [happened("a", version=2), happened("b", version=1), happened("a", version=3)]
        assert versions(store.append_many(batch)) == [2, 1, 3]

    @pytest.mark.parametrize(
        ("batch", "expectations", "error"),
        [
            (["a", "b"], {"b": 1}, WrongExpectedVersion),
            (["b", "a"], {"b": STREAM_EXISTS}, WrongExpectedVersion),
            (["b", "a"], {"a": NO_STREAM}, WrongExpectedVersion),
            (["a", "b", happened("a", version=9)], {}, WrongExpectedVersion),
            (["a", happened("b", data=_NAN)], {}, InvalidEvent),
            (["a", "b", happened("b", metadata={"n": 2**64})], {}, InvalidEvent),
        ],
        ids=["last", "first", "other", "named", "data", "metadata"],
    )
    def test_a_batch_is_recorded_whole_or_not_at_all(
        self,
        store: BaseEventStore,
        batch: list[Any],
        expectations: dict[str, ExpectedVersion],
        error: type[Exception],
    ) -> None:
        """One event that cannot be recorded keeps out the whole batch, in every stream."""
        fill(store, "a", 2)
        events = [e if isinstance(e, DomainEvent) else happened(e) for e in batch]
        with nothing_recorded(store), pytest.raises(error):
            store.append_many(events, expectations)
        assert (store.stream_version("a"), store.stream_version("b")) == (2, 0)

    def test_a_wrong_named_version_counts_the_batchs_own_events(
        self, store: BaseEventStore
    ) -> None:
        """``actual`` is where the stream would be when that event's turn comes."""
        fill(store, "a", 2)
        batch = [happened("a"), happened("b"), happened("a"), happened("a", version=9)]
        with nothing_recorded(store), pytest.raises(WrongExpectedVersion) as caught:
            store.append_many(batch)
        error = caught.value
        assert (error.stream_id, error.expected, error.actual) == ("a", 8, 4)

    def test_a_batch_may_be_made_of_what_is_read(self, store: BaseEventStore) -> None:
        """The events may come from a generator that reads the same store."""
        fill(store, "a", 3)
        recorded = store.append_many(
            happened("b", data=event.data) for event in store.get_events("a")
        )
        assert data_of(recorded) == [1, 2, 3]

    def test_events_that_fail_to_come_record_nothing(self, store: BaseEventStore) -> None:
        """An error of the caller's own generator passes through, and the store goes on."""

        def events() -> Iterator[DomainEvent]:
            yield happened("a")
            raise LookupError

        with nothing_recorded(store), pytest.raises(LookupError):
            store.append_many(events())
        assert store.append(happened("a")).version == 1

    def test_a_batch_may_depend_on_a_stream_it_leaves_alone(self, store: BaseEventStore) -> None:
        """An expectation of a stream that gets no event is checked all the same."""
        fill(store, "other", 2)
        with nothing_recorded(store), pytest.raises(WrongExpectedVersion) as caught:
            store.append_many([happened("a")], {"other": 1})
        assert (caught.value.stream_id, caught.value.actual) == ("other", 2)
        assert len(store.append_many([happened("a")], {"other": 2})) == 1

    def test_a_large_batch_is_one_batch(self, store: BaseEventStore) -> None:
        """Thousands of events over several streams keep every promise of a small batch."""
        fill(store, "s-0", 1)
        batch = [happened(f"s-{n % 7}", data=n) for n in range(2_500)]
        recorded: list[RecordedEvent] = store.append_many(batch, {"s-0": 1, "s-1": NO_STREAM})
        assert positions(recorded) == list(range(2, 2_502))
        assert list(store.read_all(1)) == recorded
        assert versions(store.read_stream("s-1")) == list(range(1, 358))
