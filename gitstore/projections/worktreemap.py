"""Which worktree lies where, and for what: ``WorktreeMap``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitstore.core.event import DomainEvent
from gitstore.projections.handling import Data, Folding, Handling, moment, subject, text, texts


class WorktreeMap(Folding):
    """Every worktree by the branch that is checked out in it now.

    ::

        {"worktrees": {"task/AUTH-001": {"path": "/home/ada/shop.worktrees/AUTH-001",
                                         "taskId": "AUTH-001",
                                         "since": "2026-11-23T08:00:00.000Z", "conflicts": []}}}

    ``since``: when it was made for this branch, or given to it. A recycled worktree moves to its
    new branch, without a task and without conflicts. ``conflicts`` are those found since, each with
    the ``files``, the ``sessions`` and the other ``worktrees`` concerned, as the event names them.
    """

    name = "WorktreeMap"

    @staticmethod
    def initial() -> dict[str, Any]:
        return {"worktrees": {}}

    def _created(self, data: Data, event: DomainEvent) -> None:
        branch = subject(data, "branch", event)
        path, task = text(data, "path"), text(data, "taskId")
        self._state["worktrees"][branch] = _new(path, task, event)

    def _recycled(self, data: Data, event: DomainEvent) -> None:
        worktrees = self._state["worktrees"]
        old, new = text(data, "oldBranch"), text(data, "newBranch")
        before = worktrees.pop(old, None) if old is not None else None
        if new is not None:
            path = text(data, "path") or (before["path"] if before else None)
            worktrees[new] = _new(path, None, event)

    def _conflict_detected(self, data: Data, event: DomainEvent) -> None:
        named = texts(data, "worktrees")
        for branch, worktree in self._state["worktrees"].items():
            own = {branch, worktree["path"]}
            if own.isdisjoint(named):
                continue
            worktree["conflicts"].append(
                {
                    "time": moment(event),
                    "worktrees": [other for other in named if other not in own],
                    "files": texts(data, "conflictingFiles"),
                    "sessions": texts(data, "sessions"),
                }
            )

    handlings: ClassVar[Mapping[str, Handling]] = {
        "WorktreeCreated": _created,
        "WorktreeRecycled": _recycled,
        "WorktreeConflictDetected": _conflict_detected,
    }
    types = frozenset(handlings)


def _new(path: str | None, task: str | None, event: DomainEvent) -> dict[str, Any]:
    return {"path": path, "taskId": task, "since": moment(event), "conflicts": []}
