"""What is the only copy of an event stays: no opening, look or repair makes it less."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreCorrupted
from gitstore.backends.git import recovery
from gitstore.backends.git.inspecting import inspect
from gitstore.backends.git.layout import FEED
from tests.backends.git.witness import (
    Ack,
    assert_sound,
    assert_whole,
    git,
    picture,
    promise,
    reopen,
)


def filled(store: Path, count: int = 60) -> list[Ack]:
    """A store of several packs, with small bodies that the index holds too."""
    before = []
    with reopen(store) as opened:
        for number in range(3):
            events = [DomainEvent(f"task-{n % 3}", "Noted", "n" * 300) for n in range(count // 3)]
            before += map(promise, opened.append_many(events))
            opened.flush()
            assert number or opened.store_id
    return before


def drop_packs(store: Path) -> None:
    """Every pack is gone."""
    for path in (store / "objects" / "pack").glob("pack-*"):
        path.unlink()


def drop_feed_pack(store: Path) -> None:
    """The pack with the feed's tip is gone."""
    tip = git(store, "rev-parse", FEED).strip()
    for path in (store / "objects" / "pack").glob("*.idx"):
        if tip in git(store, "verify-pack", "-v", str(path)):
            path.unlink()
            path.with_suffix(".pack").unlink()


def drop_journal(store: Path) -> None:
    """The journal is gone, and its log."""
    for path in (store / "gitstore").glob("journal.db*"):
        path.unlink()


def drop_index(store: Path) -> None:
    """The index is gone, and its log."""
    for path in (store / "gitstore").glob("index.db*"):
        path.unlink()


def spoil_journal(store: Path) -> None:
    """The journal is garbage."""
    (store / "gitstore" / "journal.db").write_bytes(b"\xff" * 9_000)


def spoil_page(store: Path, number: int) -> list[int]:
    """Overwrite a leaf of the table of events; the positions that lay there."""
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        leaves = db.execute(
            "SELECT pageno, ncell FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' "
            "ORDER BY path"
        ).fetchall()
    with (store / "gitstore" / "index.db").open("r+b") as file:
        file.seek((leaves[number][0] - 1) * size)
        file.write(b"\xff" * 200)
    first = sum(cells for _, cells in leaves[:number]) + 1
    return list(range(first, first + leaves[number][1]))


def rows(store: Path, name: str = "index.db") -> list[tuple[int, bytes]]:
    """Position and commit of every row of an index."""
    with contextlib.closing(sqlite3.connect(store / "gitstore" / name)) as db:
        return db.execute("SELECT position, commit_id FROM events ORDER BY position").fetchall()


def kept(store: Path) -> list[Path]:
    """The indexes in gitstore/salvage."""
    return sorted((store / "gitstore" / "salvage").glob("index*.db"))


def refs(store: Path) -> str:
    """Every ref."""
    return git(store, "for-each-ref", "--format=%(refname) %(objectname)")


@pytest.mark.parametrize("lost", [drop_packs, drop_feed_pack])
@pytest.mark.parametrize("journal", [drop_journal, spoil_journal])
def test_without_journal_and_feed_the_index_stays(
    place: Path, lost: Callable[[Path], None], journal: Callable[[Path], None]
) -> None:
    """Neither an opening nor a look takes anything away; a repair gives every event back."""
    store = place / "events.git"
    before = filled(store)
    lost(store)
    journal(store)
    was, known = refs(store), rows(store)
    for _ in range(2):
        with pytest.raises(StoreCorrupted, match="feed is lost") as caught, reopen(store):
            pass
        assert "sc-events verify --repair" in caught.value.hint
        assert not inspect(store).ok
    assert (refs(store), rows(store)) == (was, known)
    assert inspect(store, repair=True).ok
    assert_sound(store, before)


def test_a_look_does_not_mend(place: Path) -> None:
    """A lost journal is named, and made anew by a repair or an opening only."""
    store = place / "events.git"
    before = filled(store)
    drop_journal(store)
    was = picture(store)
    report = inspect(store)
    assert [finding.kind for finding in report.findings] == ["journal"]
    assert report.events == len(before)
    assert inspect(store).findings == report.findings, "the second look finds what the first did"
    assert picture(store) == was
    report = inspect(store, repair=True)
    assert report.ok
    assert [finding.kind for finding in report.repaired] == ["journal"]
    assert_sound(store, before)


def test_a_lost_ref_of_the_feed_is_found_in_the_index(place: Path) -> None:
    """Where the journal is lost too, positions stay what they were."""
    store = place / "events.git"
    before = filled(store)
    drop_journal(store)
    git(store, "update-ref", "-d", FEED)
    assert_sound(store, before)


