"""A table in SQLite, written by hand: what one would do without any library."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import orjson

import gitstore
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
_SAME = (
    "INSERT INTO events (id, stream_id, type, version, timestamp, data, metadata, position) "
    "VALUES (?,?,?,?,?,?,?,?)"
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
        self._make()

    def _make(self) -> None:
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


class SameTablePeer(PlainSQLitePeer):
    """The inserts of our SQLite store, into its own table with all its indexes, by hand."""

    name = "sqlite3, same table"

    def _make(self) -> None:
        with gitstore.open_store(f"sqlite:{self.directory}/model.db"):
            pass
        with contextlib.closing(sqlite3.connect(self.directory / "model.db")) as model:
            statements = model.execute("SELECT sql FROM sqlite_schema WHERE tbl_name = 'events'")
            for (statement,) in statements.fetchall():
                if statement:
                    self._db.execute(statement)
        self._position = 0

    def append(self, event: DomainEvent) -> None:
        self._position += 1
        self._db.execute(_SAME, self._row(event))

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        raise NotImplementedError(self.name)

    def _row(self, event: DomainEvent) -> tuple[object, ...]:
        stream, version, kind, time, event_id, data, metadata = _row(event)
        assert isinstance(data, bytes)
        assert isinstance(metadata, bytes)
        texts = (data.decode(), metadata.decode())
        return (event_id, stream, kind, version, time, *texts, self._position)
