"""The SQLite store: the contract of ``gitstore.core.protocol`` on one table."""

from __future__ import annotations

from pathlib import Path

from gitstore.core.base import BaseEventStore


class SqliteEventStore(BaseEventStore):
    """Events as rows of one SQLite file. Safe for threads and processes, not over a fork."""

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> SqliteEventStore:
        """Open the store at ``path``; see ``gitstore.open_store``."""
        raise NotImplementedError
