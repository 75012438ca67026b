"""Git's objects gone or emptied: named by verify, read from what is left, written again."""

from __future__ import annotations

from pathlib import Path

from gitstore import DomainEvent
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


def test_an_object_that_is_damaged_is_named(place: Path) -> None:
    """A byte turned over inside a pack: verify names the stream, and readers go on."""
    store = place / "events.git"
    before = filled(store, 3, 1)
    for path in (store / "objects" / "pack").glob("*.pack"):
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    with reopen(store) as opened:
        report = opened.verify()
        assert not report.ok
        assert {f.stream or f.ref for f in report.findings}
        assert_whole(list(opened.read_all()), before)


def test_a_damaged_pack_is_not_merged(place: Path) -> None:
    """Merging many small packs stops at a damaged one; nothing is copied from it or deleted."""
    store = place / "events.git"
    with reopen(store) as opened:
        for number in range(8):
            opened.append(DomainEvent("task-0", "Noted", number))
            opened.flush()
    packs = sorted((store / "objects" / "pack").glob("*.pack"))
    packs[3].chmod(0o600)
    content = bytearray(packs[3].read_bytes())
    content[40] ^= 0xFF
    packs[3].write_bytes(content)
    with reopen(store) as opened:
        for number in range(4):
            opened.append(DomainEvent("task-0", "Noted", number))
            opened.flush()
    assert set(packs) <= set((store / "objects" / "pack").glob("*.pack"))


def test_small_packs_are_merged(place: Path) -> None:
    """A hundred flushes leave few packs and no loose objects, and every event is there."""
    store = place / "events.git"
    with reopen(store) as opened:
        for number in range(120):
            opened.append(DomainEvent(f"task-{number % 3}", "Noted", number))
            opened.flush()
    assert len(list((store / "objects" / "pack").glob("*.pack"))) < 20
    assert git(store, "count-objects").split()[0] == "0"
    assert [event.event.data for event in assert_sound(store, [])] == list(range(120))
