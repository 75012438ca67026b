"""The types of events that are known, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitstore.core.canonical import JSON
from gitstore.core.event import DomainEvent
from gitstore.schemas import sessions, system, tasks, worktrees
from gitstore.schemas.data import EventData
from gitstore.schemas.eventtype import EventType


class Schemas(Mapping[str, EventType]):
    """Types of events by their names; a mapping that is never changed.

    A program that has types of its own takes ``SCHEMAS.extended(…)``.
    """

    def __init__(self, *types: EventType) -> None:
        self._types = {one.name: one for one in types}

    def __getitem__(self, name: str) -> EventType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def extended(self, *types: EventType) -> Schemas:
        """These and others; of one name, the latter."""
        return Schemas(*self._types.values(), *types)

    def check(self, event: DomainEvent) -> None:
        """``InvalidEvent`` where the type is known and the data does not fit it.

        Unknown types, unknown fields and data of a newer version of a type pass.
        """
        known = self._types.get(event.type)
        if known is not None:
            known.check(event)

    def read(self, event: DomainEvent) -> EventData | None:
        """The event's data in today's form; ``None`` for an unknown type. Raises as ``read``."""
        known = self._types.get(event.type)
        return None if known is None else known.read(event)

    def upcast(self, event: DomainEvent) -> JSON:
        """The event's data in today's version of its type, whether it fits or not.

        ``UnsupportedFormat`` where a newer version wrote it.
        """
        known = self._types.get(event.type)
        return event.data if known is None else known.upcast(event)


SCHEMAS = Schemas(
    EventType(tasks.TaskCreated),
    EventType(tasks.TaskStatusChanged),
    EventType(tasks.TaskMoved),
    EventType(tasks.TaskSectionUpdated),
    EventType(tasks.TaskUpdated),
    EventType(tasks.TaskDeleted),
    EventType(tasks.TaskRenamed),
    EventType(sessions.SessionQueued),
    EventType(sessions.SessionStarted),
    EventType(sessions.SessionToolUsed),
    EventType(sessions.SessionCompleted),
    EventType(worktrees.WorktreeCreated),
    EventType(worktrees.WorktreeRecycled),
    EventType(worktrees.WorktreeConflictDetected),
    EventType(system.SystemError),
    EventType(system.ConfigurationChanged),
)
"""Scopecraft's own types."""
