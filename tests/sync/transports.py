"""What the tests of transport share: repositories to talk to, and looks at what came."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore.sync.transport import RemoteFailed, Transport
from tests.sync.servers import git

WAYS = ("path", "file", "daemon", "http", "ssh")
"""How a repository is reached."""
FAKE_SSH = """\
#!/bin/sh
[ "$1" = -G ] && exit 0
for command; do :; done
exec sh -c "$command"
"""
"""What ssh does, without going anywhere: it runs the last argument."""


def commit(repository: Path, ref: str, *texts: str) -> str:
    """A chain of commits on a ref, one for each text; gives the last one's id."""
    tree = git(repository, "mktree").strip()
    identity = "T <t@example.org> 1700000000 +0000"
    tip = ""
    for text in texts:
        parent = f"parent {tip}\n" if tip else ""
        raw = f"tree {tree}\n{parent}author {identity}\ncommitter {identity}\n\n{text}\n"
        arguments = ("hash-object", "-t", "commit", "-w", "--stdin")
        tip = git(repository, *arguments, given=raw.encode()).strip()
    git(repository, "update-ref", ref, tip)
    return tip


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make ``text`` the user's global git configuration."""
    path = folder / "gitconfig"
    path.write_text(text)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))


def packs(objects: Path) -> list[str]:
    """The files of an object directory, relative to it."""
    return sorted(str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file())


def whole_packs(objects: Path) -> list[str]:
    """Those of them that git reads; what it had begun is called ``tmp_…``."""
    return [path for path in packs(objects) if not path.startswith("pack/tmp_")]


def failure(action: Callable[[], object]) -> RemoteFailed:
    """How it fails, which it must."""
    with pytest.raises(RemoteFailed) as caught:
        action()
    return caught.value


def fetch_all(repository: Path, remote: object) -> None:
    """Fetch the objects of all streams of a remote."""
    Transport(repository, str(remote)).fetch(["refs/streams/*"], repository / "objects")


def make_large(repository: Path) -> None:
    """Give a repository a stream of 300 kB that no compression makes smaller."""
    blob = git(repository, "hash-object", "-w", "--stdin", given=os.urandom(300_000)).strip()
    tree = git(repository, "mktree", given=f"100644 blob {blob}\tdata\n".encode()).strip()
    identity = "T <t@example.org> 1700000000 +0000"
    raw = f"tree {tree}\nauthor {identity}\ncommitter {identity}\n\nlarge\n"
    tip = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", given=raw.encode())
    git(repository, "update-ref", "refs/streams/large", tip.strip())
