"""What happens to git worktrees: events of the streams ``worktree-<branch>``."""

from __future__ import annotations

from typing import Any, ClassVar

from gitstore.schemas.data import EventData


class WorktreeCreated(EventData, frozen=True):
    """A worktree was made.

    - ``branch``: the branch that is checked out in it.
    - ``path``: its directory, absolute.
    - ``taskId``: the task it was made for.
    """

    branch: str
    path: str
    task_id: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "branch": "task/AUTH-001",
        "path": "/home/ada/shop.worktrees/AUTH-001",
        "taskId": "AUTH-001",
    }


class WorktreeRecycled(EventData, frozen=True):
    """A worktree was given to another branch.

    - ``oldBranch``: the branch it had.
    - ``newBranch``: the branch that is checked out in it now.
    - ``path``: its directory, absolute.
    """

    old_branch: str
    new_branch: str
    path: str

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "oldBranch": "task/AUTH-001",
        "newBranch": "task/UI-002",
        "path": "/home/ada/shop.worktrees/AUTH-001",
    }


class WorktreeConflictDetected(EventData, frozen=True):
    """Active sessions have changed the same files in different worktrees.

    - ``worktrees``: the branches of the worktrees, or their paths.
    - ``conflictingFiles``: the files changed in more than one, relative to the repository.
    - ``sessions``: the sessions that changed them.
    """

    worktrees: list[str]
    conflicting_files: list[str]
    sessions: list[str]

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "worktrees": ["task/AUTH-001", "task/UI-002"],
        "conflictingFiles": ["src/auth.ts"],
        "sessions": ["tmux-AUTH-001-1748793600000", "tmux-UI-002-1748793700000"],
    }
