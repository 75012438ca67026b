"""Stores of several machines and their remotes, and looks at both with plain git."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitstore import DomainEvent, open_store
from gitstore.backends.git.store import GitEventStore
from gitstore.sync import remotes
from gitstore.sync.pushing import push
from gitstore.sync.pushreport import PushReport
from tests.sync.servers import git, refs


@contextmanager
def opened(where: Path) -> Iterator[GitEventStore]:
    """The git store at ``where``, new where there is none."""
    store = open_store(where)
    assert isinstance(store, GitEventStore)
    with store:
        yield store


def machine(where: Path, name: str, **urls: object) -> Path:
    """The store of a machine with this name, and these remotes."""
    opened(where).__enter__().close()
    remotes.set_machine(where, name)
    for remote, url in urls.items():
        remotes.add(where, remote, str(url))
    return where


def record(where: Path, *streams: str, by: str = "ada") -> None:
    """Append an event to each of these streams, in this order."""
    with opened(where) as store:
        store.append_many([DomainEvent(stream, "Noted", {"by": by}) for stream in streams])


def pushed(where: Path, remote: str = "hub", **more: object) -> PushReport:
    """Open the store, push, and close it again, as the command does."""
    with opened(where) as store:
        return push(store, remote, **more)  # type: ignore[arg-type]


def expected(where: Path) -> dict[str, str]:
    """What a remote that only this machine pushes to must hold."""
    name = git(where, "config", "gitstore.machine").strip()
    ours = refs(where, "refs/streams", "refs/heads/main", "refs/notes/types")
    return {**ours, f"refs/feeds/{name}": refs(where, "refs/feed")["refs/feed"]}


def check_sound(where: Path) -> None:
    """The store's own verdict, and git's on all that a push may have left."""
    with opened(where) as store:
        report = store.verify()
        assert report.ok, report.findings
        assert not list(store.exchange.layout.pushes.glob("?*[!k]"))
