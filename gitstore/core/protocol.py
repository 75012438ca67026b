"""The contract every store keeps. ``gitstore.testing.contract`` has a test for each clause."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.filters import Names

Handler = Callable[[RecordedEvent], object]
"""What ``subscribe`` calls with each event; what it returns is ignored."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend has beyond the contract; declared, so that nobody has to try.

    - ``durable``: events outlive the process; a new store object on the same place has them.
    - ``multi_process``: several processes may write and follow at once.
    - ``commits``: ``RecordedEvent.commit`` is the id of a git commit.
    - ``rebases``: a pull may give an event another place: positions then have holes in reads, and
      ``RecordedEvent.replaces``, ``superseded`` and the epoch say what moved. Elsewhere positions
      are 1, 2, 3 … and the epoch is 0 for ever.
    """

    durable: bool
    multi_process: bool
    commits: bool
    rebases: bool = False


@runtime_checkable
class EventStore(Protocol):
    """An append-only store of streams of events in one arrival order.

    Every error named here is in ``gitstore.core.errors``. Safe for threads. A closed store raises
    ``StoreUnavailable`` from every method but ``close``.
    """

    @abc.abstractmethod
    def append(self, event: DomainEvent, expected_version: ExpectedVersion = ANY) -> RecordedEvent:
        """Record one event and return it, with id, timestamp, version, position and commit.

        When it returns, the event is durable: a power cut cannot take it back. It is seen at once
        by every reader, in this process and others. Its version is the stream's plus one, its
        position the store's highest plus one.

        Raises ``WrongExpectedVersion`` when the stream does not meet ``expected_version``, or the
        event names another version than the next; ``InvalidEvent`` when it cannot be recorded
        unchanged. Nothing is recorded then.

        Idempotent by event id, looked up before versions: an id recorded with the same content
        (stream, type, data, metadata; timestamp and version where given) returns what is
        recorded, and writes nothing. With an exact expectation it must stand right after it, else
        ``WrongExpectedVersion``. The same id with other content or in another stream:
        ``DuplicateEventId``.
        """
        ...

    @abc.abstractmethod
    def append_many(
        self,
        events: Iterable[DomainEvent],
        expected_versions: Mapping[str, ExpectedVersion] | None = None,
    ) -> list[RecordedEvent]:
        """Record events of one or more streams, all or nothing, also over a crash.

        Positions are contiguous and in the order given. ``expected_versions``: what is believed of
        a stream before the batch, also of one the batch does not touch; streams not named: ``ANY``.
        No events: an empty list, whatever is expected.

        Idempotent as ``append``: a batch recorded before, with each stream's events standing one
        after another in this order, returns what is recorded. Some ids recorded and some not:
        ``PartialDuplicate``. An id twice in the batch, or all recorded in another order:
        ``DuplicateEventId``. Where an event names a wrong version, ``WrongExpectedVersion.actual``
        counts the batch's own earlier events.
        """
        ...

    @abc.abstractmethod
    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        to_version: int | None = None,
        limit: int | None = None,
        backwards: bool = False,
    ) -> Iterator[RecordedEvent]:
        """The events of one stream by version, lazily and in bounded memory.

        ``after_version`` is exclusive, ``to_version`` inclusive; ``backwards`` gives the highest
        version first; ``limit`` counts what is given. A stream that is not there is empty; what
        is no stream id is ``InvalidEvent``. A rebase that comes meanwhile is not seen: what is
        given is one history of the stream, the one it had when the read began.
        """
        ...

    @abc.abstractmethod
    def read_all(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        backwards: bool = False,
        *,
        users: Names = None,
        correlations: Names = None,
        superseded: bool = False,
    ) -> Iterator[RecordedEvent]:
        """The events of all streams by position, lazily and in bounded memory.

        ``after_position`` is exclusive, ``since`` inclusive, ``until`` exclusive (aware
        datetimes, compared with the event's timestamp); ``types``, ``streams``, ``categories``,
        ``users`` (``metadata.userId``) and ``correlations`` take one name or several, ``types``
        those of ``core.aliases`` too. ``limit`` counts what passed the filters; ``backwards`` gives
        the highest position first. No event is ever skipped: a position is visible only when all
        below it are.

        A read gives what is live when it begins: of an event that a rebase gave another place,
        the last one, whose ``replaces`` is the position before. ``superseded``: the former ones
        too, whose ``superseded_by`` is the next position of the same event. Then every position
        is there, but for events that were lost for good.
        """
        ...

    @abc.abstractmethod
    def follow(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        users: Names = None,
        correlations: Names = None,
        stop: threading.Event | None = None,
        superseded: bool = False,
    ) -> Iterator[RecordedEvent]:
        """``read_all``, then what is appended later, by any process, each once and in order.

        Blocks between events. Ends when ``stop`` is set or the store is closed.

        An event that a rebase gives another place comes once more, there, with ``replaces``. Two
        ways to live with that:

        - What counts or reacts follows with ``superseded`` and passes over every event with
          ``replaces``: by its position alone it then sees every event exactly once, also when it
          is stopped at any event and goes on after that position.
        - What depends on the order of a stream, as a projection, keeps a ``Checkpoint`` and begins
          again where that says so: at an event whose place before it may have handled.
        """
        ...

    @abc.abstractmethod
    def streams(self, category: str | None = None) -> Iterator[str]:
        """The ids of all streams, or of one category, sorted by code point."""
        ...

    @abc.abstractmethod
    def subscribe(self, handler: Handler) -> Callable[[], None]:
        """Call ``handler`` with each event appended through this store object; gives unsubscribe.

        In position order, after the event is durable, at most once, before the append returns
        (unless another thread is delivering at that moment: then that one delivers it too).
        What a handler appends is delivered after the present event, not inside it. A handler that
        raises neither undoes the append nor stops the others; the error is logged to
        ``gitstore.subscriptions``. For "at least once", ``follow`` from a checkpoint.
        """
        ...

    @abc.abstractmethod
    def close(self) -> None:
        """Give back files and threads; everything recorded is in its last place. Idempotent."""
        ...
