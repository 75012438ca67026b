"""Witnesses: what plain git, and a fresh look at a store, say about it after it was ill treated."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from gitstore import DomainEvent, RecordedEvent, open_store
from gitstore.backends.git.store import GitEventStore
from gitstore.core.names import encode_name

Ack = Sequence[object]
"""``[stream, version, position, commit, event id]``, as the programs say it."""


def git(store: Path, *arguments: str, check: bool = True, stdin: str = "") -> str:
    """Standard output of plain git on the store."""
    command = ["git", f"--git-dir={store}", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def reopen(store: Path, **options: object) -> GitEventStore:
    """Open a git store."""
    opened = open_store(store, **options)  # type: ignore[arg-type]
    assert isinstance(opened, GitEventStore)
    return opened


def filled(store: Path, events: int = 12, streams: int = 3) -> list[Ack]:
    """Make a store with some flushed events; gives what was acknowledged."""
    with reopen(store) as opened:
        return [
            promise(opened.append(DomainEvent(f"task-{n % streams}", "Noted", {"n": n})))
            for n in range(events)
        ]


def promise(recorded: RecordedEvent) -> Ack:
    """What an append promised about an event."""
    event = recorded.event
    return [recorded.stream_id, recorded.version, recorded.position, recorded.commit, event.id]


def leftovers(store: Path) -> list[str]:
    """Locks, keep marks and temporary files that nobody needs any more."""
    kept = {store / "gitstore" / f"{name}.lock" for name in ("write", "flush", "maintain")}
    found = [*store.rglob("*.lock"), *store.rglob("*.keep"), *store.rglob("tmp_*")]
    found += store.rglob("*.tmp")
    return sorted(str(path.relative_to(store)) for path in found if path not in kept)


def picture(store: Path) -> dict[str, bytes | None]:
    """Everything in git's part of the store: what a second open must leave as it is."""
    return {
        str(path.relative_to(store)): path.read_bytes() if path.is_file() else None
        for path in sorted(store.rglob("*"))
        if "gitstore" not in path.relative_to(store).parts
    }


def assert_whole(events: Sequence[RecordedEvent], acknowledged: Iterable[Ack]) -> None:
    """Positions and versions are contiguous, and every acknowledged event is where it was."""
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    versions: dict[str, int] = defaultdict(int)
    for event in events:
        versions[event.stream_id] += 1
        assert event.version == versions[event.stream_id], event
    ids = [event.event.id for event in events]
    assert len(ids) == len(set(ids))
    held = {tuple(promise(event)) for event in events}
    lost = [one for one in acknowledged if tuple(one) not in held]
    assert not lost, f"{len(lost)} acknowledged events are not there: {lost[:3]}"


def assert_git_agrees(store: Path, events: Sequence[RecordedEvent]) -> None:
    """Plain git finds nothing wrong, counts the same, and lists the feed in order of position."""
    complaints = git(store, "fsck", "--strict", "--no-dangling", "--no-progress")
    assert not complaints.strip(), complaints
    versions: dict[str, str] = {}
    for event in events:
        versions[f"refs/streams/{encode_name(event.stream_id)}"] = event.commit or ""
    refs = git(store, "for-each-ref", "--format=%(refname) %(objectname)", "refs/streams")
    assert dict(line.split(" ") for line in refs.splitlines()) == versions
    assert int(git(store, "rev-list", "--count", "--glob=refs/streams")) == len(events)
    body = git(store, "log", "--reverse", "--format=%b", "refs/feed")
    lines = [line.split(" ") for line in body.splitlines() if line]
    assert [int(line[0]) for line in lines] == [event.position for event in events]
    assert [line[-1] for line in lines] == [event.commit for event in events]


def assert_sound(store: Path, acknowledged: Iterable[Ack] = ()) -> list[RecordedEvent]:
    """Reopening mends everything: nothing lost, nothing left over, nothing left to do.

    Gives the events.
    """
    with reopen(store) as opened:
        events = list(opened.read_all())
        assert_whole(events, acknowledged)
    assert not leftovers(store), leftovers(store)
    assert_git_agrees(store, events)
    before = picture(store)
    with reopen(store) as opened:
        status = opened.status()
        assert (status.unflushed, status.events) == (0, len(events))
        assert list(opened.read_all()) == events
        report = opened.verify()
        assert report.ok, report.findings
    assert picture(store) == before
    return events
