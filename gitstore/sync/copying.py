"""Copies: a history from any store into any other, and the proof that both say the same.

A copy has the events of its source in the source's order, with their ids, versions and times, at
positions of its own. What is there already is held against the source first, event by event; so a
copy that was killed goes on where it ended, and nothing is added to what is no copy. Then what was
written is read back and held against the source too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gitstore.core import canonical
from gitstore.core.base import BaseEventStore
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import (
    DuplicateEventId,
    EventStoreError,
    ForeignCheckpoint,
    InvalidEvent,
    PartialDuplicate,
    StaleCheckpoint,
    WrongExpectedVersion,
)
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.findings import Progress, silent
from gitstore.sync.batches import CHUNK, batches
from gitstore.sync.exporting import whole_history
from gitstore.sync.readback import Written

_REPORT_EVERY = 1_000
_REBASED = "A rebase gave events of the source other places since: copy it to a new place."


class StoresDiffer(EventStoreError):
    """The target is no copy of the source, as far as it goes.

    ``source`` and ``target``: the first two events that differ, where equal ones should stand;
    ``None`` for the store that has none there. ``position``: of the source, up to which both say
    the same. ``reason``: how they differ.
    """

    hint = "Copy to a place of its own: what is recorded is never changed to fit another store."

    def __init__(
        self,
        source: RecordedEvent | None,
        target: RecordedEvent | None,
        position: int,
        *,
        hint: str | None = None,
    ) -> None:
        self.source = source
        self.target = target
        self.position = position
        self.reason = _difference(source, target)
        message = f"the histories differ after position {position:,}: {self.reason}"
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Proved:
    """How far two stores were found to say the same.

    - ``position``: of the source, what it has up to there is in the target; ``epoch``: at that one.
    - ``last``: the position in the source of the last event that both have, and ``through`` its
      position in the target; 0 without any.
    """

    epoch: int = 0
    position: int = 0
    last: int = 0
    through: int = 0


@dataclass(frozen=True, slots=True)
class CopySummary:
    """What a copy did.

    - ``events``: how many were written, this time; ``streams``: how many streams they stand in.
    - ``position``: the source's position up to which the target goes.
    - ``checked``: how many events were read in both stores and found equal, in all.
    """

    events: int
    streams: int
    position: int
    checked: int


def copy(
    source: BaseEventStore,
    target: BaseEventStore,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    **filters: Any,
) -> CopySummary:
    """Bring ``target`` up to what ``source`` has now, and prove that both say the same.

    - ``stop``: end after the batch that is being written; what was written is proved.
    - ``progress``: told ``"Comparing"`` and ``"Copying"``, the source's position reached, and its
      last.
    - ``filters``: those of ``read_all`` that leave streams whole, since versions must follow on.

    A copy may be killed at any moment and run again, also beside others of the same source. Raises
    ``StoresDiffer`` where the target has another event than the source, or one more: before
    anything is written if it was there before. ``StoreCorrupted`` where the source lacks events;
    ``ValueError`` where both are one store; and what the stores raise.
    """
    return Copying(source, target, progress, filters).run(stop or threading.Event())


def follow_copy(
    source: BaseEventStore,
    target: BaseEventStore,
    *,
    stop: threading.Event,
    progress: Progress | None = None,
    **filters: Any,
) -> Iterator[CopySummary]:
    """``copy``, then again whenever events are recorded, until ``stop`` is set.

    Gives what was written, each time something was or could have been; each time it is read back.
    Also ends when the source is closed. ``progress`` is told of the first time only.
    """
    work = Copying(source, target, progress, filters)
    while True:
        yield work.run(stop)
        work.tell = silent
        if not work.waited_for_more(stop):
            return


class Copying:
    """A copy at work: how far both stores were read and found equal; ``tell`` of its progress.

    ``proved``: what a former copy with the same filters found; where that does not hold any more,
    the comparison begins with the first event.
    """

    def __init__(
        self,
        source: BaseEventStore,
        target: BaseEventStore,
        progress: Progress | None,
        filters: dict[str, Any],
        proved: Proved | None = None,
    ) -> None:
        if source.store_id == target.store_id:
            raise ValueError("source and target are one store")
        self._source = source
        self._target = target
        self.tell = progress or silent
        self._filters = filters
        self._begin()
        if proved is not None and self._still_holds(proved):
            self._go_on_from(proved)

    def _begin(self) -> None:
        self._checked = 0
        self.source_id = self._source.store_id
        self.target_id = self._target.store_id
        """Of the target, when the comparison began; ``source_id``: of the source, then too."""
        after: int = self._filters.get("after_position", 0)
        self._go_on_from(Proved(self._source.epoch, after))

    def _go_on_from(self, proved: Proved) -> None:
        self._epoch, self._position = proved.epoch, proved.position
        self._last, self._their_position = proved.last, proved.through

    @property
    def proved(self) -> Proved:
        """How far both stores were found to say the same."""
        return Proved(self._epoch, self._position, self._last, self._their_position)

    def _still_holds(self, proved: Proved) -> bool:
        """Whether the last event that both had is still in its place in both.

        A source that was put back to an earlier state has another one there, or none.
        """
        if proved.position > self._source.last_position():
            return False
        if not proved.through:
            return self._target.last_position() == 0
        mine = next(self._source.read_all(proved.last - 1, limit=1), None)
        theirs = next(self._target.read_all(proved.through - 1, limit=1), None)
        return (
            mine is not None
            and theirs is not None
            and (mine.position, theirs.position) == (proved.last, proved.through)
            and is_same(mine.event, theirs.event)
        )

    def run(self, stop: threading.Event) -> CopySummary:
        """Compare what both have, write the rest, and compare that."""
        events, streams = 0, set[str]()
        while True:
            last = self._source.last_position()
            try:
                for batch in self._brought(last, stop):
                    events += len(batch)
                    streams.update(encoded.stream_id for encoded in batch)
            except (StaleCheckpoint, ForeignCheckpoint):
                # What was compared, or was to be written, is superseded; or has other positions.
                self._begin()
                continue
            if not stop.is_set():  # what comes up to there and is not wanted is not read again
                self._position = max(self._position, last)
            return CopySummary(events, len(streams), self._position, self._checked)

    def waited_for_more(self, stop: threading.Event) -> bool:
        """Wait for an event after what was copied; whether one came before the end."""
        try:
            coming = self._source.follow(**self._wanted(), stop=stop)
            is_another = self._source.store_id != self.source_id  # since before it is followed
            return is_another or next(coming, None) is not None
        except ForeignCheckpoint:  # made anew: all of it may have come
            return True

    def _brought(self, last: int, stop: threading.Event) -> Iterator[Sequence[EncodedEvent]]:
        """The batches that the target lacked, each written when it is given; proved at the end.

        ``StaleCheckpoint`` where a rebase came between.
        """
        self._check_live(self._position)
        written, bytes_of = self._position, Written()
        try:
            coming = ((encoded, len(encoded.data)) for encoded in self._compared(last))
            for batch in batches(coming, CHUNK):
                self._check_live(batch[-1].position)
                self._append(batch)
                written = batch[-1].position
                bytes_of.add(batch)
                self.tell("Copying", written, max(written, last))
                yield batch
                if stop.is_set():
                    break
            self._prove(bytes_of, written, last)
        except (StoresDiffer, DuplicateEventId, WrongExpectedVersion):
            self._check_live(written)
            raise
        self._check_live(written)

    def _prove(self, bytes_of: Written, written: int, last: int) -> None:
        """Read back what was written; event by event where it is not the same as a whole."""
        if written > self._position:
            self._read_back(bytes_of, written, last)
            lacking = next(self._compared(last), None)
            if self._position < written:
                missing = _event_at(self._source, lacking) if lacking else None
                raise StoresDiffer(missing, None, self._position)

    def _read_back(self, bytes_of: Written, written: int, last: int) -> None:
        begun = self._position

        def tell(count: int) -> None:
            if count % _REPORT_EVERY == 0:
                self.tell("Comparing", min(begun + count, written), max(written, last))

        theirs = bytes_of.last_of(self._target.read_encoded(self._their_position), tell)
        if theirs is not None:
            self._position = self._last = written
            self._their_position = theirs.position
            self._checked += bytes_of.count

    def _compared(self, last: int) -> Iterator[EncodedEvent]:
        """Go over what the target has; then gives what comes after that in the source.

        The target's read begins first: so the source has what came into both meanwhile.
        """
        ours: Iterator[EncodedEvent] | None = None
        for theirs in self._target.read_encoded(self._their_position):
            ours = ours or whole_history(self._source.read_encoded, self._wanted())
            mine = next(ours, None)
            if mine is None or not mine.is_same(theirs):
                self._look_closely(mine, theirs)
            assert mine is not None  # or that would have raised
            self._position, self._their_position = mine.position, theirs.position
            self._last = mine.position
            self._checked += 1
            if self._checked % _REPORT_EVERY == 0:
                self.tell("Comparing", mine.position, max(mine.position, last))
        yield from ours or whole_history(self._source.read_encoded, self._wanted())

    def _look_closely(self, mine: EncodedEvent | None, theirs: EncodedEvent) -> None:
        """Raise ``StoresDiffer`` unless both say the same when they are read as events.

        So what is damaged in a store is told of, or made good, by its own reader.
        """
        ours = _event_at(self._source, mine) if mine else None
        found = _event_at(self._target, theirs)
        if ours is None or found is None or not is_same(ours.event, found.event):
            hint = _REBASED if self._was_moved(theirs) else None
            raise StoresDiffer(ours, found, self._position, hint=hint)

    def _wanted(self) -> dict[str, Any]:
        return {**self._filters, "after_position": self._position}

    def _append(self, batch: Sequence[EncodedEvent]) -> None:
        try:
            while True:
                try:
                    self._target.append_encoded(batch)
                    return
                except PartialDuplicate as error:  # another copy wrote the first of them meanwhile
                    known = set(error.known)
                    batch = [encoded for encoded in batch if encoded.id not in known]
                except InvalidEvent:
                    batch = [self._made_canonical(encoded) for encoded in batch]
        except (DuplicateEventId, WrongExpectedVersion):
            next(self._compared(self._position), None)  # says what the target has instead
            raise

    def _made_canonical(self, encoded: EncodedEvent) -> EncodedEvent:
        """The event as the source's own reader gives it, which tells of damage, or makes it good.

        ``InvalidEvent`` where that is no event either.
        """
        recorded = _event_at(self._source, encoded)
        again = EncodedEvent.of(recorded) if recorded else encoded
        again.event()
        return again

    def _was_moved(self, theirs: EncodedEvent) -> bool:
        """Whether a rebase gave the source's own recording of this event another place."""
        mine = self._source.find_event(theirs.id)
        return mine is not None and mine.replaces is not None

    def _check_live(self, position: int) -> None:
        """``StaleCheckpoint`` where a rebase has moved an event up to there since this began.

        ``ForeignCheckpoint`` where a store has other positions than when this began.
        """
        store = self._source
        reached = min(position, store.last_position())  # filters may begin beyond it
        self._epoch = store.resume(Checkpoint(self.source_id, self._epoch, reached)).epoch
        self._target.last_position()  # looks whether it was made anew
        if self._target.store_id != self.target_id:
            raise ForeignCheckpoint(self._target.store_id, self.target_id)


