"""Names that stand for events of another type whose data has a certain value.

Wherever readers name types, they may name these; events are recorded under their own type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gitstore.core.event import DomainEvent


class Alias(NamedTuple):
    """Events of ``type`` whose data is an object with this ``value`` (a text) under ``key``."""

    type: str
    key: str
    value: str

    def covers(self, event: DomainEvent) -> bool:
        """Whether the event is one of them."""
        data = event.data
        return (
            event.type == self.type
            and isinstance(data, Mapping)
            and data.get(self.key) == self.value
        )


ALIASES: Mapping[str, Alias] = {"SessionFailed": Alias("SessionCompleted", "result", "failure")}
"""From a name to what it stands for. An event recorded under the name itself is one of them too."""


def behind(names: Iterable[str]) -> frozenset[str]:
    """The names, and the types behind those that are aliases: where to look."""
    named = frozenset(names)
    return named.union(alias.type for name, alias in ALIASES.items() if name in named)


def is_named(event: DomainEvent, names: frozenset[str]) -> bool:
    """Whether one of the names is the event's type, or an alias of what it is."""
    return event.type in names or any(
        name in names and alias.covers(event) for name, alias in ALIASES.items()
    )
