"""Running projections on a store: rebuild, resume, follow; states saved with their checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from gitstore.core.base import BaseEventStore
from gitstore.core.canonical import JSON
from gitstore.core.errors import StaleCheckpoint
from gitstore.core.event import RecordedEvent
from gitstore.core.findings import Progress, silent
from gitstore.projections.projection import Factory, Projection
from gitstore.projections.runner import Runner
from gitstore.projections.stateform import Stopped
from gitstore.projections.states import States, states_of

_SAVE_EVERY = 5.0
"""Seconds of a long run after which a kill is to cost no more."""
_SAVING_SHARE = 20
"""Saving takes at most one part in so many of the time."""
_REPORT_EVERY = 1_000
_POLL_SECONDS = 0.05
_MOST_TAKEN_OVER = 5
"""How often a catch-up goes on from what others have saved meanwhile, before it lets that be."""


class _TakenOver(Exception):
    """In the middle of a pass a state was taken over, which may not have come as far."""


class ProjectionManager:
    """Projections of one store. For one thread at a time; several managers may run at once.

    - ``store``: must stay open as long as the manager is used.
    - ``factories``: of the projections, such as their classes; names must differ.
    - ``states``: where states are saved; without, in the store's own place, and in memory where it
      has none that can be written to.

    State and checkpoint are saved together, so that each event is in a state exactly once, whenever
    a process is killed. ``catch_up`` and ``follow`` read what was recorded before and after in one
    way, so nothing is lost between the two. Where a rebase moved what is handled, the code has
    another ``version``, or a state is damaged or of another store, the state is made anew, beside
    the one that is there, and takes its place when it has caught up; where a process ends before
    that, the next manager goes on with it.

    A projection that raises is stopped before that event, and it alone: ``stopped`` names the
    event, and ``skip`` or ``retry`` let it go on. A new manager tries again.
    """

    def __init__(
        self,
        store: BaseEventStore,
        factories: Iterable[Factory],
        *,
        states: States | None = None,
    ) -> None:
        self._store = store
        kept = states or states_of(store)
        runners = [Runner(factory, store, kept) for factory in factories]
        self._runners = {runner.name: runner for runner in runners}
        if len({name.lower() for name in self._runners}) < len(runners):  # they name files
            raise ValueError("two projections have one name")
        for runner in runners:
            runner.retry()
        self._end: int | None = None
        self._saved_at = time.monotonic()
        self._saving_took = 0.0

    def __iter__(self) -> Iterator[str]:
        """The names of the projections."""
        return iter(self._runners)

    def __getitem__(self, name: str) -> Projection:
        """The projection of this name, with its state; ``KeyError`` where there is none."""
        return self._runners[name].current

    @property
    def notes(self) -> list[str]:
        """Sentences about saved states that could not be used, or could not be saved."""
        return list(chain.from_iterable(runner.slot.notes for runner in self._runners.values()))

    def state(self, name: str) -> JSON:
        """The state of a projection."""
        return self[name].state()

    def position(self, name: str) -> int:
        """The position up to which events are in the state of a projection that ``state`` gives."""
        return self._runners[name].served_position

    def stopped(self, name: str) -> Stopped | None:
        """The event at which a projection stopped, or ``None``."""
        return self._runners[name].stopped

    def unsaved(self, name: str) -> str | None:
        """Why the state of a projection could not be saved the last time, or ``None``."""
        return self._runners[name].slot.unsaved

    def catch_up(
        self, *, stop: threading.Event | None = None, progress: Progress | None = None
    ) -> int:
        """Hand on all that is recorded by now, and save; gives the position reached.

        - ``stop``: end early; what is handled is saved.
        - ``progress``: told ``"Projecting"``, the position reached, and the store's last.
        """
        ends = stop or threading.Event()
        for _ in range(_MOST_TAKEN_OVER):
            position = self._caught_up(ends, progress or silent)
            if not self._save() or ends.is_set():
                break
        return position

    def follow(self, stop: threading.Event) -> Iterator[int]:
        """``catch_up``, then again whenever events are recorded, until ``stop`` is set.

        Gives the position reached, each time; ``rebuild``, ``skip`` and ``retry`` may be called
        then. Also ends when the store is closed while this waits.
        """
        try:
            while True:
                position = self._caught_up(stop, silent)
                yield position
                if not self._waited_for_more(position, stop):
                    return
        finally:
            self._save()

    def rebuild(self, *names: str) -> None:
        """Have these, or all, made anew by the next ``catch_up``; until then they are as they were.

        Events that were skipped are skipped again.
        """
        for name in names or self._runners:
            self._runners[name].begin()

    def skip(self, name: str) -> Stopped | None:
        """Pass over the event at which it stopped, at the next ``catch_up``; gives that event."""
        return self._runners[name].skip()

    def retry(self, name: str) -> None:
        """Hand it the event at which it stopped once more, at the next ``catch_up``."""
        self._runners[name].retry()

    def _caught_up(self, stop: threading.Event, tell: Progress) -> int:
        for runner in self._runners.values():
            runner.look_for_others()
            runner.recover()
        while True:
            for runner in self._runners.values():
                runner.waits = False
            try:
                position = self._pass(stop, tell)
            except (StaleCheckpoint, _TakenOver):
                continue  # a rebase came meanwhile: what it concerns begins anew; or see there
            if not any(runner.waits for runner in self._runners.values()):
                break
        for runner in self._runners.values():
            runner.recover()
            if self._end is not None:
                runner.serve(self._end)
        return position

    def _waited_for_more(self, position: int, stop: threading.Event) -> bool:
        """Wait for an event after ``position``; meanwhile save, once saving is due.

        Whether there is something to do before the end.
        """
        if any(runner.runs and runner.position < position for runner in self._runners.values()):
            return not stop.is_set()  # a rebuild, skip or retry was asked for
        while not self._is_due(0.0):
            if stop.wait(_POLL_SECONDS):
                return False
            if self._store.last_position() > position:
                return True
        if self._save():
            return not stop.is_set()
        return next(self._store.follow(position, stop=stop), None) is not None

    def _pass(self, stop: threading.Event, tell: Progress) -> int:
        """Read once through what is new to any of them; gives the position reached."""
        last = self._store.last_position()
        running = [runner for runner in self._runners.values() if runner.runs]
        for runner in running:
            runner.resume()
        self._end = None if running else last
        if not running:
            return last
        try:
            return self._hand_on(running, last, stop, tell)
        except (StaleCheckpoint, _TakenOver):
            raise
        except BaseException:
            for runner in running:
                runner.spoil()
            raise

    def _hand_on(
        self, running: Sequence[Runner], last: int, stop: threading.Event, tell: Progress
    ) -> int:
        position = min(runner.position for runner in running)
        by_type, for_any = _by_type(running)
        for count, recorded in enumerate(self._store.read_all(position), 1):
            if recorded.replaces is not None:
                _reach(running, position)  # what they have handled, should it be stale
                _check_order(running, recorded)
            position = recorded.position
            for runner in by_type.get(recorded.event.type, for_any):
                if position > runner.position and runner.runs:
                    runner.take(recorded)
            if stop.is_set():
                _reach(running, position)
                return position
            if self._is_due(_SAVE_EVERY):
                _reach(running, position)
                if self._save():
                    raise _TakenOver
            if count % _REPORT_EVERY == 0:
                tell("Projecting", position, max(position, last))
        position = max(position, last)
        _reach(running, position)
        self._end = position
        return position

    def _is_due(self, least: float) -> bool:
        """Whether the last saving is so long ago that it was worth its time."""
        return time.monotonic() - self._saved_at >= max(least, self._saving_took * _SAVING_SHARE)

    def _save(self) -> bool:
        """Save all states; whether one that another process has saved was taken over instead."""
        begun = time.monotonic()
        taken_over = [runner.save(self._end) for runner in self._runners.values()]
        self._saved_at = time.monotonic()
        self._saving_took = self._saved_at - begun
        return any(taken_over)


def _by_type(running: Sequence[Runner]) -> tuple[Mapping[str, list[Runner]], list[Runner]]:
    """Who may want the events of a type, for each that is named; and who wants any other."""
    named = set(chain.from_iterable(runner.handed or () for runner in running))
    by_type = {
        name: [runner for runner in running if runner.handed is None or name in runner.handed]
        for name in named
    }
    return by_type, [runner for runner in running if runner.handed is None]


def _check_order(running: Sequence[Runner], recorded: RecordedEvent) -> None:
    """``StaleCheckpoint`` where one may have handled the event in its former place."""
    for runner in running:
        if recorded.position > runner.position:
            runner.header.checkpoint.after(recorded)


def _reach(running: Sequence[Runner], position: int) -> None:
    for runner in running:
        if runner.runs:
            runner.reached(position)
