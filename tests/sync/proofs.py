"""Keys to sign with, checkpoints that nobody made, and replayed events, for tests of proofs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from gitstore.backends.git.checkpoints import (
    CheckpointCommit,
    encode_checkpoint,
    encode_tree,
    entry_of,
)
from gitstore.backends.git.commits import (
    EventCommit,
    committer_date,
    decode_commit,
    encode_commit,
)
from tests.sync.servers import git

FACTS = CheckpointCommit("", None, 1_795_000_000, "mallory", 0, 9, "a-store", "f" * 40, 9)


class Keys:
    """A user's ssh keys, and their git configuration, in ``folder``; ``HOME`` for git."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str) -> Path:
        """A new key; gives its public half."""
        path = self._folder / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
        subprocess.run(command, check=True)
        return path.with_suffix(".pub")

    def sign_with(self, store: Path, key: Path) -> None:
        """Let git sign with this key in the store."""
        git(store, "config", "gpg.format", "ssh")
        git(store, "config", "user.signingKey", key)

    def allow(self, store: Path, **keys: Path) -> None:
        """Let these keys be those of these people, and of nobody else, in the store."""
        path = self._folder / "allowed"
        lines = [f"{who}@example.org {key.read_text()}" for who, key in keys.items()]
        path.write_text("".join(lines))
        git(store, "config", "gpg.ssh.allowedSignersFile", path)


def put(repository: Path, content: bytes, kind: str = "commit") -> str:
    """Write an object with plain git, however malformed."""
    arguments = ("hash-object", "-w", "-t", kind, "--literally", "--stdin")
    return git(repository, *arguments, given=content).strip()


def forged(repository: Path, tips: Mapping[str, str], **facts: object) -> str:
    """A checkpoint that says so of these names as in refs; gives its commit."""
    tree = encode_tree(sorted(entry_of(name, bytes.fromhex(tip)) for name, tip in tips.items()))
    said = FACTS._replace(tree=put(repository, tree.content, "tree"), streams=len(tips))
    return put(repository, encode_checkpoint(said._replace(**facts)).content)  # type: ignore[arg-type]


def replayed(
    repository: Path, old: EventCommit, parent: str, *, data: bytes = b"", **changes: object
) -> str:
    """An event once more, after ``parent``, as a rebase does it, but for ``changes``."""
    above = read(repository, parent)
    made: EventCommit = old._replace(
        version=above.version + 1,
        parent=parent,
        date=committer_date(old.time, above.date),
    )
    made = made._replace(**changes)  # type: ignore[arg-type]
    for item in encode_commit(made, data or made.data or b""):
        commit = put(repository, item.content, item.kind)
    return commit


def read(repository: Path, commit: str) -> EventCommit:
    """The event of a commit."""
    return decode_commit(git(repository, "cat-file", "commit", commit).encode())
