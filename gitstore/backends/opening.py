"""``open_store``: from a place to a store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from gitstore.core.base import BaseEventStore

DEFAULT_STORE = "~/.scopecraft/events.git"
"""Where a store is when nobody says where."""

FlushMode = Literal["background", "append"]
"""When events move into git: soon, off the caller's path; or before ``append`` returns."""


def open_store(
    where: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    flush: FlushMode = "background",
) -> BaseEventStore:
    """Open the event store at ``where``, a context manager.

    - ``where``: a path or ``git:PATH`` of a git store, ``memory:`` for one that is gone with the
      object, ``None`` for ``~/.scopecraft/events.git``; a leading ``~`` is the home directory.
    - ``create``: make a git store that is not there; else ``StoreNotFound``.
    - ``flush``: ``"background"``: an appended event is durable at once and in git within 250 ms
      when idle, at the latest at close; ``"append"``: in git before append returns
      (``FlushFailed`` where that cannot be had: the event is durable all the same).

    Raises ``ValueError`` for what names no place, ``StoreNotFound``, ``UnsupportedFormat``,
    ``StoreCorrupted`` or ``StoreUnavailable``.
    """
    if flush not in ("background", "append"):
        raise ValueError(f"flush must be 'background' or 'append', not {flush!r}")
    if where == "memory:":
        from gitstore.backends.memory import MemoryEventStore

        return MemoryEventStore()
    from gitstore.backends.git.store import GitEventStore

    return GitEventStore.open(_git_path(where), create=create, flush=flush)


def _git_path(where: str | os.PathLike[str] | None) -> Path:
    text = DEFAULT_STORE if where is None else os.fspath(where)
    kind = re.match(r"([a-z]+):", text)
    if not text.removeprefix("git:") or (kind and kind[1] != "git"):
        raise ValueError(f"{text!r} names no store: give a path, git:PATH or memory:")
    return Path(text.removeprefix("git:")).expanduser().absolute()
