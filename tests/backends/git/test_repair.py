"""``verify --repair``: rebuilt from what is left, id for id; killed anywhere, and begun again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.backends.git.inspecting import inspect
from gitstore.backends.git.journalschema import JournalRow
from tests.backends.git.programs import start
from tests.backends.git.witness import (
    Ack,
    assert_git_agrees,
    assert_whole,
    filled,
    git,
    promise,
    reopen,
)


def packs(store: Path) -> list[Path]:
    """The packs of a store."""
    return sorted((store / "objects" / "pack").glob("*.pack"))


def spoil(path: Path, at: float = 0.5, count: int = 1) -> None:
    """Turn over bytes of a file, ``at`` a part of its length."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    begin = int(len(content) * at)
    for offset in range(begin, min(begin + count, len(content))):
        content[offset] ^= 0xFF
    path.write_bytes(content)


def assert_mended(store: Path, before: list[Ack]) -> None:
    """Every event is where it was, for our readers and for plain git, and nothing is found."""
    with reopen(store) as opened:
        events = list(opened.read_all())
        assert_whole(events, before)
        assert len(events) == len(before)
        assert opened.verify(deep=True).findings == ()
    assert_git_agrees(store, events)


def drop_packs(store: Path) -> None:
    """Every pack is gone."""
    for path in (store / "objects" / "pack").iterdir():
        path.unlink()


def drop_pack_indexes(store: Path) -> None:
    """The packs have lost their indexes."""
    for path in packs(store):
        path.with_suffix(".idx").unlink()


def spoil_pack_indexes(store: Path) -> None:
    """A byte of each pack's index is turned over."""
    for path in packs(store):
        spoil(path.with_suffix(".idx"), 0.9)


def spoil_packs(store: Path) -> None:
    """Forty bytes of each pack are turned over."""
    for path in packs(store):
        spoil(path, 0.3, 40)


def cut_packs(store: Path) -> None:
    """Only the first third of each pack is left."""
    for path in packs(store):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def drop_feed_ref(store: Path) -> None:
    """The feed's ref is deleted."""
    git(store, "update-ref", "-d", "refs/feed")


def move_feed_back(store: Path) -> None:
    """The feed's ref is moved back by two flushes."""
    git(store, "update-ref", "refs/feed", git(store, "rev-parse", "refs/feed~2").strip())


def move_feed_to_a_stream(store: Path) -> None:
    """The feed's ref is moved to an event."""
    git(store, "update-ref", "refs/feed", git(store, "rev-parse", "refs/streams/task-1").strip())


def drop_index(store: Path) -> None:
    """The index is gone."""
    for path in (store / "gitstore").glob("index.db*"):
        path.unlink()


def spoil_index(store: Path) -> None:
    """Pages of the index are garbage."""
    spoil(store / "gitstore" / "index.db", 0.2, 3_000)


def drop_refs(store: Path) -> None:
    """No stream has a ref."""
    for path in (store / "refs" / "streams").iterdir():
        path.unlink()
    (store / "packed-refs").unlink(missing_ok=True)


def move_refs_back(store: Path) -> None:
    """Two streams' refs are moved back by an event."""
    for name in ("task-1", "task-2"):
        git(store, "update-ref", f"refs/streams/{name}", f"refs/streams/{name}~1")


def spoil_packed_header(store: Path) -> None:
    """The first line of packed-refs is one that git does not take."""
    git(store, "pack-refs", "--all")
    path = store / "packed-refs"
    path.write_bytes(path.read_bytes().replace(b"with:", b"wi4h:"))


DAMAGE: list[Callable[[Path], None]] = [
    drop_packs, drop_pack_indexes, spoil_pack_indexes, spoil_packs, cut_packs, drop_feed_ref,
    move_feed_back, move_feed_to_a_stream, drop_index, spoil_index, drop_refs, move_refs_back,
    spoil_packed_header,
]  # fmt: skip


