"""Filters: which events a reader wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gitstore.core.aliases import behind, is_named
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.names import category_of

Names = str | Iterable[str] | None
"""One name, several, or ``None`` for all."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A conjunction: each field that is not ``None`` must hold.

    ``types``, ``streams``, ``categories``, ``users``, ``correlations``: the value is one of them;
    a type may be named by one of ``core.aliases``.
    ``since`` inclusive and ``until`` exclusive bounds of the event's timestamp, aware datetimes.
    """

    types: frozenset[str] | None = None
    streams: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    users: frozenset[str] | None = None
    correlations: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(
        cls,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        users: Names = None,
        correlations: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> EventFilter:
        """The filter of a reader's arguments; ``ValueError`` for a bound without a time zone."""
        for bound in (since, until):
            if bound is not None and bound.utcoffset() is None:
                raise ValueError(f"{bound.isoformat()} has no time zone; give an aware datetime")
        return cls(
            _set_of(types),
            _set_of(streams),
            _set_of(categories),
            _set_of(users),
            _set_of(correlations),
            since,
            until,
        )

    @property
    def looked_up_types(self) -> frozenset[str] | None:
        """The types that what is wanted can have: more than ``types`` where those name an alias."""
        return None if self.types is None else behind(self.types)

    @property
    def types_decide(self) -> bool:
        """Whether the type of an event alone says if it is among ``types``."""
        return self.types is None or self.looked_up_types == self.types

    def matches(self, recorded: RecordedEvent) -> bool:
        """Whether this recorded event is wanted."""
        event = recorded.event
        return (
            (self.types is None or is_named(event, self.types))
            and _among(event.stream_id, self.streams)
            and (self.categories is None or category_of(event.stream_id) in self.categories)
            and _among(event.user_id, self.users)
            and _among(event.correlation_id, self.correlations)
            and self._in_time(event)
        )

    def _in_time(self, event: DomainEvent) -> bool:
        time = event.timestamp
        assert time is not None  # a recorded event has one
        return (self.since is None or time >= self.since) and (
            self.until is None or time < self.until
        )


def _set_of(names: Names) -> frozenset[str] | None:
    if names is None:
        return None
    wanted = frozenset((names,)) if isinstance(names, str) else frozenset(names)
    for name in wanted:
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is no name to filter by: give texts")
        name.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    return wanted


def _among(value: str | None, wanted: frozenset[str] | None) -> bool:
    return wanted is None or value in wanted
