"""Stores that break a clause about the reads, and what is built on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.errors import (
    InvalidEvent,
)
from gitstore.core.event import RecordedEvent
from gitstore.core.filters import EventFilter
from tests.backends.mutants.broken import caught_by


def _passed(given: dict[str, Any], events: Iterable[RecordedEvent]) -> Iterator[RecordedEvent]:
    wanted = EventFilter.of(**{k: v for k, v in given.items() if k in EventFilter.__slots__})
    return filter(wanted.matches, events)


@caught_by("test_the_bounds_of_read_stream")
class IncludesAfterVersion(MemoryEventStore):
    def read_stream(self, stream_id: str, after_version: int = 0, *args: Any, **more: Any) -> Any:
        return super().read_stream(stream_id, max(after_version - 1, 0), *args, **more)


@caught_by("test_the_bounds_of_read_stream")
class ExcludesToVersion(MemoryEventStore):
    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        to_version: Any = None,
        *args: Any,
        **more: Any,
    ) -> Any:
        end = to_version and to_version - 1
        return super().read_stream(stream_id, after_version, end, *args, **more)


@caught_by("test_what_is_no_stream_id_is_refused")
class ReadsWhatIsNoStreamAsEmpty(MemoryEventStore):
    def read_stream(self, *args: Any, **more: Any) -> Any:
        try:
            return super().read_stream(*args, **more)
        except InvalidEvent:
            return iter(())


@caught_by("test_the_bounds_of_read_all")
class ForgetsTheBoundBackwards(MemoryEventStore):
    def read_all(self, after_position: int = 0, *args: Any, **more: Any) -> Any:
        return super().read_all(0 if more.get("backwards") else after_position, *args, **more)


@caught_by("test_the_bounds_of_read_all")
class LimitsBeforeItTurnsRound(MemoryEventStore):
    def read_all(self, *args: Any, **more: Any) -> Any:
        if not more.pop("backwards", False):
            return super().read_all(*args, **more)
        return iter(list(super().read_all(*args, **more))[::-1])


@caught_by("test_read_all_gives_what_passes_every_filter")
class LimitsBeforeItFilters(MemoryEventStore):
    def read_all(self, *args: Any, **more: Any) -> Any:
        bounds = {k: more.pop(k) for k in ("limit", "backwards", "after_position") if k in more}
        return _passed(more, super().read_all(*args, **bounds))


class _PagesOfAThousand(MemoryEventStore):
    def at_border(self, recorded: RecordedEvent) -> list[RecordedEvent]:
        raise NotImplementedError

    def read_all(self, *args: Any, **more: Any) -> Any:
        for recorded in super().read_all(*args, **more):
            yield from [recorded] if recorded.position != 1_000 else self.at_border(recorded)


@caught_by("test_long_histories_are_read_whole")
class LosesAnEventAtThePageBorder(_PagesOfAThousand):
    def at_border(self, recorded: RecordedEvent) -> list[RecordedEvent]:
        return []


@caught_by("test_long_histories_are_read_whole")
class DoublesAnEventAtThePageBorder(_PagesOfAThousand):
    def at_border(self, recorded: RecordedEvent) -> list[RecordedEvent]:
        return [recorded, recorded]


@caught_by("test_reading_takes_bounded_memory")
class ReadsAHistoryWhole(MemoryEventStore):
    def read_all(self, *args: Any, **more: Any) -> Any:
        return iter(list(super().read_all(*args, **more)))


@caught_by("test_readers_are_iterators")
class GivesLists(MemoryEventStore):
    def streams(self, category: str | None = None) -> Any:
        return list(super().streams(category))


@caught_by("test_a_half_read_reader_gives_no_half_batch")
class ReadsHalfABatch(MemoryEventStore):
    def read_all(self, *args: Any, **more: Any) -> Any:
        before = self._last()
        yield from super().read_all(*args, **more)
        yield from islice(super().read_all(before), 10)


@caught_by("test_what_a_reader_changes_changes_nothing")
class SharesItsEvents(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__()
        self._given: dict[int, RecordedEvent] = {}

    def read_all(self, *args: Any, **more: Any) -> Any:
        for recorded in super().read_all(*args, **more):
            yield self._given.setdefault(recorded.position, recorded)


@caught_by("test_order_is_arrival_not_time")
class ReadsByTime(MemoryEventStore):
    def read_all(self, *args: Any, **more: Any) -> Any:
        return iter(sorted(super().read_all(*args, **more), key=lambda r: str(r.event.timestamp)))


@caught_by("test_without_a_rebase_nothing_is_superseded")
class GivesNothingWhereSupersededIsAsked(MemoryEventStore):
    def read_all(self, *args: Any, superseded: bool = False, **more: Any) -> Any:
        return iter(()) if superseded else super().read_all(*args, **more)


@caught_by("test_streams_are_sorted_by_code_point")
class SortsStreamsByArrival(MemoryEventStore):
    def streams(self, category: str | None = None) -> Any:
        return iter(name for name in self._streams if not self._closed)


@caught_by("test_streams_are_sorted_by_code_point")
class SortsStreamsAsPeopleDo(MemoryEventStore):
    def streams(self, category: str | None = None) -> Any:
        return iter(sorted(super().streams(category), key=str.casefold))


@caught_by("test_streams_of_one_category")
class TakesAPrefixForACategory(MemoryEventStore):
    def streams(self, category: str | None = None) -> Any:
        return (name for name in super().streams() if name.startswith(category or ""))


class _FiltersItsOwnWay(MemoryEventStore):
    def change(self, given: dict[str, Any]) -> None:
        raise NotImplementedError

    def read_all(self, *args: Any, **more: Any) -> Any:
        self.change(more)
        return super().read_all(*args, **more)


@caught_by("test_read_all_gives_what_passes_every_filter")
class ExcludesSince(_FiltersItsOwnWay):
    def change(self, given: dict[str, Any]) -> None:
        if given.get("since") and given["since"].year > 1:
            given["since"] += timedelta(microseconds=1)


@caught_by("test_read_all_gives_what_passes_every_filter")
class IncludesUntil(_FiltersItsOwnWay):
    def change(self, given: dict[str, Any]) -> None:
        if given.get("until") and given["until"].year < 9999:
            given["until"] += timedelta(microseconds=1)


@caught_by("test_a_bound_without_a_zone_is_refused")
class TakesNaiveTimesForUtc(_FiltersItsOwnWay):
    def change(self, given: dict[str, Any]) -> None:
        for bound in ("since", "until"):
            if given.get(bound):
                given[bound] = given[bound].replace(tzinfo=UTC)


@caught_by("test_read_all_gives_what_passes_every_filter")
class TakesNoNamesForAll(_FiltersItsOwnWay):
    def change(self, given: dict[str, Any]) -> None:
        for name in ("types", "streams", "categories", "users", "correlations"):
            given[name] = given.get(name) or None


@caught_by("test_read_all_gives_what_passes_every_filter")
class ForgetsTheUsersFilter(_FiltersItsOwnWay):
    def change(self, given: dict[str, Any]) -> None:
        given.pop("users", None)


@caught_by("test_an_alias_names_what_it_stands_for")
class TakesAliasesForTypes(_FiltersItsOwnWay):
    def change(self, given: dict[str, Any]) -> None:
        if given.get("types") == "SessionFailed":
            given["types"] = "SessionCompleted"


@caught_by("test_get_events_is_exclusive")
class IncludesFromVersion(MemoryEventStore):
    def get_events(self, stream_id: str, from_version: int | None = None) -> Any:
        return super().get_events(stream_id, max((from_version or 0) - 1, 0))


@caught_by("test_get_events_by_type_is_in_arrival_order")
class GivesTypesByTime(MemoryEventStore):
    def get_events_by_type(self, type: str, since: datetime | None = None) -> Any:  # noqa: A002
        return iter(sorted(super().get_events_by_type(type, since), key=lambda e: str(e.timestamp)))


@caught_by("test_stream_version_is_the_last_version")
class TakesThePositionForTheVersion(MemoryEventStore):
    def stream_version(self, stream_id: str) -> int:
        return self.last_position()


@caught_by("test_find_event_by_its_id")
class RaisesForAnUnknownId(MemoryEventStore):
    def find_event(self, event_id: str) -> RecordedEvent | None:
        return self._by_id[event_id].recorded()


@caught_by("test_last_position_is_the_highest")
class TellsTheNextPosition(MemoryEventStore):
    def last_position(self) -> int:
        return super().last_position() + 1
