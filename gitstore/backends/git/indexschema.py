"""The tables of ``index.db``, and how an event lies in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gitstore.backends.git.commits import SPILL_OVER
from gitstore.backends.git.journalschema import JournalRow
from gitstore.core import canonical

VERSION = 2
"""Of the tables below; another one is rebuilt."""

SCHEMA = """
CREATE TABLE streams(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    version INTEGER NOT NULL,   -- of the stream's last event here
    commit_id BLOB NOT NULL,
    date INTEGER NOT NULL       -- that commit's committer date, seconds
);
CREATE INDEX streams_by_category ON streams(category);
CREATE TABLE words(id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE events(
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type INTEGER NOT NULL,      -- a word, as are user and correlation
    time INTEGER NOT NULL,      -- microseconds since 1970 UTC
    event_id NOT NULL,          -- 16 bytes of a UUID, else the text
    commit_id BLOB NOT NULL,
    user INTEGER,
    correlation INTEGER,
    data BLOB,                  -- NULL: read it from git
    metadata BLOB,
    origin BLOB                 -- of a replayed event: the commit that first recorded it
);
CREATE UNIQUE INDEX events_by_stream ON events(stream, version);
CREATE UNIQUE INDEX events_by_id ON events(event_id);
CREATE INDEX events_by_type ON events(type);
CREATE INDEX events_by_time ON events(time, type);
CREATE INDEX events_by_correlation ON events(correlation) WHERE correlation IS NOT NULL;
CREATE TABLE superseded(        -- events that a rebase replaced, as they were in `events`
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type INTEGER NOT NULL,
    time INTEGER NOT NULL,
    event_id NOT NULL,
    commit_id BLOB NOT NULL,
    user INTEGER,
    correlation INTEGER,
    data BLOB,
    metadata BLOB,
    origin BLOB,
    superseded_by INTEGER NOT NULL, -- position of the same event's next row
    tip BLOB NOT NULL           -- the commit at which its stream ended then
);
CREATE INDEX superseded_by_successor ON superseded(superseded_by);
CREATE INDEX superseded_by_id ON superseded(event_id);
CREATE INDEX superseded_by_stream ON superseded(stream, version);
CREATE INDEX superseded_by_time ON superseded(time);
CREATE VIEW every_event AS
    SELECT *, NULL AS superseded_by, NULL AS tip FROM events
    UNION ALL SELECT * FROM superseded;
CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one = 1), through INTEGER, feed TEXT);
INSERT INTO state VALUES(1, 0, '');
"""


class StreamHead(NamedTuple):
    """Where a stream ends: its version, the 20 bytes of that commit's id, its committer date."""

    version: int
    commit: bytes
    date: int


def words_of(metadata: bytes) -> tuple[str | None, str | None]:
    """User and correlation of an event, where they are texts."""
    if metadata == b"{}":
        return None, None
    given = canonical.decode_own(metadata)
    user, correlation = given.get("userId"), given.get("correlationId")
    return (
        user if isinstance(user, str) else None,
        correlation if isinstance(correlation, str) else None,
    )


def event_values(
    row: JournalRow,
    streams: Mapping[str, int],
    words: Mapping[str | None, int | None],
    user: str | None,
    correlation: str | None,
) -> tuple[object, ...]:
    """The values of a row of ``events``, from a journal row and the numbers of its names."""
    return (
        row.position,
        streams[row.stream],
        row.version,
        words[row.type],
        row.time,
        pack_id(row.event_id),
        row.commit_id,
        words[user],
        words[correlation],
        row.data if len(row.data) <= SPILL_OVER else None,
        row.metadata,
        row.origin,
    )


_is_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def pack_id(event_id: str) -> bytes | str:
    """A lower-case UUID as its 16 bytes, any other id as it is."""
    return bytes.fromhex(event_id.replace("-", "")) if _is_uuid(event_id) else event_id


def unpack_id(packed: bytes) -> str:
    """The UUID of 16 bytes."""
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
