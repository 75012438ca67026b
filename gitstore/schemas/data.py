"""The base of what events of a known type carry."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class EventData(msgspec.Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """The data of one type of event; a subclass a type, named like it.

    Attributes are snake_case, the JSON is the interface's camelCase. A subclass's docstring says
    in its first line what happened, and then what each field of the JSON is, with its unit.
    Fields that are not named pass: they are kept by the store, and left out here.
    """

    EXAMPLE: ClassVar[dict[str, Any]] = {}
    """Data that fits."""

    def to_data(self) -> dict[str, Any]:
        """The ``data`` of a ``DomainEvent``; what was not given is not in it."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made
