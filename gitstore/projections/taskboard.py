"""Every task as it stands: ``TaskBoard``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitstore.core.event import DomainEvent
from gitstore.projections.handling import Data, Folding, Handling, entry, subject, text
from gitstore.schemas.values import canonical_priority, canonical_status

_FIELDS = ("type", "priority", "area", "phase", "tags", "assignee")


class TaskBoard(Folding):
    """Every task that is not deleted: status, folder, title, parent, sections.

    ::

        {"tasks": {"AUTH-001": {"status": "todo", "folder": "backlog", "title": "Sign in",
                                "parent": null, "sections": {"instruction": "…"}}}}

    What ``TaskUpdated`` set besides (type, priority, area, phase, tags, assignee) stands there too,
    once it was set. Statuses and priorities are canonical names where the event says an alias. An
    event of a task that is not there begins one, as far as is known: fields may then be null.
    """

    name = "TaskBoard"

    @staticmethod
    def initial() -> dict[str, Any]:
        return {"tasks": {}}

    def _created(self, data: Data, event: DomainEvent) -> None:
        task = _new()
        task["title"] = text(data, "title")
        task["folder"] = text(data, "workflowState")
        task["parent"] = text(data, "parentId")
        self._state["tasks"][subject(data, "taskId", event)] = task

    def _status_changed(self, data: Data, event: DomainEvent) -> None:
        status = text(data, "newStatus")
        if status is not None:
            self._task(data, event)["status"] = canonical_status(status)

    def _moved(self, data: Data, event: DomainEvent) -> None:
        folder = text(data, "toWorkflow")
        if folder is not None:
            self._task(data, event)["folder"] = folder

    def _section_updated(self, data: Data, event: DomainEvent) -> None:
        section, content = text(data, "section"), text(data, "content")
        if section is not None and content is not None:
            self._task(data, event)["sections"][section] = content

    def _updated(self, data: Data, event: DomainEvent) -> None:
        task = self._task(data, event)
        title = text(data, "title")
        if title is not None:
            task["title"] = title
        if "parentId" in data:
            task["parent"] = text(data, "parentId")
        for field in _FIELDS:
            if field not in data:
                continue
            value = data[field]
            if value is None:
                task.pop(field, None)
            elif field == "priority" and isinstance(value, str):
                task[field] = canonical_priority(value)
            else:
                task[field] = value

    def _renamed(self, data: Data, event: DomainEvent) -> None:
        old, new = subject(data, "taskId", event), text(data, "newTaskId")
        tasks = self._state["tasks"]
        if new is None or old not in tasks:
            return
        tasks[new] = tasks.pop(old)
        for task in tasks.values():
            if task["parent"] == old:
                task["parent"] = new

    def _deleted(self, data: Data, event: DomainEvent) -> None:
        self._state["tasks"].pop(subject(data, "taskId", event), None)

    def _task(self, data: Data, event: DomainEvent) -> dict[str, Any]:
        return entry(self._state["tasks"], subject(data, "taskId", event), _new)

    handlings: ClassVar[Mapping[str, Handling]] = {
        "TaskCreated": _created,
        "TaskStatusChanged": _status_changed,
        "TaskMoved": _moved,
        "TaskSectionUpdated": _section_updated,
        "TaskUpdated": _updated,
        "TaskRenamed": _renamed,
        "TaskDeleted": _deleted,
    }
    types = frozenset(handlings)


def _new() -> dict[str, Any]:
    return {"status": "todo", "folder": None, "title": None, "parent": None, "sections": {}}
