"""What one open layout is made of, handed as a whole to those who work on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl.filing import Filing
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.journal import Journal
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.tail import Tail
from gitstore.backends.jsonl.watching import Watch
from gitstore.backends.stamping import Stamper


@dataclass(slots=True)
class Parts:
    """``state`` is replaced when the layout gets another store id.

    ``journal``, ``filing``, ``tail`` and ``state`` are used under ``lock``, and so is whatever
    writes to ``index``.
    """

    where: Path
    root: Folder
    indexes: Folder
    lock: FileLock
    lock_path: str
    journal: Journal
    filing: Filing
    index: Index
    tail: Tail
    state: LiveState
    stamper: Stamper
    watch: Watch

    def is_in_place(self) -> bool:
        """Whether the lock is still the one that others take; 3 µs."""
        held = os.fstat(self.lock.fileno())
        try:
            there = os.stat(self.lock_path)  # noqa: PTH116 - a Path costs five times as much
        except FileNotFoundError:
            return False
        return (held.st_ino, held.st_dev) == (there.st_ino, there.st_dev)

    def close(self) -> None:
        """Give back everything that is open."""
        self.index.file.close()
        self.filing.close()
        self.journal.close()
        self.lock.close()
        self.indexes.close()
        self.root.close()
