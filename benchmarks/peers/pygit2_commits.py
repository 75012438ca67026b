"""pygit2: ``create_commit``, which also moves the ref, with libgit2's fsync switched on."""

from __future__ import annotations

from pathlib import Path

import pygit2

from benchmarks.peers.base import Peer
from benchmarks.peers.commits import (
    COMMITTER_EMAIL,
    COMMITTER_NAME,
    EMPTY_TREE,
    commit_of,
    init_bare,
)
from gitstore import DomainEvent


class Pygit2Peer(Peer):
    """One call an event."""

    name = "pygit2"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        enabled = True
        pygit2.settings.enable_fsync_gitdir(enabled)
        self._repo = pygit2.Repository(str(init_bare(directory / "pygit2.git")))
        self._tree = pygit2.Oid(hex=EMPTY_TREE)
        self._heads: dict[str, pygit2.Oid] = {}

    @property
    def durability(self) -> str:
        return "enable_fsync_gitdir: loose object and ref fsynced"

    def append(self, event: DomainEvent) -> None:
        commit = commit_of(event)
        head = self._heads.get(commit.ref)
        self._heads[commit.ref] = self._repo.create_commit(
            commit.ref,
            pygit2.Signature(commit.author_name, commit.author_email, commit.time, 0),
            pygit2.Signature(COMMITTER_NAME, COMMITTER_EMAIL, commit.time, 0),
            commit.message.decode(),
            self._tree,
            [head] if head else [],
        )
