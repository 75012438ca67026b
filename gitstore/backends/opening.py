"""``open_store``: from a place to a store."""

from __future__ import annotations

import os
from typing import Literal

from gitstore.backends.addresses import Address, parse_address
from gitstore.core.base import BaseEventStore
from gitstore.schemas.checking import check_event

FlushMode = Literal["background", "append"]
"""When events move into git: soon, off the caller's path; or before ``append`` returns."""


def open_store(
    where: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    flush: FlushMode = "background",
    validate: bool = True,
) -> BaseEventStore:
    """Open the event store at ``where``, a context manager.

    - ``where``: ``git:PATH``, ``jsonl:DIR`` (JSON lines by day and stream), ``sqlite:FILE`` (one
      SQLite file), ``memory:`` (gone with the object); each but the last without a path is
      its default place in ``~/.scopecraft``. A plain path names what is there, and a git store
      where nothing is yet; ``None`` is ``~/.scopecraft/events.git``. A leading ``~`` is the home
      directory.
    - ``create``: make a store that is not there; else ``StoreNotFound``.
    - ``flush``, of a git store: ``"background"``: an appended event is durable at once and in git
      within 250 ms when idle, at the latest at close; ``"append"``: in git before append returns
      (``FlushFailed`` where that cannot be had: the event is durable all the same).
    - ``validate``: hold the data of Scopecraft's own event types against their schemas when it is
      appended (``InvalidEvent`` with the ``path`` of the field). Other types, and fields that a
      schema does not name, pass.

    Raises ``ValueError`` for what names no place, ``StoreNotFound``, ``UnsupportedFormat``,
    ``StoreCorrupted`` or ``StoreUnavailable``.
    """
    if flush not in ("background", "append"):
        raise ValueError(f"flush must be 'background' or 'append', not {flush!r}")
    store = _opened(parse_address(where), flush, create=create)
    if validate:
        store.data_check = check_event
    return store


def _opened(address: Address, flush: FlushMode, *, create: bool) -> BaseEventStore:
    if address.kind == "memory":
        from gitstore.backends.memory import MemoryEventStore

        return MemoryEventStore()
    if address.kind == "sqlite":
        from gitstore.backends.sqlite.store import SqliteEventStore

        return SqliteEventStore.open(address.path, create=create)
    if address.kind == "jsonl":
        from gitstore.backends.jsonl.reading_only import ReadOnlyJsonlStore, is_read_only
        from gitstore.backends.jsonl.store import JsonlEventStore

        if is_read_only(address.path):
            return ReadOnlyJsonlStore.at(address.path)
        return JsonlEventStore.open(address.path, create=create)
    from gitstore.backends.git.store import GitEventStore

    return GitEventStore.open(address.path, create=create, flush=flush)
