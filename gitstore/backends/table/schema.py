"""The table of events, and an event as it lies in it.

The columns are those of the interface, and a position. Whoever knows SQL can read it::

    SELECT position, stream_id, version, type, timestamp, data ->> '$.title' FROM events
    ORDER BY position;

A table's ``rowid`` is no position: VACUUM gives rowids anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from gitstore.core import canonical
from gitstore.core.encoded import EncodedEvent
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.timestamps import format_timestamp, parse_timestamp, to_microseconds

EVENTS = """
CREATE TABLE events(
    id TEXT PRIMARY KEY NOT NULL,
    stream_id TEXT NOT NULL,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,           -- place in the stream, from 1
    timestamp TEXT NOT NULL,            -- UTC: 2026-11-23T08:00:00.123Z, or with six decimals
    data TEXT NOT NULL,                 -- canonical JSON
    metadata TEXT NOT NULL,             -- canonical JSON, an object
    position INTEGER NOT NULL UNIQUE,   -- place in the arrival order, from 1
    UNIQUE(stream_id, version),
    CHECK(typeof(version) = 'integer' AND version > 0
        AND typeof(position) = 'integer' AND position > 0),
    CHECK(typeof(id) || typeof(stream_id) || typeof(type) || typeof(timestamp)
        || typeof(data) || typeof(metadata) = 'texttexttexttexttexttext')
);
CREATE INDEX events_by_type ON events(type, timestamp);
CREATE INDEX events_by_correlation ON events(json_extract(metadata, '$.correlationId'))
    WHERE json_extract(metadata, '$.correlationId') IS NOT NULL;
"""
COLUMNS = "position, stream_id, version, type, timestamp, id, data, metadata"
SELECT = f"SELECT {COLUMNS} FROM events"
SELECT_BYTES = (
    "SELECT position, stream_id, version, type, timestamp, id, "
    "CAST(data AS BLOB), CAST(metadata AS BLOB) FROM events"
)
MARKS = ",".join("?" * 8)
INSERT = f"INSERT INTO events({COLUMNS})"
Values = tuple[int, str, int, str, str, str, str, str]
"""What SQLite holds of an event, in the order of ``COLUMNS``."""
BytesValues = tuple[int, str, int, str, str, str, bytes, bytes]
"""The same as ``SELECT_BYTES`` gives it."""

_read_time = datetime.fromisoformat


class Row(NamedTuple):
    """An event as the table holds it.

    ``timestamp``: the interface's text; ``data`` and ``metadata``: canonical bytes.
    """

    position: int
    stream_id: str
    version: int
    type: str
    timestamp: str
    event_id: str
    data: bytes
    metadata: bytes

    def values(self) -> Values:
        """What is bound to ``INSERT``: JSON as text, which SQLite's JSON functions need."""
        return (*self[:6], self.data.decode(), self.metadata.decode())

    @classmethod
    def read(cls, values: Values) -> Row:
        """The row that ``SELECT`` gives."""
        position, stream, version, kind, text, event_id, data, metadata = values
        body, about = data.encode(), metadata.encode()
        return cls(position, stream, version, kind, text, event_id, body, about)

    @classmethod
    def of(cls, recorded: RecordedEvent) -> Row:
        """The row of a recorded event."""
        event = recorded.event
        assert event.id is not None  # a recorded event has both
        assert event.timestamp is not None
        return cls(
            recorded.position,
            event.stream_id,
            recorded.version,
            event.type,
            format_timestamp(event.timestamp),
            event.id,
            canonical.encode_own(event.data),
            canonical.encode_own(event.metadata),
        )

    def recorded(self) -> RecordedEvent:
        """The event; ``ValueError`` (or ``InvalidEvent``) where its bytes are damaged."""
        return recorded_of(self)


def recorded_of(row: Row | Values) -> RecordedEvent:
    """The event of a row; ``ValueError`` or ``InvalidEvent`` for what is no JSON or no time."""
    position, stream, version, kind, text, event_id, data, metadata = row
    return trusted_event(
        stream,
        kind,
        canonical.decode_own(data),
        canonical.decode_own(metadata),
        event_id,
        _time_of(text),
        version,
        position,
        None,
    )


def encoded_of(row: BytesValues) -> EncodedEvent:
    """The event of a row as bytes; ``ValueError`` or ``InvalidEvent`` for what is no time."""
    position, stream, version, kind, text, event_id, data, metadata = row
    time = to_microseconds(_time_of(text))
    return EncodedEvent(position, stream, version, kind, time, event_id, data, metadata)


def _time_of(text: str) -> datetime:
    time = _read_time(text)
    return time if time.tzinfo is UTC else parse_timestamp(text)
