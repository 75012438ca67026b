"""Layouts that hold a part of a history: versions may have gaps, and nothing is given anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.errors import (
    DuplicateEventId,
    InvalidEvent,
    PartialDuplicate,
    StoreUnavailable,
    WrongExpectedVersion,
)
from gitstore.core.event import DomainEvent
from gitstore.testing.support import T0, happened

PART = {"types": ["Happened"]}


def whole(version: int, stream_id: str = "task-1", **fields: Any) -> DomainEvent:
    """An event with id, version and timestamp."""
    return happened(stream_id, id=f"{stream_id}-{version}", version=version, timestamp=T0, **fields)


def test_versions_may_have_gaps(tmp_path: Path) -> None:
    """Positions are contiguous all the same, also for whoever opens it again."""
    with JsonlEventStore.open(tmp_path / "part", part=PART) as store:
        store.append(whole(3))
        store.append_many([whole(7), whole(2, "task-2"), whole(8)])
    with JsonlEventStore.open(tmp_path / "part", part=PART) as store:
        assert [(r.position, r.version) for r in store.read_all()] == [
            (1, 3),
            (2, 7),
            (3, 2),
            (4, 8),
        ]
        assert [r.version for r in store.read_stream("task-1", 3)] == [7, 8]
        assert store.verify().ok


@pytest.mark.parametrize("version", [1, 3])
def test_versions_rise(tmp_path: Path, version: int) -> None:
    """What is not after the stream's last version comes too late."""
    with JsonlEventStore.open(tmp_path / "part", part=PART) as store:
        store.append(whole(3))
        with pytest.raises(WrongExpectedVersion):
            store.append(happened("task-1", id="other", version=version, timestamp=T0))
        assert store.last_position() == 1


@pytest.mark.parametrize("left_out", ["id", "version", "timestamp"])
def test_events_come_whole(tmp_path: Path, left_out: str) -> None:
    """Nothing is made up that the history has not."""
    given: dict[str, Any] = {"id": "a", "version": 3, "timestamp": T0, left_out: None}
    with JsonlEventStore.open(tmp_path / "part", part=PART) as store:
        with pytest.raises(InvalidEvent, match="id, version and timestamp"):
            store.append(happened("task-1", **given))
        assert store.last_position() == 0


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """Idempotent by id, as every store; other content under the id is refused."""
    with JsonlEventStore.open(tmp_path / "part", part=PART) as store:
        first = store.append_many([whole(3), whole(9)])
        assert store.append_many([whole(3), whole(9)]) == first
        with pytest.raises(PartialDuplicate):
            store.append_many([whole(9), whole(10)])
        with pytest.raises(DuplicateEventId):
            store.append(whole(9, data="other"))
        assert store.last_position() == 2


def test_without_its_filters_it_is_only_read(tmp_path: Path) -> None:
    """Somebody who takes it for a whole history can read it, and cannot spoil it."""
    with JsonlEventStore.open(tmp_path / "part", part=PART) as store:
        store.append(whole(3))
    with JsonlEventStore.open(tmp_path / "part") as store:
        assert [r.version for r in store.read_all()] == [3]
        with pytest.raises(StoreUnavailable, match="holds a part"):
            store.append(happened("task-1"))


def test_other_filters_are_refused(tmp_path: Path) -> None:
    """A layout is of one part; a whole one is of none."""
    for made, opened in ((PART, {"types": ["Other"]}), (None, PART)):
        place = tmp_path / str(made)
        JsonlEventStore.open(place, part=made).close()
        with pytest.raises(StoreUnavailable, match="other filters"):
            JsonlEventStore.open(place, part=opened)
