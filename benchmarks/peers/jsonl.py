"""A line of JSON an event, and an fsync each."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.peers.base import Peer
from gitstore import DomainEvent


class JsonLinesPeer(Peer):
    """One file that only grows."""

    name = "jsonl"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._file = os.open(directory / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @property
    def durability(self) -> str:
        return "fsync of the file after each line"

    def append(self, event: DomainEvent) -> None:
        os.write(self._file, event.to_json() + b"\n")
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)
