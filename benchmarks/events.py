"""Seeded histories as Scopecraft writes them: tasks that are created, written and moved.

The data of an event is 100 to 300 bytes of JSON. Every participant of a workload gets the same
history: the same seed, the same numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from gitstore import DomainEvent

SEED = 20251123
START = datetime(2025, 11, 1, 8, tzinfo=UTC)

_SENTENCE = (
    "the task section describes how a session resumes after its worktree moved so that reviewers"
    " can compare status history and find what changed why it changed and who asked for it"
)
_WORDS = _SENTENCE.split()
_STATES = ("backlog", "current", "archive")
_STATUSES = ("todo", "in_progress", "blocked", "reviewing", "done")
_SECTIONS = ("instruction", "tasks", "deliverable", "log")
# As often as in Scopecraft's real history: mostly sections, some statuses, few moves.
_TYPES = ("TaskSectionUpdated",) * 15 + ("TaskStatusChanged",) * 4 + ("TaskMoved",)

Picker = Callable[[int, random.Random], int]
"""From an event's number to the number of its stream."""


def over(streams: int) -> Picker:
    """All streams in turn: any run of events is spread evenly."""
    return lambda number, _: number % streams


def growing(per_stream: int, window: int = 500) -> Picker:
    """A new stream with every ``per_stream``-th event; the others go to the youngest streams."""

    def pick(number: int, rng: random.Random) -> int:
        newest, offset = divmod(number, per_stream)
        return newest if offset == 0 else newest - int(rng.random() * min(window, newest + 1))

    return pick


@dataclass(frozen=True, slots=True)
class Plan:
    """What a history looks like.

    - ``pick``: which stream an event belongs to.
    - ``step``: the time from one event to the next; ``START`` is the first one's.
    - ``types``: from an event's number to its type, or ``None`` for the usual mixture.
    """

    pick: Picker
    step: timedelta = timedelta(seconds=5)
    types: Callable[[int], str | None] = lambda _: None


def history(plan: Plan, seed: int = SEED, prefix: str = "task-") -> Iterator[DomainEvent]:
    """An endless history, every event with id, time and version."""
    rng = random.Random(seed)
    versions: dict[int, int] = {}
    correlation = ""
    for number in count():
        stream = plan.pick(number, rng)
        version = versions[stream] = versions.get(stream, 0) + 1
        time = START + plan.step * number
        if number % 5 == 0:  # one command of a user causes some events
            correlation = _uuid(time, rng)
        type_name = plan.types(number)
        if type_name is None:
            type_name = "TaskCreated" if version == 1 else _TYPES[int(rng.random() * len(_TYPES))]
        name = f"BENCH-{stream:05d}"
        yield DomainEvent(
            f"{prefix}{name}",
            type_name,
            _data(type_name, name, version, rng),
            {"userId": f"user-{stream % 7}", "correlationId": correlation},
            _uuid(time, rng),
            time,
            version,
        )


def sessions(events: Iterator[DomainEvent], every: int = 20) -> Iterator[DomainEvent]:
    """The same history, in which every ``every``-th event is followed by a step of a session.

    A session is queued, started, uses a tool and completes, for the task of the event before.
    """
    numbers = count()
    for number, event in enumerate(events):
        yield event
        if number % every == 0 and isinstance(event.data, dict):
            session, step = divmod(next(numbers), 4)
            name = f"BENCH-{session:06d}"
            type_name, more = _steps(str(event.data["taskId"]))[step]
            yield DomainEvent(
                f"session-{name}", type_name, {"sessionId": name, **more}, {}, None, event.timestamp
            )


def _steps(task: str) -> tuple[tuple[str, dict[str, object]], ...]:
    return (
        ("SessionQueued", {"taskId": task, "mode": "autonomous", "priority": "high"}),
        ("SessionStarted", {"environment": {"type": "docker"}, "pid": 4242}),
        ("SessionToolUsed", {"tool": "Edit", "input": {"file": "a.py"}, "duration": 120}),
        ("SessionCompleted", {"result": "success", "duration": 840_000, "toolsUsed": ["Edit"]}),
    )


def bare(event: DomainEvent) -> DomainEvent:
    """The event as an application writes it: id, time and version are the store's to give."""
    return replace(event, id=None, timestamp=None, version=None)


def take(events: Iterator[DomainEvent], number: int) -> list[DomainEvent]:
    """The next ``number`` events."""
    return [next(events) for _ in range(number)]


def _data(type_name: str, task: str, version: int, rng: random.Random) -> dict[str, object]:
    text = _text(rng)
    if type_name == "TaskCreated":
        return {"taskId": task, "title": text, "workflowState": "backlog", "area": "core"}
    if type_name == "TaskStatusChanged":
        old, new = _STATUSES[version % 5], _STATUSES[(version + 1) % 5]
        return {"taskId": task, "oldStatus": old, "newStatus": new, "reason": text}
    if type_name == "TaskMoved":
        old, new = _STATES[version % 3], _STATES[(version + 1) % 3]
        return {"taskId": task, "fromWorkflow": old, "toWorkflow": new, "reason": text}
    return {"taskId": task, "section": _SECTIONS[version % 4], "content": text}


def _text(rng: random.Random) -> str:
    at = int(rng.random() * len(_WORDS))
    words = 8 + int(rng.random() * 24)
    return " ".join((_WORDS * 3)[at : at + words])


def _uuid(time: datetime, rng: random.Random) -> str:
    """A UUIDv7, as the store makes them, of seeded numbers."""
    milliseconds = int(time.timestamp() * 1000)
    tail = rng.getrandbits(74)
    value = (milliseconds << 80) | (7 << 76) | ((tail >> 62) << 64) | (2 << 62)
    digits = f"{value | (tail & (2**62 - 1)):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
