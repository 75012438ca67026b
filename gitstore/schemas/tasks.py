"""What happens to tasks: events of the streams ``task-<taskId>``.

All of a task follows from its own events: it begins with ``TaskCreated``, in the status ``todo``
and without sections, and every later event says what became of it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from gitstore.schemas.data import EventData
from gitstore.schemas.values import Priority, TaskStatus, WorkflowState


class TaskCreated(EventData, frozen=True):
    """A task came to be, with the status ``todo``.

    - ``taskId``: the name of its file without ``.task.md``.
    - ``title``: its title.
    - ``workflowState``: the folder it was made in.
    - ``parentId``: the task it is a part of; none for a task of its own.
    """

    task_id: str
    title: str
    workflow_state: WorkflowState
    parent_id: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "taskId": "AUTH-001",
        "title": "Sign in with a passkey",
        "workflowState": "backlog",
    }


class TaskStatusChanged(EventData, frozen=True):
    """A task got another status; any may follow any other.

    - ``taskId``: the task.
    - ``oldStatus``: the status it had.
    - ``newStatus``: the status it has now.
    - ``reason``: why, in somebody's words.
    """

    task_id: str
    old_status: TaskStatus
    new_status: TaskStatus
    reason: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "taskId": "AUTH-001",
        "oldStatus": "todo",
        "newStatus": "in_progress",
    }


class TaskMoved(EventData, frozen=True):
    """A task's file was moved to another folder.

    - ``taskId``: the task.
    - ``fromWorkflow``: the folder it lay in.
    - ``toWorkflow``: the folder it lies in now.
    """

    task_id: str
    from_workflow: WorkflowState
    to_workflow: WorkflowState

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "taskId": "AUTH-001",
        "fromWorkflow": "backlog",
        "toWorkflow": "current",
    }


class TaskSectionUpdated(EventData, frozen=True):
    """A section of a task's text was written or replaced, whole.

    - ``taskId``: the task.
    - ``section``: the section's heading in lower case, such as ``instruction``.
    - ``content``: its whole text now, without the heading; empty where the section was emptied.
    - ``previousContent``: its whole text before; none for a new section.
    """

    task_id: str
    section: str
    content: str
    previous_content: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "taskId": "AUTH-001",
        "section": "tasks",
        "content": "- [x] Register a passkey\n- [ ] Sign in with it",
        "previousContent": "- [ ] Register a passkey\n- [ ] Sign in with it",
    }


class TaskUpdated(EventData, frozen=True):
    """Fields of a task's frontmatter were changed; one that is null was taken away.

    - ``taskId``: the task.
    - ``title``: its title now.
    - ``type``: what kind of task it is now: feature, bug, chore, documentation, test, spike, idea.
    - ``priority``: how urgent it is now.
    - ``area``: the part of the project it belongs to now.
    - ``phase``: its phase now: backlog, active or released.
    - ``tags``: all its tags now.
    - ``assignee``: who works on it now.
    - ``parentId``: the task it is a part of now; null for a task of its own.
    """

    task_id: str
    title: str | UnsetType = UNSET
    type: str | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    area: str | UnsetType | None = UNSET
    phase: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType | None = UNSET
    assignee: str | UnsetType | None = UNSET
    parent_id: str | UnsetType | None = UNSET

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "taskId": "AUTH-001",
        "priority": "high",
        "tags": ["auth", "security"],
        "assignee": None,
    }


class TaskDeleted(EventData, frozen=True):
    """A task's file was removed.

    - ``taskId``: the task.
    - ``reason``: why, in somebody's words.
    """

    task_id: str
    reason: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {"taskId": "AUTH-001", "reason": "Done by AUTH-002"}


class TaskRenamed(EventData, frozen=True):
    """A task got another id: it was renumbered, adopted by a parent, or made one.

    The last event of this stream; the next ones stand in the stream of the new id.

    - ``taskId``: the id it had.
    - ``newTaskId``: the id it has now.
    """

    task_id: str
    new_task_id: str

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "taskId": "02_sign-in-06E",
        "newTaskId": "03_sign-in-06E",
    }