def several(store: Path) -> list[Ack]:
    """A store of several packs, feed commits and streams."""
    before = []
    with reopen(store) as opened:
        for number in range(4):
            events = [DomainEvent(f"task-{n % 5}", "Noted", {"n": n}) for n in range(7)]
            before += map(promise, opened.append_many(events))
            opened.flush()
            assert number or opened.store_id
    return before


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_left_rebuilds_what_is_lost(place: Path, damage: Callable[[Path], None]) -> None:
    """Commit for commit and position for position, and the store keeps its id."""
    store = place / "events.git"
    before = several(store)
    with reopen(store) as opened:
        identity = opened.store_id
    damage(store)
    report = inspect(store, repair=True)
    assert report.ok, report.findings
    assert_mended(store, before)
    with reopen(store) as opened:
        assert opened.store_id == identity


def test_a_repair_of_a_sound_store_changes_nothing(place: Path) -> None:
    """No finding, nothing repaired, and not a file kept aside."""
    store = place / "events.git"
    filled(store)
    report = inspect(store, repair=True)
    assert (report.findings, report.repaired) == ((), ())
    assert not (store / "gitstore" / "salvage").exists()


def test_damaged_files_are_kept(place: Path) -> None:
    """A repair deletes nothing: the pack and its index lie in gitstore/salvage, as they were."""
    store = place / "events.git"
    several(store)
    spoil_packs(store)
    contents = {path.read_bytes() for path in packs(store)}
    assert inspect(store, repair=True).ok
    kept = {path.read_bytes() for path in (store / "gitstore" / "salvage").iterdir()}
    assert contents <= kept


def test_what_was_repaired_is_told(place: Path) -> None:
    """``repaired`` says what was found and is good again; the next look finds nothing."""
    store = place / "events.git"
    several(store)
    spoil_pack_indexes(store)
    with reopen(store) as opened:
        found = opened.verify()
        report = opened.verify(repair=True)
        assert {finding.kind for finding in report.repaired} >= {"objects"}
        assert set(report.repaired) <= set(found.findings)
        assert (report.findings, opened.verify().findings) == ((), ())


def test_an_open_store_goes_on_after_its_repair(place: Path) -> None:
    """Reads, appends and flushes by the same object, and by one that was open meanwhile."""
    store = place / "events.git"
    before = several(store)
    with reopen(store) as opened, reopen(store) as other:
        drop_packs(store)
        assert opened.verify(repair=True).ok
        for each in (opened, other):
            before.append(promise(each.append(DomainEvent("task-1", "GoesOn"))))
            each.flush()
            assert_whole(list(each.read_all()), before)
    assert_mended(store, before)


def test_without_feed_and_index_positions_are_given_anew(place: Path) -> None:
    """Under a new store id, so that no consumer takes old positions for new ones."""
    store = place / "events.git"
    before = several(store)
    with reopen(store) as opened:
        identity = opened.store_id
    feed = git(store, "rev-list", "refs/feed").split()
    everything = git(store, "cat-file", "--batch-all-objects", "--batch-check").split("\n")
    kept = [line.split()[0] for line in everything if line and line.split()[0] not in feed]
    _repack(store, kept)
    drop_index(store)
    report = inspect(store, repair=True)
    assert report.ok, report.findings
    with reopen(store) as opened:
        events = list(opened.read_all())
        assert [event.position for event in events] == list(range(1, 29))
        assert {event.commit for event in events} == {ack[3] for ack in before}
        assert opened.store_id != identity
    assert_git_agrees(store, events)


def _repack(store: Path, kept: list[str]) -> None:
    """Keep these objects alone."""
    aside = store / "objects" / "pack" / "new"
    git(store, "pack-objects", "-q", str(aside), stdin="\n".join(kept) + "\n")
    for path in (store / "objects" / "pack").glob("pack-*"):
        path.unlink()
    for path in (store / "objects" / "pack").glob("new-*"):
        path.rename(path.with_name(path.name.replace("new-", "pack-")))


def test_spilled_data_is_found_again_by_its_digest(place: Path) -> None:
    """A lost commit whose data lie in a blob that is still there is written again."""
    store = place / "events.git"
    with reopen(store) as opened:
        done = opened.append_many(
            [DomainEvent("task-1", "Large", str(n) * 9_000) for n in range(3)]
        )
        before = [promise(one) for one in done]
    everything = git(store, "cat-file", "--batch-all-objects", "--batch-check").split("\n")
    lost = {done[1].commit, git(store, "rev-parse", f"{done[1].commit}^{{tree}}").strip()}
    _repack(store, [line.split()[0] for line in everything if line and line[:40] not in lost])
    report = inspect(store)
    assert done[1].commit in {finding.commit for finding in report.findings}
    assert inspect(store, repair=True).ok
    assert_mended(store, before)


