"""The sessions that wait or run: ``ActiveSessions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitstore.core.event import DomainEvent
from gitstore.projections.handling import Data, Folding, Handling, moment, subject, text


class ActiveSessions(Folding):
    """Every session that is queued or running, by its stream; one that has ended is gone.

    ::

        {"sessions": {"session-abc": {"id": "session-abc", "sessionId": "abc", "status": "running",
                                      "taskId": "AUTH-001", "mode": "autonomous",
                                      "priority": "high", "queuedAt": "2026-11-23T08:00:00.000Z",
                                      "startedAt": "2026-11-23T08:00:05.000Z"}}}

    A session that starts without having been queued is active too: what its ``SessionQueued`` would
    have said is null.
    """

    name = "ActiveSessions"

    @staticmethod
    def initial() -> dict[str, Any]:
        return {"sessions": {}}

    def _queued(self, data: Data, event: DomainEvent) -> None:
        session = _new(data, event)
        for field in ("taskId", "mode", "priority"):
            session[field] = text(data, field)
        session["queuedAt"] = moment(event)
        self._state["sessions"][event.stream_id] = session

    def _started(self, data: Data, event: DomainEvent) -> None:
        sessions = self._state["sessions"]
        session = sessions.get(event.stream_id)
        if session is None:
            session = sessions[event.stream_id] = _new(data, event)
        session["status"] = "running"
        session["startedAt"] = moment(event)

    def _completed(self, data: Data, event: DomainEvent) -> None:
        del data
        self._state["sessions"].pop(event.stream_id, None)

    handlings: ClassVar[Mapping[str, Handling]] = {
        "SessionQueued": _queued,
        "SessionStarted": _started,
        "SessionCompleted": _completed,
    }
    types = frozenset(handlings)


def _new(data: Data, event: DomainEvent) -> dict[str, Any]:
    return {
        "id": event.stream_id,
        "sessionId": subject(data, "sessionId", event),
        "status": "queued",
        "taskId": None,
        "mode": None,
        "priority": None,
        "queuedAt": None,
        "startedAt": None,
    }
