"""What Scopecraft's own projections share: they read data with care, since histories are old.

An event whose data does not fit its type is no reason to stop: what can be read of it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from gitstore.core.canonical import JSON
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.timestamps import format_timestamp
from gitstore.projections.projection import Projection
from gitstore.schemas.eventtype import VERSION_KEY

Data = Mapping[str, Any]
Handling = Callable[[Any, Data, DomainEvent], None]
"""A method of a projection for one type: gets the data, an empty object where it is none."""


class Folding(Projection):
    """A projection with a handling for each type, and a state that is a JSON object."""

    handlings: ClassVar[Mapping[str, Handling]] = {}

    def __init__(self) -> None:
        self._state = self.initial()

    @staticmethod
    def initial() -> dict[str, Any]:
        """The state before the first event."""
        raise NotImplementedError

    def handle(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        handling = self.handlings.get(event.type)
        if handling is not None:
            handling(self, _data_of(event), event)

    def state(self) -> JSON:
        return self._state

    def restore(self, state: JSON) -> None:
        if not isinstance(state, dict) or state.keys() != self.initial().keys():
            raise ValueError(f"it is no state of {self.name}")
        self._state = state


def _data_of(event: DomainEvent) -> Data:
    """The event's data in today's form; ``UnsupportedFormat`` where a newer version wrote it."""
    data = event.data
    if VERSION_KEY in event.metadata:
        from gitstore.schemas.catalogue import SCHEMAS  # noqa: PLC0415 - rarely needed

        try:
            data = SCHEMAS.upcast(event)
        except InvalidEvent:
            data = event.data
    return data if isinstance(data, dict) else {}


def text(data: Data, key: str) -> str | None:
    """The text under ``key``; ``None`` where there is none."""
    value = data.get(key)
    return value if isinstance(value, str) else None


def texts(data: Data, key: str) -> list[str]:
    """The texts in the list under ``key``."""
    value = data.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def whole(data: Data, key: str) -> int:
    """The amount under ``key``, a whole number; 0 where there is none."""
    value = data.get(key)
    return value if type(value) is int and value > 0 else 0


def subject(data: Data, key: str, event: DomainEvent) -> str:
    """The id under ``key``; without one, the stream's name behind its category."""
    return text(data, key) or event.stream_id.partition("-")[2] or event.stream_id


def entry(
    entries: dict[str, dict[str, Any]], name: str, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The entry of this name, made where there is none."""
    found = entries.get(name)
    if found is None:
        found = entries[name] = make()
    return found


def moment(event: DomainEvent) -> str:
    """When the event happened, as text."""
    assert event.timestamp is not None  # a recorded event has one
    return format_timestamp(event.timestamp)
