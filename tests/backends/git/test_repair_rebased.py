"""Stores that were rebased: rebuilt, repaired, copied and cloned, and the same afterwards."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore.backends.git import typeindex
from gitstore.backends.git.inspecting import inspect
from gitstore.backends.git.refeeding import _AT_ONCE
from tests.backends.git.breaking import look
from tests.backends.git.rebasing import back_to, copied, noted, rebase, rebased
from tests.backends.git.test_repair import (
    cut_packs,
    drop_feed_ref,
    drop_index,
    drop_pack_indexes,
    drop_packs,
    drop_refs,
    move_feed_back,
    move_feed_to_a_stream,
    spoil_index,
    spoil_pack_indexes,
    spoil_packs,
)
from tests.backends.git.witness import git, reopen


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rebased store that nobody changes."""
    return rebased(tmp_path_factory.mktemp("rebased") / "events.git", spilled="")


@pytest.fixture
def store(template: Path, place: Path) -> Path:
    """A copy of it."""
    return copied(template, place)


def index_of(store: Path) -> dict[str, object]:
    """Everything that the index says, by names instead of their numbers."""
    word = "(SELECT word FROM words WHERE id = {})"
    columns = (
        "position, (SELECT name FROM streams WHERE id = stream), version, time, event_id, "
        f"commit_id, {word.format('type')}, {word.format('user')}, {word.format('correlation')}, "
        "data, metadata, origin, superseded_by, tip"
    )
    asked = {
        "events": f"SELECT {columns} FROM every_event ORDER BY position",
        "streams": "SELECT name, category, version, commit_id, date FROM streams "
        "WHERE version > 0 ORDER BY name",
        "state": "SELECT * FROM state",
    }
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db:
        return {name: db.execute(statement).fetchall() for name, statement in asked.items()}


def test_a_rebuilt_index_is_the_same(store: Path) -> None:
    """Live and superseded rows, successors, tips, origins, heads: all from feed and git."""
    before = index_of(store)
    with reopen(store) as opened:
        epoch = opened.epoch
    drop_index(store)
    with reopen(store) as opened:
        assert opened.epoch == epoch == 28
    assert index_of(store) == before


DAMAGE: list[Callable[[Path], None]] = [
    drop_packs, drop_pack_indexes, spoil_pack_indexes, spoil_packs, cut_packs, drop_feed_ref,
    move_feed_back, move_feed_to_a_stream, drop_index, spoil_index, drop_refs,
]  # fmt: skip


def drop_superseded_refs(store: Path) -> None:
    """No tip that a rebase superseded has a ref."""
    shutil.rmtree(store / "refs" / "superseded")


def drop_superseded_commits(store: Path) -> None:
    """Git has lost what no stream holds; the index has it still."""
    drop_superseded_refs(store)
    with reopen(store) as opened:
        opened.maintain()
    git(store, "repack", "-adq")
    git(store, "prune", "--expire=now")


@pytest.mark.parametrize("damage", [*DAMAGE, drop_superseded_refs, drop_superseded_commits])
def test_what_is_left_rebuilds_what_is_lost(store: Path, damage: Callable[[Path], None]) -> None:
    """Commit for commit and position for position, what was superseded too."""
    before, index = look(store), index_of(store)
    damage(store)
    report = inspect(store, repair=True)
    assert report.ok, report.findings
    assert look(store) == before
    assert index_of(store)["events"] == index["events"]
    # Of a spoiled pack an old tree of the type index may be left whose notes are lost.
    for finding in inspect(store, deep=True).findings:
        assert damage in {spoil_packs, cut_packs}, finding
        assert re.match("git fsck: +(broken|to|missing) ", finding.message), finding
    kept = git(store, "for-each-ref", "--format=%(objectname)", "refs/superseded").split()
    assert len(kept) == 3


def test_lost_superseded_commits_are_named_as_such(store: Path) -> None:
    """They are not called commits that no stream has, and can be had again from the index."""
    drop_superseded_commits(store)
    lost = [f for f in inspect(store).findings if f.kind == "stream"]
    assert len(lost) == 11
    assert all("which a rebase superseded, is lost" in finding.message for finding in lost)
    assert all(finding.repairable for finding in lost if finding.stream)


def test_a_rebuild_goes_without_superseded_commits(store: Path) -> None:
    """Their loss costs no live event, no head, and neither an open nor a repair fails."""
    before = look(store)
    heads = index_of(store)["streams"]
    drop_superseded_commits(store)
    drop_index(store)
    assert look(store) == before
    assert index_of(store)["streams"] == heads
    with reopen(store) as opened:
        assert any("11 events are lost" in note for note in opened.status().notes)
    report = inspect(store, repair=True)
    assert all("which a rebase superseded, is lost" in f.message for f in report.findings)
    assert look(store) == before
    assert index_of(store)["streams"] == heads
    with reopen(store) as opened:
        assert opened.append(noted("task-1", "goes-on", 1)).version == 11


