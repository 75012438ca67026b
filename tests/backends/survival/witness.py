"""Witnesses: what a fresh look at a store, and programs that know nothing of it, say about it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gitstore import DomainEvent, RecordedEvent, open_store
from gitstore.core.base import BaseEventStore

Ack = dict[str, Any]
"""An event as a store promised it: the interface's object, and its ``position``."""


def address(kind: str, folder: Path) -> str:
    """The store of a folder, in which nothing else is."""
    return f"{kind}:{folder}/events"


def path_of(where: str) -> Path:
    """The file or directory of an address."""
    return Path(where.partition(":")[2])


def promise(recorded: RecordedEvent) -> Ack:
    """What an append promised about an event, as JSON gives it back."""
    given: Ack = json.loads(recorded.event.to_json())
    return given | {"position": recorded.position}


def filled(where: str, events: int = 12, streams: int = 3) -> list[Ack]:
    """Make a store with some events; gives what was acknowledged."""
    with open_store(where) as opened:
        return [
            promise(opened.append(DomainEvent(f"task-{n % streams}", "Noted", {"n": n})))
            for n in range(events)
        ]


def assert_whole(events: Sequence[RecordedEvent], acknowledged: Iterable[Ack]) -> None:
    """Positions and versions are contiguous, and every acknowledged event is what it was."""
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    versions: dict[str, int] = defaultdict(int)
    for event in events:
        versions[event.stream_id] += 1
        assert event.version == versions[event.stream_id], event
    held = {event.event.id: promise(event) for event in events}
    assert len(held) == len(events)
    for ack in acknowledged:
        assert ack["id"] in held, f"acknowledged and not there: {ack}"
        assert held[ack["id"]] == ack


def assert_reads_agree(store: BaseEventStore, events: Sequence[RecordedEvent]) -> None:
    """Every way of reading gives the same events."""
    assert list(store.read_all(backwards=True)) == list(events)[::-1]
    by_stream, by_type = defaultdict(list), defaultdict(list)
    for event in events:
        by_stream[event.stream_id].append(event)
        by_type[event.event.type].append(event)
    assert list(store.streams()) == sorted(by_stream)
    for name, of_stream in by_stream.items():
        assert list(store.read_stream(name)) == of_stream
    for name, of_type in by_type.items():
        assert list(store.read_all(types=name)) == of_type


def assert_sound(where: str, acknowledged: Iterable[Ack] = ()) -> list[RecordedEvent]:
    """Reopening mends everything: nothing lost, nothing left over, nothing left to do.

    Gives the events.
    """
    with open_store(where) as opened:
        events = list(opened.read_all())
        assert_whole(events, acknowledged)
        assert_reads_agree(opened, events)
        report = opened.verify(deep=True)
        assert not report.findings, report.findings
        assert report.events == len(events)
    assert witnessed(where) == [promise(event) for event in events]
    before = picture(where)
    with open_store(where, create=False) as opened:
        assert list(opened.read_all()) == events
        status = opened.status()
        assert (status.events, status.unflushed) == (len(events), 0)
    assert picture(where) == before, "a second opening changed what the first had made good"
    return events


# Without the store


def witnessed(where: str) -> list[Ack]:
    """The events in order of position, as a program finds them that knows the form alone."""
    return _rows(path_of(where))


def picture(where: str) -> object:
    """Everything that other programs may see: what a second opening must leave as it is."""
    return _dump(path_of(where))


def _rows(file: Path) -> list[Ack]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        columns = "position, id, stream_id, type, version, timestamp, data, metadata"
        return [
            {
                "position": position,
                "id": event_id,
                "streamId": stream,
                "type": kind,
                "version": version,
                "timestamp": time,
                "data": json.loads(data),
                "metadata": json.loads(metadata),
            }
            for position, event_id, stream, kind, version, time, data, metadata in db.execute(
                f"SELECT {columns} FROM events ORDER BY position"
            )
        ]


def _dump(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return list(db.iterdump())
