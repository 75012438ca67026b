"""The JSONL store: the contract of ``gitstore.core.protocol`` on a layout of files."""

from __future__ import annotations

from pathlib import Path

from gitstore.core.base import BaseEventStore


class JsonlEventStore(BaseEventStore):
    """Events as lines of files. Safe for threads and processes, not over a fork."""

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> JsonlEventStore:
        """Open the store at ``path``; see ``gitstore.open_store``."""
        raise NotImplementedError