def test_what_cannot_be_rebuilt_is_named_and_costs_nothing_else(place: Path) -> None:
    """The event, its version and its commit; all others can be read, with or without the index."""
    store = place / "events.git"
    with reopen(store) as opened:
        events = [DomainEvent("task-1", "Noted", n) for n in range(4)]
        events.insert(2, DomainEvent("task-1", "Large", "x" * 9_000))
        done = opened.append_many(events)
    blob = git(store, "rev-parse", f"{done[2].commit}:data.json").strip()
    everything = git(store, "cat-file", "--batch-all-objects", "--batch-check").split("\n")
    lost = {done[2].commit, blob}
    _repack(store, [line.split()[0] for line in everything if line and line[:40] not in lost])
    for _ in range(2):
        report = inspect(store, repair=True)
        assert not report.ok
        named = [f for f in report.findings if f.kind == "stream"]
        assert [(f.stream, f.commit) for f in named] == [("task-1", done[2].commit)]
        assert "task-1@3" in named[0].message
        with reopen(store) as opened:
            assert [e.version for e in opened.read_all()] == [1, 2, 4, 5]


def test_waiting_events_survive_every_repair(place: Path, begin: Callable[..., object]) -> None:
    """What is in the journal alone stays acknowledged, whatever else is rebuilt."""
    store = place / "events.git"
    before = several(store)
    child = begin("hold", str(store), 5, stdin=-1)
    assert child.stdout is not None  # type: ignore[attr-defined]
    waiting = json.loads(child.stdout.readline())  # type: ignore[attr-defined]
    copy = place / "copy.git"
    shutil.copytree(store, copy)
    drop_packs(copy)
    drop_feed_ref(copy)
    assert inspect(copy, repair=True).ok
    assert_mended(copy, [*before, *waiting])


def test_the_journal_says_what_the_feed_says(place: Path) -> None:
    """A state that was changed is found, and taken from the feed again."""
    store = place / "events.git"
    before = several(store)
    with reopen(store) as opened:
        opened._parts.journal.restart(
            17, opened._parts.journal.state().feed, "another", renumber=False
        )
        assert not opened.verify().ok
        assert opened.verify(repair=True).ok
    assert_mended(store, before)


def test_renumbering_keeps_what_waits_behind(place: Path) -> None:
    """Positions given anew push the waiting rows behind them, in their order."""
    with reopen(place / "events.git") as opened:
        journal = opened._parts.journal
        rows = [
            JournalRow(n, "s", n, "T", 0, f"e{n}", b"c", None, 0, b"1", b"{}") for n in (4, 5, 7)
        ]
        journal.insert_many(rows)
        journal.restart(5, journal.state().feed, journal.state().store_id, renumber=True)
        assert [row.position for row in journal.pending(1 << 20)] == [6, 7, 8]
        assert [row.event_id for row in journal.pending(1 << 20)] == ["e4", "e5", "e7"]
        journal.finish(list(journal.pending(1 << 20)), 0, journal.state().feed, ())


@pytest.mark.parametrize("damage", [spoil_packs, spoil_index, move_feed_to_a_stream])
def test_death_at_any_step_of_a_repair(place: Path, damage: Callable[[Path], None]) -> None:
    """Kill -9 anywhere in a repair: the next one ends it, and nothing is lost."""
    template = place / "template.git"
    before = filled(template, 20, 3)
    damage(template)
    with start("crash_everywhere", str(template), str(place / "deaths"), "repair") as child:
        assert child.stdout is not None
        said = [json.loads(line) for line in child.stdout]
    assert child.returncode == 0
    assert said[-1][1] == "completed"
    for k, step, _ in said[:: max(1, len(said) // 12)]:
        store = place / "deaths" / str(k) / "events.git"
        report = inspect(store, repair=True)
        assert report.ok, f"killed before {step}: {report.findings}"
        assert_mended(store, before)
