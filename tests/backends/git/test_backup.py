"""Backup: a bundle, a mirror clone and a copy of the files; restoring is opening."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreUnavailable
from gitstore.backends.git.store import GitEventStore
from tests.backends.git.witness import assert_sound, filled, git, picture, reopen


def by_mirror(store: Path, backup: Path) -> None:
    """``git clone --mirror``."""
    subprocess.run(["git", "clone", "--quiet", "--mirror", store, backup], check=True)


def by_bundle(store: Path, backup: Path) -> None:
    """``git bundle``, and a mirror clone of that."""
    bundle = backup.with_suffix(".bundle")
    git(store, "bundle", "create", "--quiet", str(bundle), "--all")
    by_mirror(bundle, backup)


def by_copy(store: Path, backup: Path) -> None:
    """The files, as they are."""
    shutil.copytree(store, backup)


WAYS: list[Callable[[Path, Path], None]] = [by_mirror, by_bundle, by_copy]
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@each_way
def test_a_backup_is_restored_by_opening_it(place: Path, way: Callable[[Path, Path], None]) -> None:
    """Every event comes back in its place, with its commit, and the history goes on."""
    before = filled(place / "events.git", 30, 4)
    way(place / "events.git", place / "backup.git")
    with reopen(place / "backup.git") as restored:
        restored.append(DomainEvent("task-0", "GoesOn", {}))
        assert restored.verify().ok
    assert len(assert_sound(place / "backup.git", before)) == 31
    assert_sound(place / "events.git", before)


@each_way
def test_a_restored_store_has_an_id_of_its_own(
    place: Path, way: Callable[[Path, Path], None]
) -> None:
    """A consumer's checkpoint of the other store must not be applied to it; and it keeps its id."""
    filled(place / "events.git", 3, 1)
    way(place / "events.git", place / "backup.git")
    with reopen(place / "events.git") as store, reopen(place / "backup.git") as restored:
        known = restored.store_id
        assert known != store.store_id
    with reopen(place / "backup.git") as again:
        assert again.store_id == known
    (place / "backup.git" / "gitstore" / "index.db").unlink()
    with reopen(place / "backup.git") as again:
        assert again.store_id == known
        assert [event.position for event in again.read_all()] == [1, 2, 3]


def test_events_that_waited_in_a_copied_journal_are_restored(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the files has what was durable and not in git yet; git's own ways have not."""
    monkeypatch.setattr("gitstore.backends.git.background.BackgroundFlush.wake", lambda _: None)
    with reopen(place / "events.git") as store:
        store.append(DomainEvent("task-0", "Noted", 1))
        store.flush()
        store.append(DomainEvent("task-0", "Noted", 2))
        by_copy(place / "events.git", place / "copy.git")
        by_mirror(place / "events.git", place / "mirror.git")
    for name, data in (("copy.git", [1, 2]), ("mirror.git", [1])):
        with reopen(place / name) as restored:
            assert [event.event.data for event in restored.read_all()] == data
        assert_sound(place / name)


def test_a_lost_journal_begins_a_new_store_id(place: Path) -> None:
    """Positions that only the journal knew are given again, which no checkpoint must go by."""
    filled(place / "events.git", 3, 1)
    with reopen(place / "events.git") as store:
        known = store.store_id
    (place / "events.git" / "gitstore" / "journal.db").unlink()
    with reopen(place / "events.git") as store:
        assert store.store_id != known
        assert [event.position for event in store.read_all()] == [1, 2, 3]
    assert_sound(place / "events.git")


def test_a_restored_mirror_neither_overwrites_nor_is_overwritten(place: Path) -> None:
    """Its remote does not mirror any more: a fetch leaves its streams, a push the other's."""
    before = filled(place / "events.git", 3, 1)
    by_mirror(place / "events.git", place / "backup.git")
    with reopen(place / "backup.git") as restored:
        restored.append(DomainEvent("task-0", "Ours", {}))
    git(place / "backup.git", "fetch", "--quiet", "origin")
    git(place / "backup.git", "push", "--quiet", "origin", check=False)
    assert len(assert_sound(place / "backup.git", before)) == 4
    assert len(assert_sound(place / "events.git", before)) == 3
    assert git(place / "backup.git", "config", "gc.auto").strip() == "0"
    assert (place / "backup.git").stat().st_mode & 0o777 == 0o700


def test_a_clone_of_an_empty_store_is_another_store(place: Path) -> None:
    """Nothing has happened in either; from now on they are two."""
    with reopen(place / "events.git") as store:
        known = store.store_id
    by_mirror(place / "events.git", place / "backup.git")
    with reopen(place / "backup.git") as restored:
        assert isinstance(restored, GitEventStore)
        assert restored.store_id != known
        restored.append(DomainEvent("task-0", "First", {}))
    assert_sound(place / "backup.git")


def test_a_mirror_is_brought_up_to_date_by_a_fetch(place: Path) -> None:
    """A backup that nobody has opened follows its store; a copy of it is what is opened."""
    filled(place / "events.git", 3, 1)
    by_mirror(place / "events.git", place / "backup.git")
    with reopen(place / "events.git") as store:
        store.append(DomainEvent("task-new", "Noted", {}))
    git(place / "backup.git", "fetch", "--quiet")
    shutil.copytree(place / "backup.git", place / "restored.git")
    with reopen(place / "restored.git") as restored:
        assert [event.position for event in restored.read_all()] == [1, 2, 3, 4]
    assert_sound(place / "restored.git")


def test_a_backup_that_is_only_read_stays_a_backup(place: Path) -> None:
    """Who looks into a mirror does not make a store of it: later fetches go on arriving."""
    filled(place / "events.git", 3, 1)
    by_mirror(place / "events.git", place / "backup.git")
    before = picture(place / "backup.git")
    with reopen(place / "backup.git", create=False) as looked:
        assert [event.position for event in looked.read_all()] == [1, 2, 3]
        assert looked.verify().ok
        with pytest.raises(StoreUnavailable, match="read only"):
            looked.append(DomainEvent("task-0", "Noted", {}))
    assert picture(place / "backup.git") == before
    with reopen(place / "events.git") as store:
        store.append(DomainEvent("task-0", "Noted", {}))
    git(place / "backup.git", "fetch", "--quiet")
    with reopen(place / "backup.git", create=False) as looked:
        assert looked.last_position() == 4


def test_a_copy_that_is_opened_to_read_is_known_when_it_is_written(place: Path) -> None:
    """Whoever appends to a copy gets an id of its own, also through a store opened to read."""
    filled(place / "events.git", 3, 1)
    by_copy(place / "events.git", place / "copy.git")
    with reopen(place / "copy.git", create=False) as copy, reopen(place / "events.git") as store:
        copy.append(DomainEvent("task-0", "Ours", {}))
        assert copy.store_id != store.store_id
