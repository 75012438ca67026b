"""The ``eventsourcing`` library's SQLite recorder, as the library sets it up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks.peers.base import Peer
from gitstore import DomainEvent

_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


class EventSourcingPeer(Peer):
    """``SQLiteApplicationRecorder``, the one with an order over all streams."""

    name = "eventsourcing"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / "eventsourcing.db"
        self._datastore = SQLiteDatastore(str(self.path), originator_id_type="text")
        self._recorder = SQLiteApplicationRecorder(self._datastore)
        self._recorder.create_table()

    @property
    def durability(self) -> str:
        with self._datastore.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA synchronous")
            level = _SYNCHRONOUS[cursor.fetchone()[0]]
            cursor.execute("PRAGMA journal_mode")
            mode = cursor.fetchone()[0].upper()
        return f"library default: SQLite {mode}, synchronous={level}"

    def append(self, event: DomainEvent) -> None:
        self._recorder.insert_events([_stored(event)])

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        self._recorder.insert_events([_stored(event) for event in events])

    def close(self) -> None:
        self._datastore.close()


def _stored(event: DomainEvent) -> StoredEvent:
    assert event.version is not None  # the history gives one
    state = orjson.dumps(
        {
            "id": event.id,
            "timestamp": event.timestamp,
            "data": event.data,
            "metadata": event.metadata,
        }
    )
    return StoredEvent(event.stream_id, event.version, event.type, state)
