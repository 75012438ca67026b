"""Every error the event store raises on purpose, drawn once.

::

    EventStoreError
    ├── InvalidEvent            the event cannot be recorded as it is
    ├── WrongExpectedVersion    the stream is not where the caller believed
    ├── DuplicateEventId        the id is taken by another event
    ├── PartialDuplicate        some events of the batch are recorded, some are not
    ├── ForeignCheckpoint       the checkpoint is of another store
    ├── StaleCheckpoint         a rebase moved events that the checkpoint's reader has handled
    ├── StoreNotFound           there is no store at that place
    ├── UnsupportedFormat       written by a newer version, or no event store
    ├── StoreCorrupted          recorded bytes are damaged or missing
    └── StoreUnavailable        the store is there, but cannot be used like this now
        └── FlushFailed         recorded and durable, but not in git yet

The message says what happened; ``hint`` says what to do about it and is kept apart, so that a
command line can print the two on lines of their own.
"""

from __future__ import annotations

from collections.abc import Sequence


class EventStoreError(Exception):
    """Root of every error this package raises on purpose.

    ``hint`` is one sentence that says what to do.
    """

    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own calls the class with the message alone, so that an error with facts
        # could not come back from a worker process.
        return _restore, (type(self), self.args), self.__dict__


def _restore(kind: type[EventStoreError], args: tuple[object, ...]) -> EventStoreError:
    return kind.__new__(kind, *args)


class InvalidEvent(EventStoreError):
    """The event cannot be recorded without changing it, or does not fit its type; nothing was.

    ``path``: the field of a known type that does not fit, such as ``data.duration``; else ``None``.
    """

    hint = "Correct the event and append it again; nothing was recorded."

    def __init__(self, message: str, *, hint: str | None = None, path: str | None = None) -> None:
        self.path = path
        super().__init__(message, hint=hint)


class WrongExpectedVersion(EventStoreError):
    """The stream is not at the version the caller expected; nothing was written.

    ``stream_id``: the stream; ``expected``: what the caller believed (an int, or one of ``ANY``,
    ``NO_STREAM``, ``STREAM_EXISTS``); ``actual``: the stream's version, 0 for no stream.
    """

    hint = "Read the stream, decide again, and append with its present version."

    def __init__(self, stream_id: str, expected: object, actual: int) -> None:
        self.stream_id = stream_id
        self.expected = expected
        self.actual = actual
        there = f"at version {actual}" if actual else "not there"
        super().__init__(f"stream {stream_id!r} is {there}, expected {expected}")


class DuplicateEventId(EventStoreError):
    """An event id stands for another event already, here or earlier in the same batch.

    ``event_id``: the id; ``stream_id`` and ``version``: where it is recorded (``None`` and 0 when
    it stands twice in one batch).
    """

    hint = "An id names one event for ever: give the new event an id of its own, or none."

    def __init__(
        self, event_id: str, stream_id: str | None = None, version: int = 0, *, why: str = ""
    ) -> None:
        self.event_id = event_id
        self.stream_id = stream_id
        self.version = version
        where = (
            f"is recorded as {stream_id}@{version}" if stream_id else "stands twice in the batch"
        )
        super().__init__(f"event id {event_id!r} {where}{': ' + why if why else ''}")


class PartialDuplicate(EventStoreError):
    """Some events of a batch are recorded already and some are not; nothing was written.

    ``known`` and ``unknown``: the event ids of each kind, in the batch's order.
    """

    hint = "Append only the events that are not recorded yet, or the whole batch under new ids."

    def __init__(self, known: Sequence[str], unknown: Sequence[str]) -> None:
        self.known = tuple(known)
        self.unknown = tuple(unknown)
        total = len(self.known) + len(self.unknown)
        super().__init__(
            f"{len(self.known)} of {total} events of the batch are recorded already "
            f"(first: {self.known[0]!r})"
        )


class ForeignCheckpoint(EventStoreError):
    """The checkpoint is of another store, or of another state of this one; nothing was read.

    ``store_id``: of the store; ``given``: of the checkpoint.
    """

    hint = "Positions are the store's own: begin again from 0 with the store's checkpoint()."

    def __init__(self, store_id: str, given: str, *, why: str = "") -> None:
        self.store_id = store_id
        self.given = given
        super().__init__(why or f"the checkpoint is of store {given}, this is {store_id}")


class StaleCheckpoint(EventStoreError):
    """A rebase gave another place to an event that the reader has, or may have, handled.

    ``position``: where it was; ``superseded_by``: the position that took its place.
    """

    hint = "Forget what was made of the events, and begin again from 0 with checkpoint()."

    def __init__(self, position: int, superseded_by: int) -> None:
        self.position = position
        self.superseded_by = superseded_by
        super().__init__(
            f"a rebase moved events: what was at position {position:,} is superseded by position "
            f"{superseded_by:,}"
        )


class StoreNotFound(EventStoreError):
    """There is no event store at that place. ``where``: the place."""

    hint = "Create one with `sc-events init --store PATH`, or open_store(PATH) in Python."

    def __init__(self, where: object, *, why: str = "", hint: str | None = None) -> None:
        self.where = where
        super().__init__(f"no event store at {where}{': ' + why if why else ''}", hint=hint)


class UnsupportedFormat(EventStoreError):
    """The store or event has a form this version does not know; nothing was changed."""

    hint = "It was written by a newer version: upgrade scopecraft-events."


class StoreCorrupted(EventStoreError):
    """Recorded bytes are damaged or missing, and were not repaired on the way."""

    hint = (
        "Keep a copy of the store, then run `sc-events verify --repair`; without --repair it only "
        "says what is concerned."
    )


class StoreUnavailable(EventStoreError):
    """The store exists but cannot be used like this now: read only, disk full, closed, locked."""

    hint = "Nothing was recorded by this call; remove the cause and try again."


class FlushFailed(StoreUnavailable):
    """The events are recorded and durable, and could not be moved into git yet.

    ``recorded``: the recorded events, where an append with ``flush="append"`` made them.
    """

    hint = "Do not append them again: the next flush, or the next opening, brings them into git."

    def __init__(self, message: str, recorded: Sequence[object] = ()) -> None:
        self.recorded = tuple(recorded)
        super().__init__(message)
