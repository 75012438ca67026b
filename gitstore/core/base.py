"""What every store can do, built once on the eight methods of the protocol."""

from __future__ import annotations

import abc
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gitstore.core.checkpoint import Checkpoint
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import ForeignCheckpoint, StaleCheckpoint
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.findings import Finding, Progress, VerifyReport, silent
from gitstore.core.names import check_event_id
from gitstore.core.protocol import Capabilities, EventStore
from gitstore.core.status import StoreStatus
from gitstore.core.upkeep import MaintainReport, Occupied

_REPORT_EVERY = 1_000

DataCheck = Callable[[DomainEvent], object]
"""What an event must pass before a store appends it: raises ``InvalidEvent`` where it does not."""


class BaseEventStore(EventStore, abc.ABC):
    """Base of the backends: the convenience methods, and the context manager.

    ``get_*`` give plain events, ``read_*`` and ``find_event`` recorded ones.
    """

    capabilities: Capabilities
    data_check: DataCheck | None = None
    """Asked by ``append`` and ``append_many`` of each event, before anything is recorded."""

    @property
    def store_id(self) -> str:
        """The random id of this store: a position means something only together with it.

        Of this object, where the backend knows none that lasts.
        """
        self._check_open()
        if not hasattr(self, "_store_id"):
            self._store_id = str(uuid.uuid4())
        return self._store_id

    def append_history(self, events: Iterable[DomainEvent]) -> list[RecordedEvent]:
        """``append_many`` of events that have happened elsewhere: ``data_check`` is not asked.

        A history is what it is: imports and copies must not refuse it for its data.
        """
        return self.append_many(events)

    def directory_for(self, what: str) -> Path | None:
        """Where readers may keep what they derive, such as ``projections``; it may not exist yet.

        Its parent does; whether that can be written to is another question. ``None`` where the
        store has no place of its own. What is kept there never leaves this machine.
        """
        del what
        return None

    def get_events(self, stream_id: str, from_version: int | None = None) -> Iterator[DomainEvent]:
        """The events of one stream after ``from_version`` (exclusive, as in the interface)."""
        for recorded in self.read_stream(stream_id, from_version or 0):
            yield recorded.event

    def get_events_by_type(self, type: str, since: datetime | None = None) -> Iterator[DomainEvent]:
        """The events of one type, by position, from ``since`` on (inclusive, aware)."""
        for recorded in self.read_all(types=type, since=since):
            yield recorded.event

    def stream_version(self, stream_id: str) -> int:
        """The stream's version, 0 where there is none."""
        for recorded in self.read_stream(stream_id, limit=1, backwards=True):
            return recorded.version
        return 0

    def find_event(self, event_id: str) -> RecordedEvent | None:
        """The recorded event of this id, or ``None``; ``InvalidEvent`` for what is no event id."""
        check_event_id(event_id)
        return next((r for r in self.read_all() if r.event.id == event_id), None)

    def read_encoded(self, after_position: int = 0, **filters: Any) -> Iterator[EncodedEvent]:
        """What ``read_all`` gives, with data and metadata as bytes.

        A backend that has them need not decode them; nor does it find out then that they are
        damaged: ``read_all`` does.
        """
        return map(EncodedEvent.of, self.read_all(after_position, **filters))

    def append_encoded(self, events: Sequence[EncodedEvent]) -> None:
        """``append_many`` for events of another store, their ids, versions and times included.

        ``InvalidEvent`` where their bytes are not canonical.
        """
        self.append_history([encoded.event() for encoded in events])

    def last_position(self) -> int:
        """The highest position recorded, 0 in an empty store."""
        for recorded in self.read_all(limit=1, backwards=True):
            return recorded.position
        return 0

    @property
    def epoch(self) -> int:
        """The position of the last event that took another's place in a rebase, 0 without any."""
        self._check_open()
        return 0

    def checkpoint(self) -> Checkpoint:
        """Where a reader stands that is about to begin from the first event."""
        return Checkpoint(self.store_id, self.epoch, 0)

    def resume(self, checkpoint: Checkpoint, *, superseded: bool = False) -> Checkpoint:
        """Where to go on from a checkpoint: after its ``position``, by today's epoch.

        Raises ``ForeignCheckpoint`` where it is of another store, or beyond this one's last
        position; ``StaleCheckpoint`` where a position up to its own was superseded after its
        epoch. ``superseded``: for a reader that passes over events with ``replaces``, which
        nothing makes stale.
        """
        store_id, epoch, last = self.store_id, self.epoch, self.last_position()
        if checkpoint.store_id != store_id:
            raise ForeignCheckpoint(store_id, checkpoint.store_id)
        if checkpoint.position > last:
            raise ForeignCheckpoint(
                store_id,
                checkpoint.store_id,
                why=f"the checkpoint is at position {checkpoint.position:,}, the store's last is "
                f"{last:,}: it was put back to an earlier state",
            )
        moved = self._first_superseded(checkpoint.position, checkpoint.epoch, epoch)
        if moved is not None and not superseded:
            raise StaleCheckpoint(*moved)
        return Checkpoint(store_id, epoch, checkpoint.position)

    def _first_superseded(self, to: int, after: int, through: int) -> tuple[int, int] | None:
        """A position up to ``to`` that was superseded by one of ``after < … <= through``, and it.

        For backends in which a rebase happens.
        """
        del to, after, through
        return None

    def status(self) -> StoreStatus:
        """The store at a glance; changes nothing."""
        events = sum(1 for _ in self.read_all())
        streams = sum(1 for _ in self.streams())
        return StoreStatus("", type(self).__name__, self.store_id, events, streams)

    def verify(
        self, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
    ) -> VerifyReport:
        """Look at everything; ``ok``, and ``findings``.

        - ``repair``: mend what can be mended, and look again.
        - ``deep``: spare no time; what that means, each backend says.
        - ``progress``: called with what is being done, how much is done, and of how much.
        """
        del repair, deep  # nothing here could be mended, and no look goes deeper
        tell = progress or silent
        findings: list[Finding] = []
        heads: dict[str, int] = {}
        events, last, highest = 0, 0, self.last_position()
        for events, recorded in enumerate(self.read_all(), 1):
            if recorded.position != last + 1:
                findings.append(Finding("order", f"positions {last} and {recorded.position} meet"))
            last = recorded.position
            head = heads.get(recorded.stream_id, 0)
            if recorded.version != head + 1:
                what = f"{recorded.stream_id}@{recorded.version} comes after version {head}"
                findings.append(Finding("stream", what, stream=recorded.stream_id))
            heads[recorded.stream_id] = recorded.version
            if events % _REPORT_EVERY == 0:
                tell("Checking", last, highest)
        return VerifyReport(tuple(findings), events, len(heads))

    def maintain(self, *, trim: bool = False, progress: Progress | None = None) -> MaintainReport:
        """Make the store small, beside writers and readers; drops no event and moves none.

        - ``trim``: also give up what is only kept to read faster.
        - ``progress``: as in ``verify``.
        """
        del trim, progress  # nothing has gathered here
        size = self.status().size
        return MaintainReport(Occupied(size), Occupied(size))

    def _checked(self, events: Iterable[DomainEvent]) -> Iterator[DomainEvent]:
        """The events, each once ``data_check`` has passed it."""
        for event in events:
            if self.data_check is not None:
                self.data_check(event)
            yield event

    def _check_open(self) -> None:
        """``StoreUnavailable`` where the store is closed: it is asked for no event at all."""
        next(self.read_all(limit=0), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
