"""What a projection is: a state that events make, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol, runtime_checkable

from gitstore.core.aliases import is_named
from gitstore.core.canonical import JSON
from gitstore.core.event import DomainEvent, RecordedEvent

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}").fullmatch


@runtime_checkable
class Projection(Protocol):
    """A fold over events. The same events in the same order always give the same state.

    - ``name``: 1 to 64 ASCII letters, digits, ``_`` and ``-``, the first one a letter.
    - ``version``: of its code, from 1; to be raised whenever the same events would give another
      state, or the state another form. A saved state of another version is made anew.
    - ``types``: the types of events it is handed, or ``None`` for all.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    types: ClassVar[frozenset[str] | None] = None

    def handle(self, recorded: RecordedEvent) -> None:
        """Take in one event; events come by position, each once.

        What it raises stops this projection before the event, and no other; see
        ``ProjectionManager``. Events are shared: their data must not be changed.
        """
        ...

    def state(self) -> JSON:
        """What the events so far have made: JSON. May be the projection's own object."""
        ...

    def restore(self, state: JSON) -> None:
        """Go on from what ``state`` gave, in this version; the projection may keep the object."""
        ...


def types_of(projection: Projection) -> frozenset[str] | None:
    """The types that a projection names; ``None``, or no such attribute: all."""
    types: Iterable[str] | None = getattr(projection, "types", None)
    return None if types is None else frozenset(types)


def wants(types: frozenset[str] | None, event: DomainEvent) -> bool:
    """Whether the event is of one of these types, by an alias too."""
    return types is None or event.type in types or is_named(event, types)


Factory = Callable[[], Projection]
"""Makes a projection without any events yet: usually its class."""


def checked(factory: Factory) -> Projection:
    """A new projection; ``ValueError`` where its name, version or types are none."""
    made = factory()
    name, version = getattr(made, "name", None), getattr(made, "version", None)
    if not (isinstance(name, str) and _NAME(name)):
        raise ValueError(f"{name!r} is no name of a projection: up to 64 letters, digits, _ and -")
    if type(version) is not int or version < 1:
        raise ValueError(f"projection {name}: its version {version!r} is no whole number from 1")
    if isinstance(getattr(made, "types", None), str):
        raise ValueError(f"projection {name}: its types are one text, and must be a set of names")
    return made
