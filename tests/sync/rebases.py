"""Two machines whose streams have diverged, and what must hold of a store that was rebased."""

from __future__ import annotations

from pathlib import Path

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.store import GitEventStore
from gitstore.core.names import encode_name
from gitstore.sync.pulling import pull
from tests.backends.git.witness import git, leftovers, picture, reopen
from tests.sync.peers import machine, publish
from tests.sync.servers import bare


def noted(store: GitEventStore, stream: str, *ids: str) -> list[RecordedEvent]:
    """Append events with these ids, and a content that follows from the id."""
    return [store.append(DomainEvent(stream, "Noted", {"of": one}, id=one)) for one in ids]


def ids(store: GitEventStore, stream: str) -> list[str]:
    """The ids of a stream's events, by version."""
    return [str(one.event.id) for one in store.read_stream(stream)]


def diverged(folder: Path, *streams: str) -> tuple[Path, Path, Path]:
    """A hub and the stores of ada, who was first to publish, and of bob, who diverged since.

    Of each stream (``s`` where none is given) both have ``<stream>-0``; ada went on with
    ``<stream>-ada``, bob with ``<stream>-bob``.
    """
    streams = streams or ("s",)
    hub = bare(folder / "hub.git")
    with machine(folder / "ada.git", hub) as ada, machine(folder / "bob.git", hub) as bob:
        for stream in streams:
            noted(ada, stream, f"{stream}-0")
            noted(bob, stream)
        publish(ada, hub)
        pull_plainly(bob)
        for stream in streams:
            noted(ada, stream, f"{stream}-ada")
            noted(bob, stream, f"{stream}-bob")
        publish(ada, hub)
        bob.flush()
    return hub, folder / "ada.git", folder / "bob.git"


def pull_plainly(store: GitEventStore) -> None:
    """Take in what the hub has, by fast-forwards alone."""
    assert pull(store, "hub").ok


def assert_sound_rebased(path: Path) -> list[RecordedEvent]:
    """Reopening mends everything: what is live and what was superseded, refs, feed and index.

    Gives every event that was ever recorded, by position.
    """
    with reopen(path) as store:
        every = list(store.read_all(superseded=True))
        live = list(store.read_all())
    assert not leftovers(path), leftovers(path)
    assert [one.position for one in every] == list(range(1, len(every) + 1))
    assert [one.position for one in every if one.superseded_by is None] == [
        one.position for one in live
    ]
    names = [one.event.id for one in live]
    assert len(names) == len(set(names))
    assert {one.event.id for one in every} == {*names}, "an event is lost"
    ends = {f"refs/streams/{encode_name(e.stream_id)}": str(e.commit) for e in live}
    listed = git(path, "for-each-ref", "--format=%(refname) %(objectname)", "refs/streams")
    assert dict(line.split(" ") for line in listed.splitlines()) == ends
    body = git(path, "log", "--reverse", "--format=%b", "refs/feed")
    lines = [line.split(" ") for line in body.splitlines() if line]
    assert [line[-1] for line in lines] == [one.commit for one in every]
    assert git(path, "for-each-ref", "refs/quarantine") == ""
    assert not git(path, "fsck", "--strict", "--no-dangling", "--no-progress").strip()
    before = picture(path)
    with reopen(path) as store:
        assert list(store.read_all(superseded=True)) == every
        report = store.verify()
        assert report.ok, report.findings
    assert picture(path) == before
    return every
