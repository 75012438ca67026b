"""Where saved states are kept: each replaced as a whole, durably."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

from gitstore.backends.disk.files import (
    disk_errors_told,
    is_writable,
    make_directory,
    sync_directory,
    write_new,
)
from gitstore.backends.disk.locks import FileLock
from gitstore.core.base import BaseEventStore

FOLDER = "projections"
_LOCK = ".lock"
_SUFFIX = ".json"


class States(Protocol):
    """Where saved states are kept, by a key: the name of a projection, or one beside it."""

    def read(self, key: str) -> bytes | None:
        """What is kept under the key."""
        ...

    def write(self, key: str, content: bytes) -> None:
        """Keep this in its place; durable, and whole at any time."""
        ...

    def remove(self, key: str) -> None:
        """Keep nothing there."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """A context in which no other process writes."""
        ...


class FolderStates:
    """States as files of a folder, which is made when the first one is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> bytes | None:
        with disk_errors_told(self._folder), suppress(FileNotFoundError, NotADirectoryError):
            return self._path(key).read_bytes()
        return None

    def write(self, key: str, content: bytes) -> None:
        with disk_errors_told(self._folder):
            aside = self._folder / f".{key}.new"
            aside.unlink(missing_ok=True)  # of one that was killed
            write_new(aside, content)
            os.replace(aside, self._path(key))  # noqa: PTH105 - both are open to see
            sync_directory(self._folder)

    def remove(self, key: str) -> None:
        with disk_errors_told(self._folder):
            self._path(key).unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        with disk_errors_told(self._folder):
            make_directory(self._folder)
        lock = FileLock(self._folder / _LOCK)
        try:
            with lock.held():
                yield
        finally:
            lock.close()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"


class MemoryStates:
    """States that are gone with the object, for stores that have no place for them.

    ``saved``: those that are there and cannot be written to, which are where one begins.
    """

    def __init__(self, saved: States | None = None) -> None:
        self._saved = saved
        self._kept: dict[str, bytes | None] = {}

    def read(self, key: str) -> bytes | None:
        if key not in self._kept and self._saved is not None:
            return self._saved.read(key)
        return self._kept.get(key)

    def write(self, key: str, content: bytes) -> None:
        self._kept[key] = content

    def remove(self, key: str) -> None:
        self._kept[key] = None

    def held(self) -> nullcontext[None]:
        return nullcontext()


def states_of(store: BaseEventStore) -> States:
    """Where the states of a store's projections are kept.

    ``MemoryStates`` where the store has no place, or one that cannot be written to.
    """
    folder = store.directory_for(FOLDER)
    if folder is None:
        return MemoryStates()
    kept = FolderStates(folder)
    return kept if is_writable(folder if folder.exists() else folder.parent) else MemoryStates(kept)
