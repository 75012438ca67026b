"""Whose layout it is: its ``state.json``, read with care and replaced whole.

::

    {"layout":2,"part":{},"source":null,"storeId":"…"}

``storeId``: random, of this layout; positions mean something only together with it. ``part``: which
part of a history it holds, as any JSON object that is not empty; then versions may have gaps.
``source``: what a copy notes of the store it copies, or null.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import LAYOUT, STATE
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreCorrupted, UnsupportedFormat


@dataclass(frozen=True, slots=True)
class LiveState:
    """What ``state.json`` holds; see the module."""

    store_id: str
    part: dict[str, JSON] = field(default_factory=dict)
    source: dict[str, JSON] | None = None

    @classmethod
    def load(cls, indexes: Folder) -> Self | None:
        """The state of the layout with this folder of indexes.

        ``None`` where it has none, or one of a former version: positions and id of that were not
        its own. ``StoreCorrupted`` for a damaged one, ``UnsupportedFormat`` for a newer one.
        """
        text = indexes.read(STATE)
        if text is None:
            return None
        try:
            return cls._of(orjson.loads(text), indexes.path)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreCorrupted(
                f"{indexes.path}/{STATE} is damaged",
                hint="Remove this one file: it is made anew, with an id of its own, at the next "
                "opening.",
            ) from error

    @classmethod
    def _of(cls, given: dict[str, Any], where: str) -> Self | None:
        version = given["layout"]
        if version == 1:
            return None
        if version != LAYOUT:
            raise UnsupportedFormat(f"{where}/{STATE}: the layout has the form {version!r}")
        source = given.get("source")
        return cls(
            str(uuid.UUID(given["storeId"])),
            dict(given["part"]),
            None if source is None else dict(source),
        )

    def save(self, indexes: Folder) -> None:
        """Write it, durable."""
        given = {
            "layout": LAYOUT,
            "storeId": self.store_id,
            "part": self.part,
            "source": self.source,
        }
        indexes.replace(STATE, canonical.encode(given) + b"\n")
