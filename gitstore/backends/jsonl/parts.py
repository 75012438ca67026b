"""What one open layout is made of, handed as a whole to those who work on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.disk.files import file_identity
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl.filing import Filing
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.journal import Journal
from gitstore.backends.jsonl.layout import INDEXES
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.tail import Tail
from gitstore.backends.jsonl.watching import Watch
from gitstore.backends.stamping import Stamper

LOCK = ".lock"


@dataclass(slots=True)
class Parts:
    """``state`` is replaced when the layout gets another store id.

    ``surroundings``: what ``look_around`` said when all was found in its place.
    ``journal``, ``filing``, ``tail`` and ``state`` are used under ``lock``, and so is whatever
    writes to ``index``.
    """

    where: Path
    root: Folder
    indexes: Folder
    lock: FileLock
    journal: Journal
    filing: Filing
    index: Index
    tail: Tail
    state: LiveState
    stamper: Stamper
    watch: Watch
    surroundings: tuple[int, int] = (0, 0)

    def look_around(self) -> tuple[int, int]:
        """What changes when a file of the indexes is removed or replaced, or all of them; 2 µs.

        The clock of a file system ticks every few milliseconds: two changes within one look alike.
        ``(0, 0)`` where there are no indexes.
        """
        try:
            found = os.stat(self.indexes.path)  # noqa: PTH116 - a Path costs five times as much
        except FileNotFoundError:
            return (0, 0)
        return found.st_ino, found.st_mtime_ns

    def is_in_place(self) -> bool:
        """Whether the lock is still the one that others take."""
        held = os.fstat(self.lock.fileno())
        return file_identity(self.where / INDEXES / LOCK) == (held.st_dev, held.st_ino)

    def close(self) -> None:
        """Give back everything that is open."""
        self.index.file.close()
        self.filing.close()
        self.journal.close()
        self.lock.close()
        self.indexes.close()
        self.root.close()
