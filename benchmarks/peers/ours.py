"""The stores of this project; that of git in both flush modes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import gitstore
from benchmarks.peers.base import Peer
from gitstore import DomainEvent


class StorePeer(Peer):
    """A store of ours, by its address."""

    bare = True
    place: ClassVar[str]
    """The address; ``{}`` is the directory."""
    mode: Literal["background", "append"] = "background"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.store = gitstore.open_store(self.address(directory), flush=self.mode)

    @classmethod
    def address(cls, directory: Path) -> str:
        """What ``open_store`` takes for the store in this directory."""
        return cls.place.format(directory)

    def append(self, event: DomainEvent) -> None:
        self.store.append(event)

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        self.store.append_many(events)
        self.settle()

    def close(self) -> None:
        self.store.close()


class GitStorePeer(StorePeer):
    """As ``open_store`` opens it: durable at once, in git soon after."""

    name = "gitstore"
    place = "git:{}/events.git"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / "events.git"

    @property
    def durability(self) -> str:
        return "journal: SQLite WAL, synchronous=FULL; then fsynced packs and refs"

    def settle(self) -> None:
        self.store.flush()  # type: ignore[attr-defined]  # the git store's own


class GitStoreFlushedPeer(GitStorePeer):
    """In git before ``append`` returns."""

    name = "gitstore flush=append"
    mode = "append"

    @property
    def durability(self) -> str:
        return "journal, then fsynced objects and refs before append returns"


class SqliteStorePeer(StorePeer):
    """Rows of one SQLite file."""

    name = "gitstore sqlite"
    place = "sqlite:{}/events.db"

    @property
    def durability(self) -> str:
        return "SQLite WAL, synchronous=FULL"


class JsonlStorePeer(StorePeer):
    """Lines of files by day and stream."""

    name = "gitstore jsonl"
    place = "jsonl:{}/events"

    @property
    def durability(self) -> str:
        return "journal: one write and fdatasync; lines and indexes fsynced later"


class MemoryStorePeer(StorePeer):
    """Nothing on a disk."""

    name = "gitstore memory"
    place = "memory:"

    @property
    def durability(self) -> str:
        return "none: gone with the process"
