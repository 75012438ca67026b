"""Layouts that ``export --layout`` of a former version made: what their ``state.json`` says.

They held the positions of the store they came from, and its id. Opened as a store, such a layout
gets an id and positions of its own, in the same order. One that was made with filters holds a part
of that history.
"""

from __future__ import annotations

import orjson

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import STATE
from gitstore.core.canonical import JSON

_LAYOUT = 1


def former_part(indexes: Folder) -> dict[str, JSON] | None:
    """The filters a layout of the former version was made with; ``None``: it is no such layout."""
    try:
        given = orjson.loads(indexes.read(STATE) or b"null")
        return dict(given["filter"]) if given["layout"] == _LAYOUT else None
    except (ValueError, KeyError, TypeError):
        return None
