"""What Scopecraft's events carry: a form for the data of each type, with an example.

>>> from gitstore.schemas import SCHEMAS, TaskCreated
>>> TaskCreated(task_id="AUTH-001", title="Sign in", workflow_state="backlog").to_data()
{'taskId': 'AUTH-001', 'title': 'Sign in', 'workflowState': 'backlog'}
>>> [field.name for field in SCHEMAS["TaskMoved"].fields()]
['taskId', 'fromWorkflow', 'toWorkflow']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitstore.schemas.catalogue import SCHEMAS, Schemas
    from gitstore.schemas.checking import Misfit, misfits
    from gitstore.schemas.data import EventData
    from gitstore.schemas.eventtype import EventType, Field, Upcaster
    from gitstore.schemas.sessions import (
        SessionCompleted,
        SessionQueued,
        SessionStarted,
        SessionToolUsed,
    )
    from gitstore.schemas.system import ConfigurationChanged, SystemError
    from gitstore.schemas.tasks import (
        TaskCreated,
        TaskDeleted,
        TaskMoved,
        TaskRenamed,
        TaskSectionUpdated,
        TaskStatusChanged,
        TaskUpdated,
    )
    from gitstore.schemas.values import (
        Priority,
        Result,
        TaskStatus,
        WorkflowState,
        canonical_priority,
        canonical_status,
    )
    from gitstore.schemas.worktrees import (
        WorktreeConflictDetected,
        WorktreeCreated,
        WorktreeRecycled,
    )

__all__ = [
    "SCHEMAS",
    "ConfigurationChanged",
    "EventData",
    "EventType",
    "Field",
    "Misfit",
    "Priority",
    "Result",
    "Schemas",
    "SessionCompleted",
    "SessionQueued",
    "SessionStarted",
    "SessionToolUsed",
    "SystemError",
    "TaskCreated",
    "TaskDeleted",
    "TaskMoved",
    "TaskRenamed",
    "TaskSectionUpdated",
    "TaskStatus",
    "TaskStatusChanged",
    "TaskUpdated",
    "Upcaster",
    "WorkflowState",
    "WorktreeConflictDetected",
    "WorktreeCreated",
    "WorktreeRecycled",
    "canonical_priority",
    "canonical_status",
    "misfits",
]

_MODULES = {
    "catalogue": ("SCHEMAS", "Schemas"),
    "checking": ("Misfit", "misfits"),
    "data": ("EventData",),
    "eventtype": ("EventType", "Field", "Upcaster"),
    "sessions": ("SessionCompleted", "SessionQueued", "SessionStarted", "SessionToolUsed"),
    "system": ("ConfigurationChanged", "SystemError"),
    "tasks": (
        "TaskCreated",
        "TaskDeleted",
        "TaskMoved",
        "TaskRenamed",
        "TaskSectionUpdated",
        "TaskStatusChanged",
        "TaskUpdated",
    ),
    "values": (
        "Priority",
        "Result",
        "TaskStatus",
        "WorkflowState",
        "canonical_priority",
        "canonical_status",
    ),
    "worktrees": ("WorktreeConflictDetected", "WorktreeCreated", "WorktreeRecycled"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: an append of an unknown type needs none of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'gitstore.schemas' has no attribute {name!r}")
    value = getattr(import_module(f"gitstore.schemas.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
