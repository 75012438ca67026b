"""The store of this project, in both flush modes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import gitstore
from benchmarks.peers.base import Peer
from gitstore import DomainEvent


class GitStorePeer(Peer):
    """As ``open_store`` opens it: durable at once, in git soon after."""

    name = "gitstore"
    bare = True
    mode: Literal["background", "append"] = "background"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / "events.git"
        self.store = gitstore.open_store(self.path, flush=self.mode)

    @property
    def durability(self) -> str:
        return "journal: SQLite WAL, synchronous=FULL; then fsynced packs and refs"

    def append(self, event: DomainEvent) -> None:
        self.store.append(event)

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        self.store.append_many(events)
        self.settle()

    def settle(self) -> None:
        self.store.flush()  # type: ignore[attr-defined]  # the git store's own

    def close(self) -> None:
        self.store.close()


class GitStoreFlushedPeer(GitStorePeer):
    """In git before ``append`` returns."""

    name = "gitstore flush=append"
    mode = "append"

    @property
    def durability(self) -> str:
        return "journal, then fsynced objects and refs before append returns"
