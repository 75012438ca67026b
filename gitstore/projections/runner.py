"""One projection at work: its state, how far it has come, and what became of it."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace

from gitstore.core.aliases import behind, is_named
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import ForeignCheckpoint, StaleCheckpoint
from gitstore.core.event import RecordedEvent
from gitstore.projections.projection import Factory, Projection, checked
from gitstore.projections.slot import Slot
from gitstore.projections.stateform import Header, Stopped
from gitstore.projections.states import States

_LOG = logging.getLogger("gitstore.projections")


class Runner:
    """A projection between its saved states.

    - ``projection``: what handles events; ``header``: how far it has come.
    - ``building``: its state is made anew, and is not served before it has caught up.
    - ``slot``: what is saved of it.
    """

    def __init__(self, factory: Factory, store: BaseEventStore, states: States) -> None:
        self._factory = factory
        self._store = store
        self.projection = checked(factory)
        self.name = self.projection.name
        self.types: frozenset[str] | None = getattr(self.projection, "types", None)
        self.slot = Slot(self.name, self.projection.version, states)
        self.building = False
        self._served: Projection | None = None
        self._saved: Header | None = None
        self._is_spoilt = False
        self.header = self._open()

    @property
    def position(self) -> int:
        """Of the last event that is handled, or was not wanted."""
        return self.header.checkpoint.position

    @property
    def stopped(self) -> Stopped | None:
        """The event at which it stopped."""
        return self.header.stopped

    @property
    def current(self) -> Projection:
        """The projection to ask: one that is made anew is not, before it has caught up."""
        return self._served or self.projection

    @property
    def handed(self) -> frozenset[str] | None:
        """The types whose events it may want; ``None``: all."""
        return None if self.types is None else behind(self.types)

    def resume(self) -> None:
        """Begin anew where a rebase has moved events that are handled, or it is another store."""
        try:
            checkpoint = self._store.resume(self.header.checkpoint)
        except (StaleCheckpoint, ForeignCheckpoint) as error:
            self.slot.say(f"{self.name} is made anew: {error}")
            self.begin()
        else:
            self.header = replace(self.header, checkpoint=checkpoint)

    def begin(self) -> None:
        """Begin a new state, from the first event on; what is skipped stays skipped."""
        if not self.building:
            self._served = self.projection if self.position else None
        self.building = True
        self.projection = checked(self._factory)
        self.header = self._new_header(self.header.skipped)

    def take(self, recorded: RecordedEvent) -> bool:
        """Handle an event that may be wanted; ``False`` where the projection has stopped at it."""
        event = recorded.event
        if event.id in self.header.skipped:
            return True
        try:
            if self.types is None or event.type in self.types or is_named(event, self.types):
                self.projection.handle(recorded)
        except Exception as error:  # noqa: BLE001 - whatever it is, it stops this projection alone
            self._stop(recorded, error)
            return False
        return True

    def reached(self, position: int) -> None:
        """Everything up to there is handled, or not wanted."""
        if position > self.position:
            checkpoint = replace(self.header.checkpoint, position=position)
            self.header = replace(self.header, checkpoint=checkpoint)

    def retry(self) -> None:
        """Go on at the event at which it stopped."""
        self.header = replace(self.header, stopped=None)

    def skip(self) -> Stopped | None:
        """Go on after the event at which it stopped, which is given; ``None`` where it has not."""
        stopped = self.stopped
        if stopped is not None:
            skipped = (*self.header.skipped, stopped.event_id)
            self.header = replace(self.header, stopped=None, skipped=skipped)
        return stopped

    def spoil(self) -> None:
        """Its state may be more than its checkpoint says: something broke off in the middle."""
        self._is_spoilt = True

    def recover(self) -> None:
        """Make a spoilt state good: from the saved one on, up to before where it has stopped."""
        while self._is_spoilt:
            self._is_spoilt = False
            self._refold()

    def save(self, *, whole: bool) -> bool:
        """Save state and checkpoint together; ``whole``: all events there are were handed to it.

        ``True`` where another process has saved something better: that is taken over, and may not
        have come as far. Nothing is saved of a state that is spoilt.
        """
        if self._is_spoilt:
            return False
        if self.building and whole and self.stopped is None:
            if self.slot.swap(self.projection, self.header):
                self.building, self._served, self._saved = False, None, self.header
        elif self.header != self._saved:
            saving = self.slot.save(self.projection, self.header, building=self.building)
            if saving == "saved":
                self._saved = self.header
            elif saving == "overtaken":
                return self._take_over()
        return False

    def look_for_others(self) -> None:
        """Where it has stopped: go on with what another process has brought past that."""
        there = self.slot.header() if self.stopped else None
        if there and self.stopped and there.checkpoint.position >= self.stopped.position:
            self._take_over()

    def _open(self) -> Header:
        """Go on with what is saved, if it is of this code; else make it anew."""
        for building in (False, True):
            self.building = building
            found = self.slot.load(self.projection, building=building)
            if found is not None:
                self._saved = found
                return found
            self.projection = checked(self._factory)  # what did not load may have left traces
        return self._new_header()

    def _new_header(self, skipped: tuple[str, ...] = ()) -> Header:
        build, checkpoint = uuid.uuid4().hex, self._store.checkpoint()
        return Header(self.name, self.projection.version, build, checkpoint, skipped)

    def _take_over(self) -> bool:
        there = self.slot.header()
        if there is None or there.version != self.projection.version:
            return False  # newer code than this runs elsewhere, too
        fresh = checked(self._factory)
        found = self.slot.load(fresh)
        if found is not None:
            self.projection, self.header, self._saved = fresh, found, found
            self.building, self._served = False, None
        return found is not None

    def _refold(self) -> None:
        stopped, skipped = self.stopped, self.header.skipped
        fresh = checked(self._factory)
        found = self.slot.load(fresh, building=self.building)
        if found is None or (stopped and found.checkpoint.position >= stopped.position):
            self.projection = checked(self._factory)
            self.header = self._new_header(skipped)
        else:
            self.projection = fresh
            self.header = replace(found, skipped=skipped, stopped=None)
        self.resume()
        if stopped is None:
            return
        for recorded in self._store.read_all(self.position, types=self.handed):
            if recorded.position >= stopped.position:
                break
            if not self.take(recorded):
                return
        self.reached(stopped.position - 1)
        self.header = replace(self.header, stopped=stopped)

    def _stop(self, recorded: RecordedEvent, error: Exception) -> None:
        stopped = Stopped.at(recorded, error)
        self.header = replace(self.header, stopped=stopped)
        self._is_spoilt = True
        _LOG.error(
            "%s has stopped at %s (%s): %s", self.name, stopped.place, stopped.type, stopped.error
        )
