"""Machines of a test: stores of people who share a plain bare repository, the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.store import GitEventStore
from gitstore.sync import remotes
from tests.backends.git.witness import git, reopen


def machine(path: Path, hub: Path | str | None = None) -> GitEventStore:
    """An open store at ``path`` whose remote ``hub`` is that."""
    store = reopen(path)
    if hub is not None:
        remotes.add(path, "hub", str(hub))
    return store


def note(store: GitEventStore, stream: str, count: int = 1, mark: str = "") -> list[RecordedEvent]:
    """Append some events to a stream."""
    return [
        store.append(DomainEvent(stream, "Noted", {"n": n, "mark": mark})) for n in range(count)
    ]


def publish(store: GitEventStore, hub: Path | str) -> None:
    """Send streams and format with plain git."""
    store.flush()
    refs = ["refs/streams/*:refs/streams/*", "refs/heads/main"]
    git(store.exchange.layout.root, "push", "--quiet", str(hub), *refs)


def stream_refs(repository: Path) -> Mapping[str, str]:
    """The stream refs as plain git lists them."""
    listed = git(repository, "for-each-ref", "--format=%(refname) %(objectname)", "refs/streams")
    return dict(line.split(" ") for line in listed.splitlines())
