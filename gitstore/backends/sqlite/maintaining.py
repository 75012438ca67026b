"""Maintenance of an SQLite store: a short log, full pages, statistics for those who query it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.sqlite.form import StoreFile
from gitstore.backends.table.tablefile import told
from gitstore.core.findings import Progress
from gitstore.core.upkeep import MaintainReport, Occupied


def maintain(file: StoreFile, lock: FileLock, progress: Progress) -> MaintainReport:
    """Make the file small; appends wait meanwhile, reads do not.

    It takes as much free space again as the store has, for the time it runs.
    """
    seconds: dict[str, float] = {}
    with lock.held():
        file.check_place()
        before = Occupied(file.size())
        db = file.get()
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("Making the file anew", lambda: db.execute("VACUUM")),
            ("Taking statistics", lambda: db.execute("PRAGMA optimize")),
            ("Folding the log", lambda: file.fold("TRUNCATE")),
        )
        for number, (name, step) in enumerate(steps):
            progress(name, number, len(steps))
            began = time.monotonic()
            try:
                step()
            except sqlite3.Error as error:
                raise told(file.path, error) from error
            seconds[name] = time.monotonic() - began
        return MaintainReport(before, Occupied(file.size()), seconds)
