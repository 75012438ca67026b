"""A table in SQLite, written by hand: what one would do without any library."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import orjson

from benchmarks.peers.base import Peer
from gitstore import DomainEvent
from gitstore.core.timestamps import format_timestamp

_TABLE = """CREATE TABLE events (
    position INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL,
    type TEXT NOT NULL, time TEXT NOT NULL, id TEXT NOT NULL,
    data BLOB NOT NULL, metadata BLOB NOT NULL, UNIQUE (stream, version))"""
_INSERT = (
    "INSERT INTO events (stream, version, type, time, id, data, metadata) VALUES (?,?,?,?,?,?,?)"
)


class PlainSQLitePeer(Peer):
    """One autocommit INSERT an event, WAL, ``synchronous=FULL``."""

    name = "sqlite3"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / "events.db"
        self._db = sqlite3.connect(self.path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(_TABLE)

    @property
    def durability(self) -> str:
        return "SQLite WAL, synchronous=FULL"

    def append(self, event: DomainEvent) -> None:
        self._db.execute(_INSERT, _row(event))

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(_INSERT, map(_row, events))
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


def _row(event: DomainEvent) -> tuple[object, ...]:
    assert event.timestamp is not None  # the history gives one
    return (
        event.stream_id,
        event.version,
        event.type,
        format_timestamp(event.timestamp),
        event.id,
        orjson.dumps(event.data),
        orjson.dumps(event.metadata),
    )
