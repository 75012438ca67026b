"""The git command line: two commands an event."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.peers.base import Peer
from benchmarks.peers.commits import (
    COMMITTER_EMAIL,
    COMMITTER_NAME,
    EMPTY_TREE,
    commit_of,
    init_bare,
)
from gitstore import DomainEvent


class GitCommandPeer(Peer):
    """``git commit-tree``, then ``git update-ref``, everything fsynced."""

    name = "git command"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        path = init_bare(directory / "command.git")
        self._git = ("git", f"--git-dir={path}", "-c", "core.fsync=all")
        self._heads: dict[str, str] = {}

    @property
    def durability(self) -> str:
        return "core.fsync=all: loose object and ref fsynced"

    def append(self, event: DomainEvent) -> None:
        commit = commit_of(event)
        head = self._heads.get(commit.ref)
        env = os.environ | {
            "GIT_AUTHOR_NAME": commit.author_name,
            "GIT_AUTHOR_EMAIL": commit.author_email,
            "GIT_AUTHOR_DATE": f"{commit.time} +0000",
            "GIT_COMMITTER_NAME": COMMITTER_NAME,
            "GIT_COMMITTER_EMAIL": COMMITTER_EMAIL,
            "GIT_COMMITTER_DATE": f"{commit.time} +0000",
        }
        parent = ("-p", head) if head else ()
        made = subprocess.run(
            (*self._git, "commit-tree", EMPTY_TREE, *parent),
            input=commit.message,
            stdout=subprocess.PIPE,
            env=env,
            check=True,
        )
        new = made.stdout.decode().strip()
        subprocess.run((*self._git, "update-ref", commit.ref, new, head or "0" * 40), check=True)
        self._heads[commit.ref] = new
