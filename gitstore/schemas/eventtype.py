"""One type of event: the form of its data, its version, and how older data is brought up to it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from gitstore.core.canonical import JSON
from gitstore.core.errors import InvalidEvent, UnsupportedFormat
from gitstore.core.event import DomainEvent
from gitstore.schemas.data import EventData

VERSION_KEY = "schemaVersion"
"""The key of an event's metadata that says in which version of its type its data is; 1 without."""

Upcaster = Callable[[Any], JSON]
"""From data in one version of a type to data in the next; must not change what it is given."""

_FIELD = re.compile(r"^- ``(\w+)``: (.*?)(?=^- ``|^$|\Z)", re.MULTILINE | re.DOTALL)
_PROBLEM = re.compile(r"(.*?)(?: - at `\$([^`]*)`)?", re.DOTALL)
_MOST_QUOTED = 200
_NOT_AMONG = "Invalid enum value "
_SNAKE = re.compile(r"([A-Z])")
_MISSING = re.compile(r"Object missing required field `(.*)`")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event's data: its JSON ``name``, whether it must be there, and what it is."""

    name: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event that is known.

    - ``data``: the form of its data in this version; its name is the type's.
    - ``version``: of the form, from 1; an event says its own in ``metadata.schemaVersion``.
    - ``upcasters``: for each older version, from its data to that of the next one.
    """

    data: type[EventData]
    version: int = 1
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if set(self.upcasters) != set(range(1, self.version)):
            raise ValueError(
                f"{self.name} is at version {self.version}: it needs an upcaster from each of the "
                f"versions before, and has {sorted(self.upcasters)}"
            )

    @property
    def name(self) -> str:
        """The type, as events name it."""
        return self.data.__name__

    @property
    def summary(self) -> str:
        """What happened, in a sentence."""
        return _doc(self.data).partition("\n")[0]

    @property
    def example(self) -> dict[str, Any]:
        """Data that fits."""
        return dict(self.data.EXAMPLE)

    def fields(self) -> list[Field]:
        """The fields of the data, in order."""
        described = {name: " ".join(text.split()) for name, text in _FIELD.findall(_doc(self.data))}
        return [
            Field(one.encode_name, one.required, described.get(one.encode_name, ""))
            for one in msgspec.structs.fields(self.data)
        ]

    def json_schema(self) -> dict[str, Any]:
        """The form of the data as JSON Schema 2020-12; fields that it does not name pass."""
        _, components = msgspec.json.schema_components([self.data])
        schema = components[self.name]
        schema["description"] = self.summary
        for one in self.fields():
            schema["properties"][one.name]["description"] = one.description
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:scopecraft:events:{self.name}:{self.version}",
            **schema,
            "examples": [self.example],
        }

    def is_newer(self, event: DomainEvent) -> bool:
        """Whether a newer version of the type than this one wrote the event."""
        given = event.metadata.get(VERSION_KEY)
        return type(given) is int and given > self.version

    def check(self, event: DomainEvent) -> None:
        """``InvalidEvent`` as ``read`` raises it; data of a newer version passes."""
        if VERSION_KEY in event.metadata or self.version > 1:
            if not self.is_newer(event):
                self.read(event)
            return
        try:
            msgspec.convert(event.data, self.data)
        except msgspec.ValidationError as error:
            raise self._misfit(str(error)) from None

    def upcast(self, event: DomainEvent) -> JSON:
        """The event's data in this version; the same object where it is in it already.

        ``UnsupportedFormat`` where a newer version wrote it, ``InvalidEvent`` where it names no
        version, or an upcaster cannot read it.
        """
        given = event.metadata.get(VERSION_KEY, 1)
        if type(given) is not int or given < 1:
            path = f"metadata.{VERSION_KEY}"
            raise _invalid(self.name, f"{path} is no whole number from 1", path)
        if given > self.version:
            raise UnsupportedFormat(
                f"{self.name}: its data is in version {given}, and this program knows up to "
                f"{self.version}"
            )
        data = event.data
        for version in range(given, self.version):
            try:
                data = self.upcasters[version](data)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _invalid(
                    self.name, f"data of version {version} cannot be brought up: {error!r}"
                ) from error
        return data

    def read(self, event: DomainEvent) -> EventData:
        """The event's data; ``InvalidEvent`` with the path of the field that does not fit.

        ``UnsupportedFormat`` as in ``upcast``.
        """
        try:
            return msgspec.convert(self.upcast(event), self.data)
        except msgspec.ValidationError as error:
            raise self._misfit(str(error)) from None

    def _misfit(self, problem: str) -> InvalidEvent:
        """What msgspec says, in our words: ``Expected `int`, got `str` - at `$.pid` ``."""
        match = _PROBLEM.fullmatch(problem)
        assert match is not None  # it matches any text
        said, path = match[1], f"data{match[2] or ''}"
        missing = _MISSING.fullmatch(said)
        if missing:
            return _invalid(self.name, f"{path}.{missing[1]} is missing", f"{path}.{missing[1]}")
        if said.startswith(_NOT_AMONG):
            values = ", ".join(self._values(path.rpartition(".")[2]))
            given = said.removeprefix(_NOT_AMONG)
            shown = given if len(given) <= _MOST_QUOTED else f"{given[:_MOST_QUOTED]}…"
            said = f"{shown} is none of {values}"
        why = f"{path}: {said[:1].lower()}{said[1:].replace('`', '')}"
        return _invalid(self.name, why, path)

    def _values(self, name: str) -> list[str]:
        """The values that a field may have, in the order of its declaration."""
        hint = get_type_hints(self.data)[_SNAKE.sub(r"_\1", name).lower()]
        forms = (hint, *get_args(hint))
        return [value for form in forms if get_origin(form) is Literal for value in get_args(form)]


def _invalid(name: str, why: str, path: str | None = None) -> InvalidEvent:
    return InvalidEvent(
        f"{name}: {why}",
        hint=f"`sc-events schema {name}` shows what it carries; nothing was recorded.",
        path=path,
    )


def _doc(data: type[EventData]) -> str:
    return inspect.getdoc(data) or ""
