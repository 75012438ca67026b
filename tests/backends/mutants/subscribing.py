"""Stores that break a clause about ``subscribe``."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY
from tests.backends.mutants.broken import caught_by


@caught_by("test_each_appended_event_is_delivered_once")
class CallsAHandlerTwice(MemoryEventStore):
    def subscribe(self, handler: Any) -> Any:
        leave, leave_too = super().subscribe(handler), super().subscribe(handler)
        return lambda: (leave(), leave_too())


@caught_by("test_what_was_there_before_is_not_delivered")
class DeliversTheHistory(MemoryEventStore):
    def subscribe(self, handler: Any) -> Any:
        for recorded in self.read_all():
            handler(recorded)
        return super().subscribe(handler)


@caught_by("test_unsubscribe_ends_the_calls")
class NeverUnsubscribes(MemoryEventStore):
    def subscribe(self, handler: Any) -> Any:
        super().subscribe(handler)
        return lambda: None


@caught_by("test_a_handler_that_raises_stops_nothing")
class SwallowsWhatAHandlerRaises(MemoryEventStore):
    def subscribe(self, handler: Any) -> Any:
        def quietly(recorded: RecordedEvent) -> None:
            try:
                handler(recorded)
            except RuntimeError:
                return

        return super().subscribe(quietly)


class _CallsHandlersItself(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__()
        self._handlers: list[Any] = []

    def subscribe(self, handler: Any) -> Any:
        super().subscribe(print)()  # refused where it is closed
        self._handlers.append(handler)
        return lambda: handler in self._handlers and self._handlers.remove(handler)

    def call(self, events: Iterable[RecordedEvent]) -> None:
        for recorded in events:
            for handler in list(self._handlers):
                handler(recorded)


@caught_by("test_what_a_handler_appends_comes_after_the_present_event")
class DeliversInsideADelivery(_CallsHandlersItself):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        recorded = super().append_many(events, expected_versions)
        self.call(recorded)
        return recorded


@caught_by("test_a_handler_that_raises_stops_nothing")
class LetsAHandlerFailTheAppend(DeliversInsideADelivery):
    pass


@caught_by("test_a_retry_delivers_nothing")
class DeliversRetries(DeliversInsideADelivery):
    pass


@caught_by("test_threads_share_one_order")
class DeliversInEachThread(DeliversInsideADelivery):
    pass


@caught_by("test_each_appended_event_is_delivered_once")
class DeliversABatchBackwards(_CallsHandlersItself):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        recorded = super().append_many(events, expected_versions)
        self.call(recorded[::-1])
        return recorded


@caught_by("test_a_refused_append_delivers_nothing")
class DeliversBeforeItRecords(_CallsHandlersItself):
    def append_many(self, events: Any, expected_versions: Any = None) -> list[RecordedEvent]:
        given = list(events)
        self.call(RecordedEvent(event, 1) for event in given)
        return super().append_many(given, expected_versions)


@caught_by("test_who_delivers_takes_others_events_along")
class WaitsForAnotherDelivery(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__()
        self._delivering = threading.Lock()

    def append(self, event: DomainEvent, expected_version: Any = ANY) -> RecordedEvent:
        with self._delivering:
            return super().append(event, expected_version)
