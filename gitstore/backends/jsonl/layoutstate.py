"""How far a layout goes: its ``state.json``, read with care and replaced whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import LAYOUT, STATE
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreUnavailable, UnsupportedFormat

_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class Writing:
    """A batch that is being written.

    ``position``: of its last event; ``sizes``: the bytes each of its files had before.
    """

    position: int
    sizes: dict[str, int]


@dataclass(frozen=True, slots=True)
class LayoutState:
    """What ``state.json`` holds.

    - ``store_id``: the store whose positions these are; ``selection``: which of its events.
    - ``position``: everything up to here is written and durable.
    - ``epoch``: of the store when what is written was read; see ``Checkpoint``.
    - ``replacing``: a layout made anew is being put in the place of this one.
    - ``writing``: the batch after that, which may be written in part; ``None``: there is none.
    """

    store_id: str
    selection: dict[str, JSON] = field(default_factory=dict)
    position: int = 0
    writing: Writing | None = None
    epoch: int = 0
    replacing: bool = False

    @classmethod
    def load(cls, indexes: Folder) -> Self | None:
        """The state of the layout with this folder of indexes; ``None`` where it has none."""
        text = indexes.read(STATE)
        if text is None:
            return None
        try:
            return cls._of(orjson.loads(text))
        except (ValueError, KeyError, TypeError):
            raise StoreUnavailable(
                f"{indexes.path}/{STATE} is damaged",
                hint="Nothing is lost: remove this layout, or name another directory.",
            ) from None

    @classmethod
    def _of(cls, given: dict[str, Any]) -> Self:
        if given["layout"] == LAYOUT:
            raise StoreUnavailable(
                "this layout has been opened as a store, and is one of its own now",
                hint="Go on with `sc-events copy FROM jsonl:DIR`, or name another directory.",
            )
        if given["layout"] != _LAYOUT:
            raise UnsupportedFormat(f"this layout has the form {given['layout']!r}")
        writing = given["writing"]
        return cls(
            str(given["storeId"]),
            dict(given["filter"]),
            int(given["position"]),
            None if writing is None else Writing(int(writing["position"]), dict(writing["sizes"])),
            int(given.get("epoch", 0)),
            given.get("replacing") is True,
        )

    def save(self, indexes: Folder) -> None:
        """Write it, durable."""
        writing = self.writing and {
            "position": self.writing.position,
            "sizes": self.writing.sizes,
        }
        given = {
            "layout": _LAYOUT,
            "storeId": self.store_id,
            "filter": self.selection,
            "position": self.position,
            "writing": writing,
            "epoch": self.epoch,
            "replacing": self.replacing,
        }
        indexes.replace(STATE, canonical.encode(given) + b"\n")

    def begun(self, writing: Writing) -> LayoutState:
        """With a batch that is being written."""
        return replace(self, writing=writing)

    def done(self, position: int) -> LayoutState:
        """With everything up to ``position`` written."""
        return replace(self, position=position, writing=None)
