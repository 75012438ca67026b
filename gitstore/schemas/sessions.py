"""What happens in sessions of AI work: events of the streams ``session-<sessionId>``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from gitstore.schemas.data import EventData
from gitstore.schemas.values import Priority, Result

Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0)]
Dollars = Annotated[float, Meta(ge=0)]


class SessionQueued(EventData, frozen=True):
    """A session waits for its turn; how a retry begins, too.

    - ``sessionId``: the session.
    - ``taskId``: the task it works on.
    - ``mode``: how it runs, an open word: autonomous, dispatch, interactive, planning …
    - ``priority``: its lane; ``highest`` waits in the lane of ``high``.
    - ``retryAttempt``: which retry this is, from 1; none for the first try.
    """

    session_id: str
    task_id: str
    mode: str
    priority: Priority
    retry_attempt: Count | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "sessionId": "docker-AUTH-001-1748793600000",
        "taskId": "AUTH-001",
        "mode": "autonomous",
        "priority": "high",
    }


class SessionStarted(EventData, frozen=True):
    """A session runs; one that was never queued may start, too.

    - ``sessionId``: the session.
    - ``environment``: where it runs, as an object: type, path, branch, image …
    - ``pid``: the id of its process on that machine.
    """

    session_id: str
    environment: dict[str, Any]
    pid: Count | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "sessionId": "docker-AUTH-001-1748793600000",
        "environment": {"type": "docker", "image": "my-claude:authenticated"},
        "pid": 4242,
    }


class SessionToolUsed(EventData, frozen=True):
    """A session called a tool, and the tool has answered.

    - ``sessionId``: the session.
    - ``tool``: the tool's name.
    - ``input``: what it was given, any JSON.
    - ``output``: what it answered, any JSON.
    - ``duration``: how long it took, in milliseconds.
    """

    session_id: str
    tool: str
    input: Any
    duration: Milliseconds
    output: Any = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "sessionId": "docker-AUTH-001-1748793600000",
        "tool": "Edit",
        "input": {"file": "src/auth.ts"},
        "duration": 120,
    }


class SessionCompleted(EventData, frozen=True):
    """A session has ended; ``SessionFailed`` is a name for those with the result ``failure``.

    - ``sessionId``: the session.
    - ``result``: how it ended.
    - ``duration``: how long it ran, in milliseconds.
    - ``toolsUsed``: the names of the tools it called, each once.
    - ``tokensUsed``: the tokens it took, in and out.
    - ``cost``: what it cost, in US dollars.
    - ``taskId``: the task it worked on; readers who miss it take that of its ``SessionQueued``.
    """

    session_id: str
    result: Result
    duration: Milliseconds
    tools_used: list[str]
    tokens_used: Count | None = None
    cost: Dollars | None = None
    task_id: str | None = None

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "sessionId": "docker-AUTH-001-1748793600000",
        "result": "success",
        "duration": 840000,
        "toolsUsed": ["Edit", "Bash"],
        "tokensUsed": 51200,
        "cost": 0.42,
        "taskId": "AUTH-001",
    }
