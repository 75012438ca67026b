"""What one open git store is made of, handed as a whole to those who work on it."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.flushlock import FlushLock
from gitstore.backends.git.index import Index
from gitstore.backends.git.journal import Journal
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.refs import Refs
from gitstore.backends.stamping import Stamper


@dataclass(frozen=True, slots=True)
class Parts:
    """``folds_case``: the file system takes ``A`` and ``a`` for one name.

    Whoever takes both locks takes ``flush_lock`` first. ``maintain_lock`` is waited for before
    them, and only tried by who holds them.
    """

    layout: StoreLayout
    journal: Journal
    index: Index
    refs: Refs
    objects: Objects
    write_lock: FileLock
    flush_lock: FlushLock
    maintain_lock: FlushLock
    stamper: Stamper
    read_only: bool
    folds_case: bool

    @classmethod
    def of(
        cls,
        layout: StoreLayout,
        stamper: Stamper,
        *,
        wal: bool,
        read_only: bool,
        folds_case: bool,
    ) -> Parts:
        """The parts of the store at ``layout``; touches no file yet."""
        objects = Objects(layout)
        return cls(
            layout,
            Journal(layout, wal=wal, read_only=read_only),
            Index(layout, objects, wal=wal, read_only=read_only),
            Refs(layout),
            objects,
            FileLock(layout.write_lock),
            FlushLock(layout.flush_lock),
            FlushLock(layout.maintain_lock),
            stamper,
            read_only,
            folds_case,
        )

    def close(self) -> None:
        """Let everything go that is open."""
        if self.read_only:
            self.journal.close()
            self.index.close()
        else:
            # The last to close folds the logs away, which must not race a write.
            with self.write_lock.held():
                self.journal.close()
            with contextlib.suppress(sqlite3.Error):
                self.index.close()
        self.objects.close()
        self.write_lock.close()
        self.flush_lock.close()
        self.maintain_lock.close()
