"""Whose layout it is: its ``state.json``, read with care and replaced whole.

::

    {"layout":2,"part":{},"replacing":false,"source":null,"storeId":"…"}

``storeId``: random, of this layout; positions mean something only together with it. ``part``: which
part of a history it holds, as any JSON object that is not empty; then versions may have gaps.
``source``: what an export notes of the store it exports, or null. ``replacing``: the layout in
``indexes/.anew``, which has this id, is being put in the place of the one that was here.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import LAYOUT, STATE
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreCorrupted, UnsupportedFormat


@dataclass(frozen=True, slots=True)
class Source:
    """The store that a layout was exported from, and how far both were found to say the same.

    - ``epoch``, ``position``: of that store; what it has up to there was held against this one.
    - ``last``: the position there of the last event that both have, ``through`` its position here.
      0: nothing was held against it since this layout has its positions.
    """

    store_id: str
    epoch: int = 0
    position: int = 0
    last: int = 0
    through: int = 0

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """What ``to_dict`` gave; ``KeyError`` and ``ValueError`` for anything else."""
        numbers = (int(given[name]) for name in ("epoch", "position", "last", "through"))
        return cls(str(given["storeId"]), *numbers)

    def to_dict(self) -> dict[str, JSON]:
        """As ``state.json`` has it."""
        return {
            "storeId": self.store_id,
            "epoch": self.epoch,
            "position": self.position,
            "last": self.last,
            "through": self.through,
        }


@dataclass(frozen=True, slots=True)
class LiveState:
    """What ``state.json`` holds; see the module."""

    store_id: str
    part: dict[str, JSON] = field(default_factory=dict)
    source: Source | None = None
    replacing: bool = False

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
            None if source is None else Source.of(source),
            given.get("replacing") is True,
        )

    def renumbered(self) -> LiveState:
        """With another id, for positions given anew; what was proved of the old ones is void."""
        source = None if self.source is None else Source(self.source.store_id)
        return replace(self, store_id=str(uuid.uuid4()), source=source)

    def save(self, indexes: Folder) -> None:
        """Write it, durable."""
        given = {
            "layout": LAYOUT,
            "storeId": self.store_id,
            "part": self.part,
            "source": self.source and self.source.to_dict(),
            "replacing": self.replacing,
        }
        indexes.replace(STATE, canonical.encode(given) + b"\n")
