"""The tables of ``journal.db``, and an event and the journal's state as they lie in them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS pending(
    position INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    time INTEGER NOT NULL,      -- microseconds since 1970 UTC
    event_id TEXT NOT NULL,
    commit_id BLOB NOT NULL,
    parent BLOB,                -- of the commit; NULL for version 1
    date INTEGER NOT NULL,      -- committer date, seconds
    data BLOB NOT NULL,         -- canonical JSON
    metadata BLOB NOT NULL,
    origin BLOB,                -- of a replayed event: the commit that first recorded it
    UNIQUE(stream, version)
);
CREATE INDEX IF NOT EXISTS pending_ids ON pending(event_id);
CREATE TABLE IF NOT EXISTS state(
    one INTEGER PRIMARY KEY CHECK(one = 1),
    flushed INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    feed TEXT NOT NULL,
    refs TEXT NOT NULL,
    intent TEXT,
    store_id TEXT NOT NULL,
    inode INTEGER NOT NULL      -- of this file: in a copy it is another
);
"""
COLUMNS = (
    "position, stream, version, type, time, event_id, commit_id, parent, date, data, metadata, "
    "origin"
)
SELECT_PENDING = f"SELECT {COLUMNS} FROM pending"
MARKS = ",".join("?" * 12)
INSERT = f"INSERT INTO pending({COLUMNS}) SELECT {MARKS}"


def select_pending(db: sqlite3.Connection) -> str:
    """``SELECT_PENDING`` for a file that an earlier release may have made."""
    held = {name for _, name, *_ in db.execute("PRAGMA table_info(pending)")}
    return SELECT_PENDING if "origin" in held else SELECT_PENDING.replace("origin", "NULL")


class JournalRow(NamedTuple):
    """An event as the journal and the index hold it.

    ``time``: microseconds since 1970 UTC; ``commit_id`` and ``parent``: 20 bytes; ``date``: the
    commit's committer date; ``data`` and ``metadata``: canonical bytes; ``origin``: of an event
    that a rebase replayed, the 20 bytes of the commit by which it was first recorded.
    """

    position: int
    stream: str
    version: int
    type: str
    time: int
    event_id: str
    commit_id: bytes
    parent: bytes | None
    date: int
    data: bytes
    metadata: bytes
    origin: bytes | None = None


@dataclass(frozen=True, slots=True)
class JournalState:
    """What has left the journal; see ``journal``."""

    flushed: int
    listed: int
    feed: str
    refs: tuple[int, ...]
    intent: str | None
    store_id: str
