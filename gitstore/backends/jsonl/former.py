"""Layouts that ``export --layout`` of a former version made: what their ``state.json`` says.

They held the positions of the store they came from, and its id. Opened as a store, such a layout
gets an id and positions of its own, in the same order. One that was made with filters holds a part
of that history.
"""

from __future__ import annotations

import uuid

import orjson

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import STATE
from gitstore.backends.jsonl.state import LiveState, Source
from gitstore.core.errors import StoreUnavailable

_LAYOUT = 1


def former_state(indexes: Folder) -> LiveState | None:
    """The state of a layout of the former version as a store; ``None``: it is no such layout.

    ``StoreUnavailable`` for one that was being put in the place of another, and is half of each.
    """
    try:
        given = orjson.loads(indexes.read(STATE) or b"null")
        if given["layout"] != _LAYOUT:
            return None
        state = LiveState(str(uuid.uuid4()), dict(given["filter"]), Source(str(given["storeId"])))
    except (ValueError, KeyError, TypeError):
        return None
    if given.get("replacing") is True:
        raise StoreUnavailable(
            f"{indexes.path}: a former version was killed while it made this layout anew",
            hint="Nothing is lost: remove this layout, and export it again.",
        )
    return state
