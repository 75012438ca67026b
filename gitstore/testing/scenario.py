"""Given, when, then: tests of what records events, on any store.

>>> from gitstore import DomainEvent, open_store
>>> def finish(history):
...     if any(event.type == "TaskFinished" for event in history):
...         raise ValueError("it is finished")
...     return [DomainEvent("task-1", "TaskFinished", {"after": len(history)})]
>>> created = DomainEvent("task-1", "TaskOpened", {"title": "Ship"})
>>> finished = DomainEvent("task-1", "TaskFinished", {"after": 1})
>>> with open_store("memory:") as store:
...     task = Scenario(store).given(created)
...     _ = task.when_decided("task-1", finish).then(finished)
...     _ = task.when_refused(lambda store: finish(store.get_events("task-1")), ValueError).then()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Self

from gitstore.core import canonical
from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent

Act = Callable[[BaseEventStore], object]
"""A command, a service: whatever reads the store and appends to it."""


class Scenario:
    """A story on one store; each ``when`` begins a new chapter, which a ``then`` may look at.

    Every method gives the scenario back; one that does not hold raises ``AssertionError``.
    """

    def __init__(self, store: BaseEventStore) -> None:
        self._store = store
        self._before = store.last_position()

    def given(self, *events: DomainEvent) -> Self:
        """Record what happened before."""
        self._store.append_many(events)
        self._before = self._store.last_position()
        return self

    def when(self, act: Act) -> Self:
        """Call ``act`` with the store; what it raises passes through."""
        self._before = self._store.last_position()
        act(self._store)
        return self

    def when_decided(
        self,
        stream_id: str,
        decide: Callable[[Sequence[DomainEvent]], Iterable[DomainEvent]],
    ) -> Self:
        """Record what ``decide`` makes of the stream's events, which must stand as it saw them."""
        history = list(self._store.get_events(stream_id))
        before = {stream_id: history[-1].version or 0 if history else 0}
        return self.when(lambda store: store.append_many(decide(history), before))

    def when_refused(self, act: Act, error: type[Exception]) -> Self:
        """Call ``act`` with the store; it must raise ``error``. What it recorded, ``then`` sees."""
        try:
            self.when(act)
        except error:
            return self
        raise AssertionError(
            f"nothing was refused: {error.__name__} was expected{self._recorded()}"
        )

    def then(self, *events: DomainEvent) -> Self:
        """The last ``when`` recorded these events and no others, over all streams in this order.

        Stream, type and data must be the same; id, timestamp, version and each key of metadata
        where the expected event has it.
        """
        new = self._new()
        for number, (expected, recorded) in enumerate(zip(events, new, strict=False), 1):
            differs = _difference(expected, recorded)
            if differs:
                raise AssertionError(
                    f"event {number} has another {differs}:\n"
                    f"  expected  {_line(expected)}\n  recorded  {_line(recorded)}"
                    f"{self._recorded()}"
                )
        if len(new) != len(events):
            count = f"{len(events)} events were expected, {len(new)} recorded"
            missing = [f"\n  missing   {_line(event)}" for event in events[len(new) :]]
            raise AssertionError(count + "".join(missing) + self._recorded())
        return self

    def _new(self) -> list[DomainEvent]:
        return [recorded.event for recorded in self._store.read_all(self._before)]

    def _recorded(self) -> str:
        lines = [f"\n  {_line(event)}" for event in self._new()] or ["\n  nothing"]
        return "\nrecorded by the last when:" + "".join(lines)


def _difference(expected: DomainEvent, recorded: DomainEvent) -> str:
    """The name of the first part that is not as expected, empty where all are."""
    for name in ("stream_id", "type"):
        if getattr(expected, name) != getattr(recorded, name):
            return name
    if canonical.encode(expected.data) != canonical.encode(recorded.data):
        return "data"
    for key, value in expected.metadata.items():
        there = recorded.metadata
        if key not in there or canonical.encode(value) != canonical.encode(there[key]):
            return f"metadata[{key!r}]"
    for name in ("id", "timestamp", "version"):
        if getattr(expected, name) not in {None, getattr(recorded, name)}:
            return name
    return ""


def _line(event: DomainEvent) -> str:
    return event.to_json().decode()