def test_a_rebuild_that_cannot_be_ended_changes_nothing(place: Path) -> None:
    """A read that comes by a damaged page is refused; the index is as it was."""
    store = place / "events.git"
    filled(store)
    drop_packs(store)
    spoil_page(store, 1)
    content = (store / "gitstore" / "index.db").read_bytes()
    with reopen(store) as opened:
        with pytest.raises(StoreCorrupted, match="cannot be rebuilt") as caught:
            list(opened.read_all())
        assert "sc-events verify --repair" in caught.value.hint
        with opened._parts.flush_lock.held(), pytest.raises(StoreCorrupted):
            recovery.rebuild_index(opened._parts)
    assert (store / "gitstore" / "index.db").read_bytes() == content
    assert not (store / "gitstore" / "rebuilding").exists()


@pytest.mark.parametrize("page", [0, 1, -1])
def test_a_damaged_page_costs_its_events_alone(place: Path, page: int) -> None:
    """Without any pack all events of the other pages come back, but the next of each stream.

    Those cannot be proved: what stood before them is part of their commits. The old index is kept.
    """
    store = place / "events.git"
    before = filled(store, 120)
    gone = set(spoil_page(store, page))
    drop_packs(store)
    report = inspect(store, repair=True)
    assert not report.ok
    with reopen(store) as opened:
        events = list(opened.read_all())
        found = {event.position for event in events}
        missing = set(range(1, 121)) - found
        assert gone <= missing
        assert len(missing) <= len(gone) + 3
        assert {tuple(promise(event)) for event in events} <= set(map(tuple, before))
        named = {finding.commit for finding in report.findings}
        assert {before[n - 1][3] for n in missing - gone} <= named
        recorded = opened.append(DomainEvent("task-new", "GoesOn"))
        assert recorded.position == (121 if page != -1 else min(gone))
        assert {e.stream_id: e.version for e in events}.keys() == {"task-0", "task-1", "task-2"}
        ends = [opened.append(DomainEvent(f"task-{n}", "GoesOn")).version for n in range(3)]
        assert ends == [43, 40, 40], "no version is given twice"
    assert len(kept(store)) == 1
    assert "quarantine" not in refs(store)


def test_an_index_that_keeps_the_store_closed_is_rebuilt(place: Path) -> None:
    """Damage that an opening comes by, together with damage in git: a repair begins before it."""
    store = place / "events.git"
    before = filled(store)
    git(store, "update-ref", "refs/streams/task-1", "refs/streams/task-1~1")
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db, db:
        db.execute("DELETE FROM streams WHERE name = 'task-1'")
    assert not inspect(store).ok
    assert inspect(store, repair=True).ok
    assert_sound(store, before)


def lose_bodies(place: Path, how: str) -> tuple[Path, list[Ack]]:
    """A store whose index has rows without data, and that has lost its packs."""
    store = place / "events.git"
    with reopen(store) as opened:
        before = [promise(opened.append(DomainEvent(f"s-{n}", "Noted", n))) for n in range(4)]
        large = [DomainEvent("big", "Large", str(n) * 9_000) for n in range(2)]
        before += map(promise, opened.append_many(large))
        opened.flush()
        if how == "trimmed":
            opened._parts.index.drop_bodies(0, 2)
    drop_packs(store)
    return store, before


@pytest.mark.parametrize("how", ["spilled", "trimmed"])
def test_rows_without_bodies_are_kept_and_named(place: Path, how: str) -> None:
    """Stream, version and commit are told; streams go on where they ended; refs stay."""
    store, before = lose_bodies(place, how)
    was, known = refs(store), rows(store)
    lost = before[4:] + (before[:2] if how == "trimmed" else [])
    for _ in range(3):
        report = inspect(store, repair=True)
        for stream, version, _, commit, _ in lost:
            messages = [f.message for f in report.findings if f.commit == commit]
            assert any(f"{stream}@{version}" in message for message in messages)
        streams = [line for line in refs(store).splitlines() if "refs/streams/" in line]
        assert streams == [line for line in was.splitlines() if "refs/streams/" in line]
        assert "quarantine" not in refs(store)
        assert len(kept(store)) == 1, "the first repair keeps it, the others have nothing to keep"
    assert rows(store, f"salvage/{kept(store)[0].name}") == known
    with reopen(store) as opened:
        readable = [ack for ack in before if ack not in lost]
        assert [promise(event) for event in opened.read_all()] == readable
        assert opened.append(DomainEvent("big", "GoesOn")).version == 3
        opened.flush()
        assert opened.append(DomainEvent("s-0", "GoesOn")).version == 2
    assert "quarantine" not in refs(store)


