"""Stores that break a clause about ``follow``."""

from __future__ import annotations

import threading
from typing import Any

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.filters import EventFilter
from tests.backends.mutants.broken import caught_by


@caught_by("test_follow_catches_up_and_stays")
class LosesWhatComesAfterTheHistory(MemoryEventStore):
    def _follow(self, position: int, *args: Any) -> Any:
        last = self._last()
        for recorded in super()._follow(position, *args):
            if recorded.position != last + 1 or not last:
                yield recorded


@caught_by("test_follow_begins_after_a_position")
class FollowsFromAPositionOn(MemoryEventStore):
    def _follow(self, position: int, *args: Any) -> Any:
        return super()._follow(position - 1, *args)


@caught_by("test_stop_ends_a_follower_that_catches_up")
class CatchesUpBeforeItStops(MemoryEventStore):
    def _follow(self, position: int, wanted: Any, stop: threading.Event) -> Any:
        yield from filter(wanted.matches, list(self.read_all(position)))
        yield from super()._follow(self._last(), wanted, stop)


@caught_by("test_follow_gives_what_passes_every_filter")
class FiltersTheHistoryOnly(MemoryEventStore):
    def _follow(self, position: int, wanted: Any, stop: threading.Event) -> Any:
        last = self._last()
        for recorded in super()._follow(position, EventFilter(), stop):
            if recorded.position > last or wanted.matches(recorded):
                yield recorded


@caught_by("test_followers_do_not_take_from_each_other")
class LetsFollowersShareEvents(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__()
        self._taken: set[int] = set()

    def _follow(self, *args: Any) -> Any:
        for recorded in super()._follow(*args):
            if recorded.position not in self._taken:
                self._taken.add(recorded.position)
                yield recorded


@caught_by("test_close_ends_every_follower")
class FollowsOnWhenClosed(MemoryEventStore):
    def _follow(self, position: int, *args: Any) -> Any:
        for recorded in super()._follow(position, *args):
            position = recorded.position
            yield recorded
        yield from (row.recorded() for row in self._all[position:])
