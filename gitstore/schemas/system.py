"""What happens to Scopecraft itself: events of any stream, such as ``system-<machine>``."""

from __future__ import annotations

from typing import Any, ClassVar

from gitstore.schemas.data import EventData


class SystemError(EventData, frozen=True):
    """Something failed that belongs to no task or session alone.

    - ``message``: what failed, in a sentence.
    - ``component``: the part of Scopecraft in which it failed.
    - ``code``: a short name of the error, for programs.
    - ``details``: what else is known, as an object.
    """

    message: str
    component: str | None = None
    code: str | None = None
    details: dict[str, Any] | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "message": "The session's container did not start",
        "component": "session-manager",
        "code": "docker_unreachable",
    }


class ConfigurationChanged(EventData, frozen=True):
    """A setting was changed.

    - ``key``: its name, with dots between its parts.
    - ``newValue``: its value now, any JSON; null where it was taken away.
    - ``oldValue``: its value before, any JSON.
    - ``scope``: whose setting it is, such as user or project.
    """

    key: str
    new_value: Any
    old_value: Any = None
    scope: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "key": "sessions.maxAutonomous",
        "oldValue": 3,
        "newValue": 5,
        "scope": "project",
    }
