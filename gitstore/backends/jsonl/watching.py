"""When to look for lines of others, and in which data files."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from gitstore.backends.jsonl.layoutreading import LayoutReader

_SECONDS = 0.25
_SHARE = 20
"""Scans may take one part in so many of the time of a process that only follows."""


class Watch:
    """The sizes of the data files of one layout, as last seen. Safe for threads."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._sizes: dict[str, int] = {}
        self._next = 0.0
        self._lock = threading.Lock()

    def is_due(self) -> bool:
        """Whether the last scan is long enough ago: a quarter of a second, or 20 times its cost."""
        return time.monotonic() >= self._next

    def changed(self) -> list[str]:
        """Scan: the files whose size is another than at the last scan; the first time, all.

        None while another thread is at it.
        """
        if not self._lock.acquire(blocking=False):
            return []
        try:
            began = time.monotonic()
            with LayoutReader(self._where) as reader:
                sizes = dict(reader.data_files())
            changed = [file for file, size in sizes.items() if self._sizes.get(file) != size]
            self._sizes = sizes
            now = time.monotonic()
            self._next = now + max(_SECONDS, _SHARE * (now - began))
        finally:
            self._lock.release()
        return changed

    def forget(self) -> None:
        """Look at all files the next time, which is now."""
        self._sizes = {}
        self._next = 0.0