def test_status_counts_superseded_events_as_present(store: Path) -> None:
    """Nothing is lost; how many events of how many streams were superseded is told."""
    with reopen(store) as opened:
        status = opened.status()
    assert (status.events, status.streams) == (19, 3)
    assert (status.superseded, status.rebased) == (11, 2)
    assert status.notes == ()


def without_feed(store: Path) -> None:
    """Neither the feed's commits nor the index are left."""
    feed = set(git(store, "rev-list", "refs/feed").split())
    everything = git(store, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    kept = [line.split()[0] for line in everything if line.split()[0] not in feed]
    aside = store / "objects" / "pack" / "new"
    git(store, "pack-objects", "-q", str(aside), stdin="\n".join(kept) + "\n")
    for path in (store / "objects" / "pack").glob("pack-*"):
        path.unlink()
    for path in (store / "objects" / "pack").glob("new-*"):
        path.rename(path.with_name(path.name.replace("new-", "pack-")))
    drop_index(store)


def history(store: Path) -> list[tuple[object, ...]]:
    """Live and superseded events as a reader of both is given them, stream by stream."""
    with reopen(store) as opened:
        events = list(opened.read_all(superseded=True))
    by_position = {event.position: event.event.id for event in events}
    return sorted(
        (
            event.stream_id,
            event.version,
            event.commit,
            by_position.get(event.replaces or 0),
            by_position.get(event.superseded_by or 0),
        )
        for event in events
    )  # type: ignore[type-var]


def test_positions_given_anew_keep_the_history(store: Path) -> None:
    """What refs/superseded has gets positions again, in the order in which it came about."""
    before = history(store)
    with reopen(store) as opened:
        identity = opened.store_id
    without_feed(store)
    report = inspect(store, repair=True)
    assert report.ok, report.findings
    assert history(store) == before
    with reopen(store) as opened:
        assert opened.store_id != identity
        assert [e.position for e in opened.read_all(superseded=True)] == list(range(1, 31))


def test_positions_given_anew_leave_out_what_is_lost(store: Path) -> None:
    """Where no ref has what was superseded, the streams as they are make the new feed."""
    with reopen(store) as opened:
        live = [event.commit for event in opened.read_all()]
    drop_superseded_refs(store)
    without_feed(store)
    report = inspect(store, repair=True)
    assert report.ok, report.findings
    with reopen(store) as opened:
        events = list(opened.read_all())
        assert sorted(event.commit or "" for event in events) == sorted(filter(None, live))
        assert [event.position for event in events] == list(range(1, 20))
        assert opened.epoch == 0


def test_a_feed_made_anew_keeps_each_rebase_in_one_commit(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is longer than what a commit of the feed lists otherwise."""
    assert _AT_ONCE > 1
    store = rebased(place / "events.git")
    before = history(store)
    for damage in (_without_feed_commits, without_feed):
        damage(store)
        monkeypatch.setattr("gitstore.backends.git.refeeding._AT_ONCE", 2)
        assert inspect(store, repair=True).ok
        assert int(git(store, "rev-list", "--count", "refs/feed")) >= 6
        assert history(store) == before
        drop_index(store)
        assert history(store) == before


def _without_feed_commits(store: Path) -> None:
    index = store / "gitstore" / "index.db"
    with contextlib.closing(sqlite3.connect(index)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = index.read_bytes()
    without_feed(store)
    index.write_bytes(content)


def by_mirror(store: Path, copy: Path) -> None:
    """``git clone --mirror``."""
    subprocess.run(["git", "clone", "--quiet", "--mirror", store, copy], check=True)


def by_bundle(store: Path, copy: Path) -> None:
    """``git bundle``, and a mirror clone of that."""
    git(store, "bundle", "create", "--quiet", str(copy.with_suffix(".bundle")), "--all")
    by_mirror(copy.with_suffix(".bundle"), copy)


def by_copy(store: Path, copy: Path) -> None:
    """The files, as they are."""
    shutil.copytree(store, copy)


@pytest.mark.parametrize("way", [by_mirror, by_bundle, by_copy])
def test_a_backup_has_both_histories(
    store: Path, place: Path, way: Callable[[Path, Path], None]
) -> None:
    """A restored store reads, verifies and goes on as the one it was made from."""
    before = history(store)
    way(store, place / "backup.git")
    assert history(place / "backup.git") == before
    with reopen(place / "backup.git") as restored:
        assert restored.verify(deep=True).findings == ()
        assert restored.append(noted("task-1", "goes-on", 1)).version == 11
        rebase(restored, "task-1", 9, [noted("task-1", "again", 1)])
        assert restored.verify().findings == ()


def ids(events: object) -> list[str]:
    """The ids of plain events."""
    return [event.id for event in events]  # type: ignore[attr-defined]


@pytest.mark.parametrize("with_feed", [True, False])
def test_a_clone_that_is_only_read_gives_live_events(
    store: Path, place: Path, with_feed: bool
) -> None:
    """By type from the type index, which lists superseded commits too, even where they are here."""
    with reopen(store) as opened:
        wanted = ids(opened.get_events_by_type("Noted"))
        opened.index_types()
    clone = place / "clone.git"
    by_mirror(store, clone)
    if not with_feed:
        git(clone, "update-ref", "-d", "refs/feed")
    with reopen(clone, create=False) as read:
        found = ids(read.get_events_by_type("Noted"))
        assert found == wanted if with_feed else sorted(found) == sorted(wanted)
        if with_feed:
            assert [e.event.id for e in read.read_all()] == wanted
            assert read.epoch == 28
            assert read.verify().findings == ()
    assert not (clone / "gitstore").exists()


def test_a_clone_without_superseded_refs_is_read(store: Path, place: Path) -> None:
    """Feed and streams are all that live events need."""
    clone = place / "clone.git"
    git(place, "init", "--bare", "--quiet", str(clone))
    refs = ["refs/streams/*:refs/streams/*", "refs/feed:refs/feed", "refs/heads/main"]
    git(clone, "fetch", "--quiet", str(store), *refs[:2], "refs/heads/main:refs/heads/main")
    with reopen(store) as opened:
        wanted = [(e.position, e.commit) for e in opened.read_all()]
    with reopen(clone, create=False) as read:
        assert [(e.position, e.commit) for e in read.read_all()] == wanted
    with reopen(clone) as made:
        assert [(e.position, e.commit) for e in made.read_all()] == wanted


def test_the_type_index_lists_every_commit_once(store: Path) -> None:
    """Superseded ones too, however it was brought up; verify holds it against them."""
    with reopen(store) as opened:
        opened.index_types()
        said = git(store, "log", "-1", "--format=%s", "refs/notes/types").strip()
        assert said == "complete to position 30"
        lines = _lines(store)
        assert len(lines) == len(set(lines)) == 30
        with opened._parts.flush_lock.held():
            typeindex.rebuild(opened._parts)
        assert _lines(store) == lines
        assert opened.verify().ok


def test_a_commit_that_comes_back_is_listed_once(store: Path) -> None:
    """A rebase may lead to commits that an earlier one superseded."""
    with reopen(store) as opened:
        opened.index_types()
        back_to(opened, "a/b", "refs/superseded/a%2Fb/1", ["first"])
        assert [e.event.id for e in opened.read_stream("a/b")] == ["first", "before", "second"]
        opened.index_types()
        lines = _lines(store)
        assert len(lines) == len(set(lines)) == 32
        assert opened.verify(deep=True).findings == ()
        before = index_of(store)
        wanted = ids(opened.get_events_by_type("Noted"))
    drop_index(store)
    with reopen(store) as opened:
        assert opened.verify().findings == ()
    assert index_of(store) == before
    by_mirror(store, store.with_name("clone.git"))
    with reopen(store.with_name("clone.git"), create=False) as read:
        assert ids(read.get_events_by_type("Noted")) == wanted


def _lines(store: Path) -> list[str]:
    listed = git(store, "notes", "--ref=types", "list").splitlines()
    return sorted(
        line for note in listed for line in git(store, "cat-file", "blob", note[:40]).splitlines()
    )


def test_maintain_and_gc_keep_what_was_superseded(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trimmed or not: git holds it under refs/superseded, and reads take it from there."""
    monkeypatch.setattr("gitstore.backends.git.maintaining.BODIES_KEPT", 2)
    before = history(store)
    git(store, "gc", "--quiet", "--prune=now")
    with reopen(store) as opened:
        opened.maintain(trim=True)
        datas = [e.event.data for e in opened.read_all(superseded=True)]
        assert len(datas) == 30
        assert opened.verify(deep=True).findings == ()
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db:
        found = db.execute("SELECT count(*) FROM superseded WHERE metadata IS NOT NULL")
        assert found.fetchone() == (0,)
    git(store, "gc", "--quiet", "--prune=now")
    assert history(store) == before
