"""What the tests of layouts share: lines as other programs write them, and looks at a store."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.jsonl import journal as journaling
from gitstore.backends.opening import open_store
from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent

Recorded = list[tuple[int, str, int, str | None]]
"""Position, stream, version and id of events."""
DAY = "2026-11-23"
FILE = f"{DAY}/task-1.jsonl"


def opened(where: Path, **options: Any) -> BaseEventStore:
    """The JSONL store at ``where``."""
    return open_store(f"jsonl:{where}", **options)


def event(number: int, stream: str = "task-1", **fields: Any) -> DomainEvent:
    """An event of ``DAY`` with the id ``id-<number>``, without a version."""
    given = {
        "id": f"id-{number}",
        "streamId": stream,
        "type": "Noted",
        "timestamp": f"{DAY}T10:00:00.{number:03d}Z",
        "data": {"n": number},
        "metadata": {"userId": "ada"},
    }
    return DomainEvent.from_dict({**given, **fields})


def line(number: int, version: int | None, stream: str = "task-1", **fields: Any) -> bytes:
    """A whole event as another program writes it, which is not quite as the store does."""
    given = event(number, stream).to_dict()
    return json.dumps({"version": version, **given, **fields}).encode() + b"\n"


def append_by_shell(path: Path, text: bytes) -> None:
    """Another process appends to a file, with no lock and no knowledge of stores."""
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["sh", "-c", f"cat >> '{path}'"], input=text, check=True)


def recorded(store: BaseEventStore) -> Recorded:
    """Every event of a store."""
    return [(r.position, r.stream_id, r.version, r.event.id) for r in store.read_all()]


def filled(
    where: Path, count: int = 12, streams: int = 3
) -> list[tuple[int, str, int, str | None]]:
    """Make a store of ``count`` events in turn over some streams; gives ``recorded`` of it."""
    with opened(where) as store:
        for number in range(1, count + 1):
            store.append(event(number, f"task-{number % streams + 1}"))
        return recorded(store)


class BrokenDisk:
    """A disk on which the journal is: it syncs nothing, and takes so many writes yet."""

    def __init__(self, patch: pytest.MonkeyPatch, *, good_writes: int) -> None:
        self._left = good_writes
        self._write = journaling._write_at
        patch.setattr(journaling, "_sync", self._fail)
        patch.setattr(journaling, "_write_at", self._write_some)

    def _write_some(self, descriptor: int, content: bytes, offset: int) -> None:
        self._left -= 1
        if self._left < 0:
            self._fail(descriptor)
        self._write(descriptor, content, offset)

    def _fail(self, descriptor: int) -> None:
        raise OSError(5, "Input/output error")
