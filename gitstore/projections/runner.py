"""One projection at work: its state, how far it has come, and what became of it."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace

from gitstore.core.aliases import behind
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import ForeignCheckpoint, StaleCheckpoint
from gitstore.core.event import RecordedEvent
from gitstore.projections.held import CannotRestore, Held
from gitstore.projections.projection import Factory, Projection, checked, types_of, wants
from gitstore.projections.slot import Slot
from gitstore.projections.stateform import Header, Stopped
from gitstore.projections.states import States

_LOG = logging.getLogger("gitstore.projections")


class Runner:
    """A projection between its saved states.

    - ``held``: what handles events; ``header``: how far it has come.
    - ``building``: its state is made anew, and is not served before it has caught up.
    - ``waits``: it has begun anew in the middle of a pass, and waits for the next one.
    - ``slot``: what is saved of it.
    """

    def __init__(self, factory: Factory, store: BaseEventStore, states: States) -> None:
        self._factory = factory
        self._store = store
        projection = checked(factory)
        self.name, self._version = projection.name, projection.version
        self.types = types_of(projection)
        self.slot = Slot(self.name, self._version, states)
        self.building = False
        self._served: Held | None = None
        self._served_position = 0
        self._saved: Header | None = None
        self._replaces = ""
        self._is_spoilt = self._distrusts = self.waits = False
        self.held, self.header = self._open()

    @property
    def position(self) -> int:
        """Of the last event that is handled, or was not wanted."""
        return self.header.checkpoint.position

    @property
    def served_position(self) -> int:
        """``position``, of the projection to ask."""
        return self.position if self._served is None else self._served_position

    @property
    def runs(self) -> bool:
        """Whether it is to be handed events."""
        return self.header.stopped is None and not self.waits

    @property
    def stopped(self) -> Stopped | None:
        """The event at which it stopped."""
        return self.header.stopped

    @property
    def current(self) -> Projection:
        """The projection to ask: one that is made anew is not, before it has caught up."""
        try:
            return (self._served or self.held).projection()
        except CannotRestore as error:
            self._begin_without(error)
            return self.held.projection()

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
            if isinstance(error, ForeignCheckpoint):
                self._served = None  # it is no former state of this store
        else:
            self.header = replace(self.header, checkpoint=checkpoint)

    def begin(self) -> None:
        """Begin a new state, from the first event on; what is skipped stays skipped."""
        if not self.building:
            self._served, self._served_position = (
                self.held if self.position else None,
                self.position,
            )
            self._replaces = self.header.build
        self.building = True
        self.held = Held(self._factory)
        self.header = self._new_header(self.header.skipped)

    def take(self, recorded: RecordedEvent) -> bool:
        """Handle an event that may be wanted; ``False`` where it has not been handled.

        Then the projection has stopped at it, or refuses the state that it was to go on from and
        waits for a pass from the first event on.
        """
        event = recorded.event
        if event.id in self.header.skipped or not wants(self.types, event):
            return True
        try:
            projection = self.held.changes()
        except CannotRestore as error:
            self._begin_without(error)
            self.waits = True
            return False
        try:
            projection.handle(recorded)
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

    def serve(self, end: int) -> None:
        """Be asked for the state that was made anew, once it has come to ``end``."""
        if self.runs and self.position >= end:
            self._served = None

    def save(self, end: int | None) -> bool:
        """Save state and checkpoint together; ``end``: where a state is whole, if any is.

        ``True`` where another process has saved something better: that is taken over, and may not
        have come as far. Nothing is saved of a state that is spoilt.
        """
        if self._is_spoilt:
            return False
        if self.building and self.runs and end is not None and self.position >= end:
            if self.slot.swap(self.header, self.held):
                self.building, self._served, self._saved = False, None, self.header
                self._distrusts = False
        elif self.header != self._saved:
            saving = self.slot.save(self.header, self.held, building=self.building)
            if saving == "saved":
                self._saved, self._distrusts = self.header, False
            elif saving == "overtaken":
                return self._take_over()
        return False

    def look_for_others(self) -> None:
        """Where it has stopped: go on with what another process has brought past that."""
        there = self.slot.header() if self.stopped else None
        if there is None or self.stopped is None:
            return
        is_old = self.building and there.build == self._replaces  # then it is nobody else's
        if not is_old and there.checkpoint.position >= self.stopped.position:
            self._take_over()

    def _open(self) -> tuple[Held, Header]:
        """Go on with what is saved, if it is of this code; else make it anew."""
        found = self._loaded()
        if found is not None:
            self._replaces = found[0].build
        begun = self.slot.begun(self._replaces) and self._loaded(building=True)
        self.building = bool(begun) or found is None
        if begun and found:
            self._served = Held(self._factory, found[1])
            self._served_position = found[0].checkpoint.position
        usable = begun or found
        if not usable:
            return Held(self._factory), self._new_header()
        self._saved, body = usable
        return Held(self._factory, body), self._saved

    def _loaded(self, *, building: bool = False) -> tuple[Header, bytes] | None:
        """What is saved, where it is of this code and of this store."""
        found = self.slot.load(building=building)
        if found is None:
            return None
        try:
            self._store.resume(found[0].checkpoint, superseded=True)
        except ForeignCheckpoint as error:
            self.slot.say(f"{self.name} is made anew: {error}")
            return None
        return found

    def _begin_without(self, error: CannotRestore) -> None:
        """Begin anew, without the state that its own code refuses."""
        self.slot.say(f"the saved state of {self.name} cannot be restored: {error}")
        self.begin()
        self._served, self._distrusts = None, True

    def _new_header(self, skipped: tuple[str, ...] = ()) -> Header:
        build, checkpoint = uuid.uuid4().hex, self._store.checkpoint()
        return Header(self.name, self._version, build, checkpoint, skipped)

    def _take_over(self) -> bool:
        there = self.slot.header()
        if there is None or there.version != self._version:
            return False  # newer code than this runs elsewhere, too
        found = self.slot.load()
        if found is not None:
            self.header, body = found
            self.held, self._saved = Held(self._factory, body), self.header
            self.building, self._served = False, None
        return found is not None

    def _refold(self) -> None:
        stopped, skipped = self.stopped, self.header.skipped
        found = None if self._distrusts else self.slot.load(building=self.building)
        if found is None or (stopped and found[0].checkpoint.position >= stopped.position):
            self.held, self.header = Held(self._factory), self._new_header(skipped)
        else:
            self.held = Held(self._factory, found[1])
            both = tuple(dict.fromkeys((*found[0].skipped, *skipped)))
            self.header = replace(found[0], skipped=both, stopped=None)
        self.resume()
        if stopped is None:
            return
        for recorded in self._store.read_all(self.position, types=self.handed):
            if recorded.position >= stopped.position:
                break
            if not self.take(recorded):
                if self.waits:  # for nobody: it begins at once, without what is saved
                    self._is_spoilt, self.waits = True, False
                    self.header = replace(self.header, stopped=stopped)
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
