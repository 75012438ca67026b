"""One stream that never ends: states stay what they are, and memory with them."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from gitstore import DomainEvent, open_store
from gitstore.projections import BUILT_IN, ProjectionManager

_BATCH = 5_000
_STATUSES = ("todo", "in_progress")


def _event(number: int) -> DomainEvent:
    old, new = _STATUSES[(number + 1) % 2], _STATUSES[number % 2]
    changed = {"taskId": "1", "oldStatus": old, "newStatus": new}
    written = {"taskId": "1", "section": "log", "content": f"line {number}"}
    if number == 0:
        created = {"taskId": "1", "title": "Never done", "workflowState": "current"}
        return DomainEvent("task-1", "TaskCreated", created)
    if number % 2:
        return DomainEvent("task-1", "TaskStatusChanged", changed)
    return DomainEvent("task-1", "TaskSectionUpdated", written)


@pytest.mark.parametrize("events", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_a_stream_of_many_events(tmp_path: Path, events: int) -> None:
    """Its states are those of its last events, come to in one go or in many."""
    with open_store(tmp_path / "events.git") as store:
        manager = ProjectionManager(store, BUILT_IN)
        for first in range(0, events, _BATCH):
            store.append_many(map(_event, range(first, min(first + _BATCH, events))))
            if first < events // 2:
                manager.catch_up()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        again = ProjectionManager(store, BUILT_IN)
        assert again.catch_up() == events
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 100_000  # KiB: nothing is kept of events but what they make
        manager.catch_up()
        board: Any = again.state("TaskBoard")
        statistics: Any = again.state("TaskStatistics")
        assert board == manager.state("TaskBoard")
        assert board["tasks"]["1"]["sections"] == {"log": f"line {events - 2}"}
        assert board["tasks"]["1"]["status"] == "in_progress"
        assert statistics == manager.state("TaskStatistics")
        assert statistics["tasks"]["1"]["statusChanges"] == events // 2
