"""Histories and projections for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from gitstore import BaseEventStore, DomainEvent, RecordedEvent, open_store
from gitstore.projections import ProjectionManager

T0 = datetime(2026, 11, 23, 8, tzinfo=UTC)


def event(stream: str, name: str, data: Any, minute: int = 0, **given: Any) -> DomainEvent:
    """An event so many minutes after ``T0``."""
    return DomainEvent(stream, name, data, timestamp=T0 + timedelta(minutes=minute), **given)


def fold(projection: Any, events: list[DomainEvent]) -> Any:
    """The state that events make of a projection."""
    with open_store("memory:", validate=False) as store:
        for recorded in store.append_many(events):
            projection.handle(recorded)
    return projection.state()


class Log:
    """Ids of all events, in the order in which they came: it shows what is twice or missing."""

    name: ClassVar[str] = "Log"
    version: ClassVar[int] = 1
    types: ClassVar[frozenset[str] | None] = None

    def __init__(self) -> None:
        self.seen: list[str] = []

    def handle(self, recorded: RecordedEvent) -> None:
        self.seen.append(recorded.event.id or "")

    def state(self) -> Any:
        return {"seen": self.seen}

    def restore(self, state: Any) -> None:
        self.seen = state["seen"]


class Fussy(Log):
    """Raises at events of the type ``Bad``, once it has spoilt its state."""

    name = "Fussy"

    def handle(self, recorded: RecordedEvent) -> None:
        super().handle(recorded)
        if recorded.event.type == "Bad":
            raise RuntimeError("cannot do that")


def note(store: BaseEventStore, *ids: str, kind: str = "Noted") -> None:
    """Append events with these ids."""
    store.append_many(DomainEvent(f"note-{n[0]}", kind, {"n": n}, id=n) for n in ids)


def all_ids(store: BaseEventStore) -> list[str]:
    """What a projection of everything must have seen."""
    return [recorded.event.id or "" for recorded in store.read_all()]


def followed(manager: ProjectionManager, positions: Iterator[int], until: int) -> int:
    """Go on with ``manager.follow`` until it has reached a position."""
    return next(position for position in positions if position >= until)
