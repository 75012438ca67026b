"""GitPython: a commit and a reference, as its documentation writes them."""

from __future__ import annotations

from pathlib import Path

import git

from benchmarks.peers.base import Peer
from benchmarks.peers.commits import (
    COMMITTER_EMAIL,
    COMMITTER_NAME,
    EMPTY_TREE,
    commit_of,
    init_bare,
)
from gitstore import DomainEvent


class GitPythonPeer(Peer):
    """``Commit.create_from_tree``, then the reference is set."""

    name = "GitPython"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._repo = git.Repo(init_bare(directory / "gitpython.git"))
        self._heads: dict[str, git.Commit] = {}

    @property
    def durability(self) -> str:
        return "library default: neither object nor ref fsynced"

    def append(self, event: DomainEvent) -> None:
        commit = commit_of(event)
        head = self._heads.get(commit.ref)
        date = f"{commit.time} +0000"
        made = git.Commit.create_from_tree(
            self._repo,
            EMPTY_TREE,
            commit.message.decode(),
            parent_commits=[head] if head else [],
            author=git.Actor(commit.author_name, commit.author_email),
            committer=git.Actor(COMMITTER_NAME, COMMITTER_EMAIL),
            author_date=date,
            commit_date=date,
        )
        git.Reference(self._repo, commit.ref).set_object(made)
        self._heads[commit.ref] = made

    def close(self) -> None:
        self._repo.close()
