"""``git fast-import``: git's own bulk writer, fed with the commits of the events."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from benchmarks.peers.base import Peer
from benchmarks.peers.commits import COMMITTER_EMAIL, COMMITTER_NAME, commit_of, init_bare
from gitstore import DomainEvent


def commands(events: Iterable[DomainEvent]) -> bytes:
    """The commits of ``events`` in fast-import's language."""
    return b"".join(
        f"commit {commit.ref}\n"
        f"author {commit.author_name} <{commit.author_email}> {commit.time} +0000\n"
        f"committer {COMMITTER_NAME} <{COMMITTER_EMAIL}> {commit.time} +0000\n"
        f"data {len(commit.message)}\n".encode()
        + commit.message
        for commit in map(commit_of, events)
    )


class FastImportPeer(Peer):
    """One process for all batches, a checkpoint after each; durable as git is by default."""

    name = "fast-import"
    repository = "fast-import.git"
    config: tuple[str, ...] = ()

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = init_bare(directory / self.repository)
        self._process = subprocess.Popen(
            ("git", f"--git-dir={self.path}", *self.config, "fast-import", "--quiet"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._input = cast(BinaryIO, self._process.stdin)
        self._output = cast(BinaryIO, self._process.stdout)

    @property
    def durability(self) -> str:
        return "git's default: packs fsynced, refs not"

    def append(self, event: DomainEvent) -> None:
        self.append_many([event])

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        self._input.write(commands(events) + b"checkpoint\nprogress done\n")
        self._input.flush()
        if self._output.readline() != b"progress done\n":
            raise RuntimeError("git fast-import stopped")

    def close(self) -> None:
        self._input.close()
        self._process.wait()
        self._output.close()


class FastImportFsyncPeer(FastImportPeer):
    """The same, with refs as durable as packs."""

    name = "fast-import, refs fsynced"
    repository = "fast-import-fsync.git"
    config = ("-c", "core.fsync=all")

    @property
    def durability(self) -> str:
        return "core.fsync=all: packs and refs fsynced"
