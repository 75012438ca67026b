"""Opening a layout: whether there is one, making one, and its parts ready for use."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitstore.backends.disk.files import DIRECTORY_MODE, holds_wal, sync_directory
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl.filing import Filing
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.former import former_state
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.journal import JOURNAL, Journal
from gitstore.backends.jsonl.layout import BY_STREAM, INDEX, INDEXES, STATE, is_day
from gitstore.backends.jsonl.parts import LOCK, Parts
from gitstore.backends.jsonl.preparing import prepare, state_of
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.tail import Tail
from gitstore.backends.jsonl.watching import Watch
from gitstore.backends.stamping import Stamper
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreNotFound, StoreUnavailable

_LEFT_BY_A_CRASH = frozenset({LOCK, f".{STATE}.new"})


def open_parts(
    where: Path, stamper: Stamper, part: Mapping[str, JSON] | None, *, create: bool
) -> Parts:
    """The parts of the layout at ``where``, everything recorded in its place.

    ``StoreNotFound`` where there is none and none is to be made; ``StoreUnavailable`` for a
    directory with something else in it, or a layout of another part.
    """
    root = _root_at(where, create=create)
    try:
        indexes = root.made(INDEXES)
    except BaseException:
        root.close()
        raise
    lock = FileLock(where / INDEXES / LOCK)
    try:
        indexes.size(LOCK)  # the lock itself would follow a link
        with lock.held():
            return _prepared(where, root, indexes, lock, stamper, part)
    except BaseException:
        lock.close()
        indexes.close()
        root.close()
        raise


def _prepared(
    where: Path,
    root: Folder,
    indexes: Folder,
    lock: FileLock,
    stamper: Stamper,
    part: Mapping[str, JSON] | None,
) -> Parts:
    indexes.size(INDEX)  # SQLite would follow a link
    index = Index(where / INDEXES / INDEX, wal=holds_wal(where))
    state = state_of(where, root, indexes, index)
    held = state or former_state(indexes)
    if held is not None and part is not None and part != held.part:
        raise StoreUnavailable(
            f"the layout {where} was made with other filters",
            hint="Name a directory of its own for this export; nothing was changed in that one.",
        )
    parts = Parts(
        where,
        root,
        indexes,
        lock,
        Journal(indexes),
        Filing(root),
        index,
        Tail(),
        held or LiveState(str(uuid.uuid4()), dict(part or {})),
        stamper,
        Watch(where),
    )
    try:
        prepare(parts, state)
    except BaseException:
        parts.journal.close()
        parts.filing.close()
        parts.index.file.close()
        raise
    return parts


def _root_at(where: Path, *, create: bool) -> Folder:
    if not where.exists():
        if not create:
            raise StoreNotFound(where)
        where.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            where.mkdir(mode=DIRECTORY_MODE)
        sync_directory(where.parent)
    if not where.is_dir():
        raise StoreUnavailable(
            f"{where} is a file, and no directory of JSON lines",
            hint="Name a directory; `sc-events import` takes in a file of JSON lines.",
        )
    root = Folder.at(where)
    try:
        _check_contents(root, create=create)
    except BaseException:
        root.close()
        raise
    return root


def _are_indexes(root: Folder, names: list[str]) -> bool:
    """Whether the folder of indexes is a store's, be it one whose making was cut short."""
    with root.folder(INDEXES) as indexes:
        inside = set(indexes.names())
    is_begun = names == [INDEXES] and inside <= _LEFT_BY_A_CRASH
    return is_begun or not inside.isdisjoint((STATE, JOURNAL, INDEX, BY_STREAM))


def _check_contents(root: Folder, *, create: bool) -> None:
    names = root.names()
    if any(map(is_day, names)) or (create and not names):
        return
    if INDEXES in names and _are_indexes(root, names):
        return
    if not create:
        raise StoreNotFound(root.path)
    raise StoreUnavailable(
        f"{root.path} holds something that is no event store",
        hint="Name another directory; what is in that one can be imported with `sc-events import`.",
    )
