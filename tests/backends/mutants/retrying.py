"""Stores that break a clause about retries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.errors import (
    DuplicateEventId,
    PartialDuplicate,
    WrongExpectedVersion,
)
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import NO_STREAM
from tests.backends.mutants.broken import caught_by


@caught_by("test_a_retry_is_looked_up_before_the_version")
class LooksAtVersionsBeforeIds(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        for stream, expected in (expected_versions or {}).items():
            if expected is NO_STREAM and self._head(stream):
                raise WrongExpectedVersion(stream, expected, self._head(stream))
        return super().append_many(given, expected_versions)


@caught_by("test_a_retry_returns_what_is_recorded")
class ForgetsIds(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        self._by_id.clear()
        return super().append_many(events, expected_versions)


class _TakesTwinsForRetries(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        try:
            return super().append_many(given, expected_versions)
        except DuplicateEventId as error:
            if not self.is_same(error, given):
                raise
            return [self._by_id[event.id].recorded() for event in given]

    def is_same(self, error: DuplicateEventId, given: list[DomainEvent]) -> bool:
        raise NotImplementedError


@caught_by("test_other_content_under_a_known_id_is_refused")
class TakesAnyKnownIdForARetry(_TakesTwinsForRetries):
    def is_same(self, error: DuplicateEventId, given: list[DomainEvent]) -> bool:
        return error.stream_id is not None


@caught_by("test_minus_zero_is_other_content_than_zero")
class ComparesContentByPythonsEquality(_TakesTwinsForRetries):
    def is_same(self, error: DuplicateEventId, given: list[DomainEvent]) -> bool:
        return all(e.id and self._by_id[e.id].recorded().event.data == e.data for e in given)


@caught_by("test_a_batch_in_another_order_is_no_retry")
class TakesABatchInAnyOrder(_TakesTwinsForRetries):
    def is_same(self, error: DuplicateEventId, given: list[DomainEvent]) -> bool:
        return "another order" in str(error)


@caught_by("test_other_content_under_a_known_id_is_refused")
class TellsNoPlaceOfATakenId(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        try:
            return super().append_many(events, expected_versions)
        except DuplicateEventId as error:
            raise DuplicateEventId(error.event_id) from None


@caught_by("test_an_id_twice_in_one_batch_is_refused")
class DropsTwinsInABatch(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = {event.id or id(event): event for event in events}
        return super().append_many(given.values(), expected_versions)


@caught_by("test_a_batch_known_in_part_is_refused")
class RecordsTheUnknownPart(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        try:
            return super().append_many(given, expected_versions)
        except PartialDuplicate as error:
            return super().append_many(e for e in given if e.id not in error.known)


@caught_by("test_a_retry_must_stand_right_after_an_exact_expectation")
class LetsARetryStandAnywhere(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        if given and all(event.id in self._by_id for event in given):
            return super().append_many(given)
        return super().append_many(given, expected_versions)


@caught_by("test_ids_differ_by_case")
class FoldsTheCaseOfIds(MemoryEventStore):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        folded = (replace(e, id=e.id and e.id.lower()) for e in events)
        return super().append_many(folded, expected_versions)
