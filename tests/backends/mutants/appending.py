"""Stores that break a clause about ``append`` and ``append_many``."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gitstore.backends.memory import MemoryEventStore
from gitstore.backends.stamping import Stamper
from gitstore.core.errors import (
    EventStoreError,
    InvalidEvent,
    WrongExpectedVersion,
)
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS, check_expected
from tests.backends.mutants.broken import caught_by


@caught_by("test_append_returns_what_is_recorded")
class ReturnsTheCallersEvent(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        return replace(super().append(event, expected_version), event=event)


@caught_by("test_versions_count_each_stream_and_positions_the_store")
class CountsPositionsFromZero(MemoryEventStore):
    def _record(self, proposal: Any) -> Any:
        row = super()._record(proposal)
        self._all[-1] = replace(row, position=row.position - 1)
        return self._all[-1]


@caught_by("test_versions_count_each_stream_and_positions_the_store")
class CountsVersionsOverAllStreams(MemoryEventStore):
    def _head(self, stream_id: str) -> int:
        return len(self._all)


@caught_by("test_a_missing_id_is_a_new_uuid7")
class GivesRandomIds(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__(Stamper(new_id=lambda _: str(uuid.uuid4())))


@caught_by("test_a_missing_timestamp_is_now_in_utc")
class StampsAnHourLate(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__(Stamper(clock=lambda: datetime.now(UTC) + timedelta(hours=1)))


@caught_by("test_a_commit_is_given_where_the_store_makes_commits")
class MakesUpCommits(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        return replace(super().append(event, expected_version), commit="0" * 40)


class _ForgetsAnExpectation(MemoryEventStore):
    forgotten: object = None

    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        kept = {k: v for k, v in (expected_versions or {}).items() if v is not self.forgotten}
        return super().append_many(events, kept)


@caught_by("test_an_expectation_that_fails_keeps_the_event_out")
class ForgetsNoStream(_ForgetsAnExpectation):
    forgotten = NO_STREAM


@caught_by("test_an_expectation_that_fails_keeps_the_event_out")
class ForgetsStreamExists(_ForgetsAnExpectation):
    forgotten = STREAM_EXISTS


@caught_by("test_what_is_no_expected_version_is_refused")
class TakesTrueForOne(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = (expected_versions or {}).items()
        return super().append_many(events, {k: 1 if v is True else v for k, v in given})


@caught_by("test_an_expectation_that_fails_keeps_the_event_out")
class TakesAnExpectationForALeast(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = (expected_versions or {}).items()
        kept = {k: v for k, v in given if not isinstance(v, int) or v > self._head(k)}
        return super().append_many(events, kept)


@caught_by("test_an_expectation_that_fails_keeps_the_event_out")
class TellsAWrongActual(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        try:
            return super().append_many(events, expected_versions)
        except WrongExpectedVersion as error:
            error.actual += 1
            raise


@caught_by("test_an_event_that_names_another_version_is_refused")
class IgnoresNamedVersions(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        return super().append_many((replace(e, version=None) for e in events), expected_versions)


@caught_by("test_a_wrong_named_version_counts_the_batchs_own_events")
class ForgetsTheBatchInActual(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        try:
            return super().append_many(events, expected_versions)
        except WrongExpectedVersion as error:
            error.actual = self._head(error.stream_id)
            raise


@caught_by("test_a_refused_append_leaves_no_hole")
class LeavesAHoleWhenItRefuses(MemoryEventStore):
    refused = 0

    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        try:
            recorded = super().append_many(events, expected_versions)
        except EventStoreError:
            self.refused += 1
            raise
        return [replace(r, position=r.position + self.refused) for r in recorded]


@caught_by("test_a_batch_is_recorded_whole_or_not_at_all")
class RecordsHalfABatch(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        try:
            return super().append_many(given, expected_versions)
        except (WrongExpectedVersion, InvalidEvent):
            if len(given) > 1:
                super().append_many(given[:1])
            raise


@caught_by("test_a_batch_of_none_is_an_empty_list")
class ChecksABatchOfNone(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        for stream, expected in (expected_versions or {}).items() if not given else ():
            check_expected(stream, expected, self._head(stream))
        return super().append_many(given, expected_versions)


@caught_by("test_a_batch_may_depend_on_a_stream_it_leaves_alone")
class LooksAtTouchedStreamsOnly(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        touched = {event.stream_id for event in given}
        kept = {k: v for k, v in (expected_versions or {}).items() if k in touched}
        return super().append_many(given, kept)


@caught_by("test_a_batch_stands_together_in_the_order_given")
class SortsABatchByStream(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        return super().append_many(sorted(events, key=lambda e: e.stream_id), expected_versions)


@caught_by("test_events_that_fail_to_come_record_nothing")
class RecordsWhatCameBeforeAnError(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        come: list[DomainEvent] = []
        try:
            come.extend(events)
        except LookupError:
            super().append_many(come)
            raise
        return super().append_many(come, expected_versions)


@caught_by("test_data_that_json_cannot_hold_is_refused")
class WritesNullForWhatJsonCannotHold(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        try:
            return super().append(event, expected_version)
        except InvalidEvent:
            return super().append(replace(event, data=None), expected_version)


@caught_by("test_data_is_kept_exactly")
class MakesWholeFloatsIntegers(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        data: Any = event.data
        whole = isinstance(data, float) and data.is_integer()
        return super().append(replace(event, data=int(data) if whole else data), expected_version)


@caught_by("test_a_timestamp_is_kept_exactly_in_utc")
class CutsTimestampsToMilliseconds(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        time = event.timestamp
        cut = time and time.replace(microsecond=time.microsecond // 1_000 * 1_000)
        return super().append(replace(event, timestamp=cut), expected_version)


@caught_by("test_a_stream_id_is_kept_as_it_is")
class FoldsTheCaseOfStreams(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        folded = replace(event, stream_id=event.stream_id.casefold())
        return super().append(folded, expected_version)


@caught_by("test_exactly_one_wins_each_round")
class ChecksBeforeItLocks(MemoryEventStore):
    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        head = self.stream_version(event.stream_id)
        if isinstance(expected_version, int) and expected_version != head:
            raise WrongExpectedVersion(event.stream_id, expected_version, head)
        time.sleep(0.001)
        return super().append(event)


@caught_by("test_batches_do_not_mingle")
class LetsBatchesMingle(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        recorded = []
        for event in events:
            recorded += super().append_many([event])
            time.sleep(0.0005)
        return recorded
