"""What was done about each task: ``TaskStatistics``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitstore.core.event import DomainEvent
from gitstore.projections.handling import (
    Data,
    Folding,
    Handling,
    entry,
    moment,
    subject,
    text,
    whole,
)

_MOST = 2**53 - 1
"""JavaScript reads no larger number exactly, and JSON may not hold the sum of two that are."""


class TaskStatistics(Folding):
    """For each task ever created: when, how often its status changed, and the sessions for it.

    ::

        {"tasks": {"AUTH-001": {"created": "2026-11-23T08:00:00.000Z", "statusChanges": 2,
                                "lastModified": "2026-11-23T09:30:00.000Z", "sessionsRun": 1,
                                "totalDuration": 840000}},
         "sessions": {"session-abc": "AUTH-002"}}

    ``lastModified`` is the time of its last event; ``sessionsRun`` counts sessions that have ended,
    ``totalDuration`` is how long these ran, in milliseconds. A session's task is the one its
    ``SessionQueued`` named, else that of its ``SessionCompleted``; ``sessions`` are those that wait
    or run, with their tasks. A deleted task keeps its figures, a renamed one takes them along.
    """

    name = "TaskStatistics"

    @staticmethod
    def initial() -> dict[str, Any]:
        return {"tasks": {}, "sessions": {}}

    def _created(self, data: Data, event: DomainEvent) -> None:
        task = self._task(subject(data, "taskId", event))
        task["created"] = task["lastModified"] = moment(event)

    def _modified(self, data: Data, event: DomainEvent) -> None:
        self._task(subject(data, "taskId", event))["lastModified"] = moment(event)

    def _status_changed(self, data: Data, event: DomainEvent) -> None:
        task = self._task(subject(data, "taskId", event))
        task["statusChanges"] += 1
        task["lastModified"] = moment(event)

    def _renamed(self, data: Data, event: DomainEvent) -> None:
        old, new = subject(data, "taskId", event), text(data, "newTaskId")
        if new is None:
            return
        tasks = self._state["tasks"]
        tasks[new] = tasks.pop(old, None) or _new()
        tasks[new]["lastModified"] = moment(event)
        sessions = self._state["sessions"]
        sessions.update({session: new for session, task in sessions.items() if task == old})

    def _queued(self, data: Data, event: DomainEvent) -> None:
        task = text(data, "taskId")
        if task is not None:
            self._state["sessions"][event.stream_id] = task

    def _completed(self, data: Data, event: DomainEvent) -> None:
        queued_for = self._state["sessions"].pop(event.stream_id, None)
        name = queued_for or text(data, "taskId")
        if name is not None:
            task = self._task(name)
            task["sessionsRun"] += 1
            task["totalDuration"] = min(task["totalDuration"] + whole(data, "duration"), _MOST)

    def _task(self, name: str) -> dict[str, Any]:
        return entry(self._state["tasks"], name, _new)

    handlings: ClassVar[Mapping[str, Handling]] = {
        "TaskCreated": _created,
        "TaskStatusChanged": _status_changed,
        "TaskMoved": _modified,
        "TaskSectionUpdated": _modified,
        "TaskUpdated": _modified,
        "TaskDeleted": _modified,
        "TaskRenamed": _renamed,
        "SessionQueued": _queued,
        "SessionCompleted": _completed,
    }
    types = frozenset(handlings)


def _new() -> dict[str, Any]:
    return {
        "created": None,
        "statusChanges": 0,
        "lastModified": None,
        "sessionsRun": 0,
        "totalDuration": 0,
    }