def test_a_kept_index_can_be_read(place: Path) -> None:
    """File and log lie under one name; a row that is not its commit's is kept there alone."""
    store = place / "events.git"
    with reopen(store) as opened:
        done = [opened.append(DomainEvent("a", "Noted", n)) for n in range(20)]
        opened.flush()
        drop_packs(store)
        with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db, db:
            db.execute("UPDATE events SET data = CAST('99' AS BLOB) WHERE position = 7")
        assert not opened.verify(repair=True).ok
        assert [e.event.data for e in opened.read_all()] == [n for n in range(20) if n != 6]
    (aside,) = kept(store)
    names = {path.name for path in aside.parent.glob("index*")}
    assert names <= {aside.name, f"{aside.name}-wal", f"{aside.name}-shm"}
    with contextlib.closing(sqlite3.connect(aside)) as db:
        found = db.execute("SELECT commit_id FROM events ORDER BY position").fetchall()
    assert [commit.hex() for (commit,) in found] == [event.commit for event in done]


def test_an_index_that_knows_more_than_the_feed_is_kept(place: Path) -> None:
    """A journal made anew from a feed that was moved back does not cost what lies behind."""
    store = place / "events.git"
    filled(store)
    git(store, "update-ref", FEED, git(store, "rev-parse", f"{FEED}~1").strip())
    drop_journal(store)
    known = rows(store)
    with reopen(store) as opened:
        assert len(list(opened.read_all())) == len(known)
    assert rows(store, f"salvage/{kept(store)[0].name}") == known


def test_a_killed_rebuild_is_begun_again(place: Path) -> None:
    """What it left beside the old index is in nobody's way."""
    store = place / "events.git"
    before = filled(store)
    left = store / "gitstore" / "rebuilding"
    left.mkdir()
    (left / "index.db").write_bytes(b"half of it")
    (left / "index.db-wal").write_bytes(b"half of it")
    drop_index(store)
    assert_sound(store, before)
    assert not left.exists()


@pytest.mark.parametrize("feed", [True, False], ids=["feed", "no-feed"])
def test_a_backup_is_looked_at_and_stays_one(place: Path, feed: bool) -> None:
    """A mirror that is fetched into is sound, and no store; damage in it is found."""
    store, backup = place / "events.git", place / "backup.git"
    filled(store)
    subprocess.run(["git", "clone", "--quiet", "--mirror", store, backup], check=True)
    assert inspect(backup).findings == ()
    with reopen(store) as opened:
        opened.append(DomainEvent("task-new", "Noted"))
    git(backup, "fetch", "--quiet")
    if not feed:
        git(backup, "update-ref", "-d", FEED)
    before = picture(backup)
    report = inspect(backup)
    assert (report.findings, report.events, report.streams) == ((), 61, 4)
    assert picture(backup) == before
    assert not (backup / "gitstore").exists()
    drop_packs(backup)
    assert not inspect(backup).ok


def test_the_head_of_a_remote_is_no_damage(place: Path) -> None:
    """Git makes it, symbolic; a repair leaves it. A stream's ref must not be one."""
    store = place / "events.git"
    filled(store)
    shutil.copytree(store, place / "other.git")
    git(store, "remote", "add", "origin", str(place / "other.git"))
    git(store, "fetch", "--quiet", "origin")
    git(store, "remote", "set-head", "origin", "main")
    assert inspect(store, repair=True).findings == ()
    head = store / "refs" / "remotes" / "origin" / "HEAD"
    assert head.read_text() == "ref: refs/remotes/origin/main\n"
    (store / "refs" / "streams" / "task-odd").write_text("ref: refs/streams/task-1\n")
    head.write_text("ref: nowhere\n")
    named = {finding.ref for finding in inspect(store).findings}
    assert named >= {"refs/streams/task-odd", "refs/remotes/origin/HEAD"}


def test_a_repair_writes_to_the_journal_under_its_lock(place: Path) -> None:
    """Who appends meanwhile waits, as for every other write."""
    store = place / "events.git"
    before = filled(store)
    with reopen(store) as opened:
        parts = opened._parts
        parts.journal.restart(7, parts.journal.state().feed, "another", renumber=False)
        restart, held = parts.journal.restart, []

        def watched(*given: object, **named: object) -> None:
            held.append(not parts.write_lock.try_acquire())
            restart(*given, **named)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts.journal, "restart", watched)
            assert opened.verify(repair=True).ok
    assert held == [True]
    with reopen(store) as opened:
        assert_whole(list(opened.read_all()), before)
