"""Projections: states that events make, rebuilt, resumed and kept current.

>>> import gitstore
>>> from gitstore.projections import ProjectionManager, TaskBoard
>>> with gitstore.open_store("memory:") as store:
...     data = {"taskId": "1", "title": "Ship", "workflowState": "current"}
...     recorded = store.append(gitstore.DomainEvent("task-1", "TaskCreated", data))
...     manager = ProjectionManager(store, [TaskBoard])
...     position = manager.catch_up()
>>> manager.state("TaskBoard")["tasks"]["1"]["folder"]
'current'
"""

from __future__ import annotations

from gitstore.projections.activesessions import ActiveSessions
from gitstore.projections.checkingstates import (
    ProjectionStatus,
    StateCheck,
    check_state,
    statuses,
)
from gitstore.projections.configured import (
    BUILT_IN,
    CONFIG_KEY,
    ProjectionNotLoaded,
    projections_of,
)
from gitstore.projections.manager import ProjectionManager
from gitstore.projections.projection import Factory, Projection
from gitstore.projections.replaying import Replayed, replay
from gitstore.projections.slot import forget
from gitstore.projections.stateform import Stopped
from gitstore.projections.states import FolderStates, MemoryStates, States, states_of
from gitstore.projections.taskboard import TaskBoard
from gitstore.projections.taskstatistics import TaskStatistics
from gitstore.projections.worktreemap import WorktreeMap

__all__ = [
    "BUILT_IN",
    "CONFIG_KEY",
    "ActiveSessions",
    "Factory",
    "FolderStates",
    "MemoryStates",
    "Projection",
    "ProjectionManager",
    "ProjectionNotLoaded",
    "ProjectionStatus",
    "Replayed",
    "StateCheck",
    "States",
    "Stopped",
    "TaskBoard",
    "TaskStatistics",
    "WorktreeMap",
    "check_state",
    "forget",
    "projections_of",
    "replay",
    "states_of",
    "statuses",
]