def _event_at(store: BaseEventStore, encoded: EncodedEvent) -> RecordedEvent | None:
    """The event at this position, read as such; ``None`` where it has gone meanwhile."""
    found = next(iter(store.read_all(encoded.position - 1, limit=1)), None)
    return found if found and found.position == encoded.position else None


def is_same(mine: DomainEvent, theirs: DomainEvent) -> bool:
    """Whether both have the same bytes."""
    return (
        mine == theirs
        and canonical.same(mine.data, theirs.data)
        and canonical.same(mine.metadata, theirs.metadata)
    )


def _difference(source: RecordedEvent | None, target: RecordedEvent | None) -> str:
    if target is None:
        assert source is not None  # or there would be no difference
        return f"the target lacks {_named(source)}"
    if source is None:
        return f"the target has {_named(target)}, which the source has not"
    mine, theirs = source.event, target.event
    if (mine.id, mine.stream_id, mine.version) != (theirs.id, theirs.stream_id, theirs.version):
        return f"the source goes on with {_named(source)}, the target with {_named(target)}"
    for what, ours, other in (
        ("type", mine.type, theirs.type),
        ("time", mine.timestamp, theirs.timestamp),
    ):
        if ours != other:
            return f"{_named(source)} has another {what} in the target"
    data = canonical.same(mine.data, theirs.data)
    return f"{_named(source)} has other {'metadata' if data else 'data'} in the target"


def _named(recorded: RecordedEvent) -> str:
    return f"{recorded.stream_id}@{recorded.version} (id {recorded.event.id})"
