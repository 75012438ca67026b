"""What the git peers commit: the same empty tree, message, names and dates for all of them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import orjson

from gitstore import DomainEvent
from gitstore.core.timestamps import format_timestamp

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
COMMITTER_NAME = "scopecraft"
COMMITTER_EMAIL = "events@scopecraft.invalid"
_DOMAIN = "scopecraft.invalid"


@dataclass(frozen=True, slots=True)
class Commit:
    """An event in git's words; ``time`` in seconds since 1970."""

    ref: str
    author_name: str
    author_email: str
    time: int
    message: bytes


def commit_of(event: DomainEvent) -> Commit:
    """The commit of an event of a benchmark's history, byte for byte the store's own."""
    assert event.timestamp is not None  # the history gives one
    data = orjson.dumps(event.data, option=orjson.OPT_SORT_KEYS).decode()
    message = (
        f"{event.type} {event.stream_id}@{event.version}\n\n{data}\n\n"
        f"Event-Id: {event.id}\n"
        f"Event-Time: {format_timestamp(event.timestamp)}\n"
        f"User-Id: {event.user_id}\n"
        f"Correlation-Id: {event.correlation_id}\n"
    )
    return Commit(
        f"refs/streams/{event.stream_id}",
        f"{event.user_id}",
        f"{event.user_id}@{_DOMAIN}",
        int(event.timestamp.timestamp()),
        message.encode(),
    )


def init_bare(path: Path) -> Path:
    """A bare repository that holds the empty tree."""
    git = ("git", f"--git-dir={path}")
    subprocess.run(("git", "init", "--quiet", "--bare", "--template=", str(path)), check=True)
    subprocess.run(
        (*git, "hash-object", "-t", "tree", "-w", "--stdin"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return path
