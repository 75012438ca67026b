"""Git's objects gone or emptied: named by verify, read from what is left, written again."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.backends.git.background import BackgroundFlush
from tests.backends.git.test_damage import pending
from tests.backends.git.witness import assert_sound, assert_whole, filled, git, reopen


def test_a_pack_that_is_gone_is_named(place: Path) -> None:
    """Without a pack verify names what is missing, and what the index holds is still read."""
    store = place / "events.git"
    with reopen(store) as opened:
        opened.append_many([DomainEvent(f"task-{n % 9}", "Packed", n) for n in range(300)])
    for path in (store / "objects" / "pack").iterdir():
        path.unlink()
    with reopen(store) as opened:
        assert [event.event.data for event in opened.read_all()] == list(range(300))
        report = opened.verify()
        assert not report.ok
        assert {f.stream or f.ref for f in report.findings}
        assert opened.append(DomainEvent("task-new", "GoesOn", {})).position == 301


def test_a_loose_object_that_is_empty_is_named(place: Path) -> None:
    """An event's object of no bytes, as some crashes leave it, is named by verify."""
    store = place / "events.git"
    before = filled(store, 3, 1)
    commit = str(before[-1][3])
    path = store / "objects" / commit[:2] / commit[2:]
    path.chmod(0o600)
    path.write_bytes(b"")
    with reopen(store) as opened:
        assert not opened.verify().ok
        assert_whole(list(opened.read_all()), before)
    assert git(store, "rev-parse", "refs/streams/task-0").strip() == commit


def test_an_emptied_object_of_a_pending_event_is_written_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush does not trust an object file that is there: an emptied one is replaced."""
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)
    store, flushed, acks = pending(place, 2)
    path = store / "objects" / str(acks[0][3])[:2] / str(acks[0][3])[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    assert_sound(store, [*flushed, *acks])
