"""Recorded events as bytes: for those who carry them from store to store and look into none."""

from __future__ import annotations

from typing import NamedTuple

from gitstore.core import canonical
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.timestamps import from_microseconds, to_microseconds


class EncodedEvent(NamedTuple):
    """A recorded event with its data and metadata as a store holds them: canonical bytes.

    ``time``: microseconds since 1970 UTC; ``position`` and ``superseded_by`` as in
    ``RecordedEvent``. Nobody has looked at the bytes: who records them checks them.
    """

    position: int
    stream_id: str
    version: int
    type: str
    time: int
    id: str
    data: bytes
    metadata: bytes
    superseded_by: int | None = None

    @classmethod
    def of(cls, recorded: RecordedEvent) -> EncodedEvent:
        """The bytes of a recorded event."""
        event = recorded.event
        assert event.id is not None  # a recorded event has both
        assert event.timestamp is not None
        return cls(
            recorded.position,
            event.stream_id,
            recorded.version,
            event.type,
            to_microseconds(event.timestamp),
            event.id,
            canonical.encode_own(event.data),
            canonical.encode_own(event.metadata),
            recorded.superseded_by,
        )

    def event(self) -> DomainEvent:
        """The event; ``InvalidEvent`` where the bytes are not canonical, or it breaks a rule."""
        return DomainEvent(
            self.stream_id,
            self.type,
            canonical.read_canonical(self.data),
            canonical.read_canonical(self.metadata),
            self.id,
            from_microseconds(self.time),
            self.version,
        )

    def whole(self) -> bytes:
        """All of it but its position, in one text of bytes; no other event has the same."""
        sizes = f"{self.version} {self.time} {len(self.data)} {len(self.metadata)}"
        # No name holds a line feed.
        names = f"{sizes}\n{self.id}\n{self.stream_id}\n{self.type}\n"
        return b"".join((names.encode(), self.data, self.metadata))

    def is_same(self, other: EncodedEvent) -> bool:
        """Whether it is the same event, to the byte, wherever it stands."""
        return self[1:8] == other[1:8]
