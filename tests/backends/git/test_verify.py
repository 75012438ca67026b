"""``verify``: what it finds, what it calls it, and whom it leaves alone."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent, EventStoreError
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.inspecting import inspect
from gitstore.core.errors import StoreNotFound
from gitstore.core.findings import VerifyReport
from tests.backends.git.witness import assert_whole, filled, git, picture, promise, reopen


def kinds(report: VerifyReport) -> set[str]:
    """The kinds of what was found."""
    return {finding.kind for finding in report.findings}


def sql(store: Path, statement: str) -> None:
    """Change ``index.db`` behind everybody's back."""
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db, db:
        db.execute(statement)


def test_a_sound_store_is_sound_and_stays_as_it_is(place: Path) -> None:
    """Nothing is found, everything is counted, nothing of git's is changed; deep too."""
    store = place / "events.git"
    filled(store, 40, 7)
    with reopen(store) as opened:
        before = picture(store)
        for deep in (False, True):
            report = opened.verify(deep=deep)
            assert (report.findings, report.repaired) == ((), ())
            assert (report.ok, report.events, report.streams) == (True, 40, 7)
        assert picture(store) == before


def test_events_that_wait_are_verified_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the journal alone counts, and must continue its stream."""
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)
    with reopen(place / "events.git") as opened:
        opened.append(DomainEvent("task-1", "Noted", 1))
        opened.flush()
        opened.append(DomainEvent("task-1", "Noted", 2))
        opened.append(DomainEvent("task-2", "Noted", "s" * 9_000))
        report = opened.verify()
        assert (report.findings, report.events, report.streams) == ((), 3, 2)
        journal = place / "events.git" / "gitstore" / "journal.db"
        with contextlib.closing(sqlite3.connect(journal)) as db, db:
            db.execute("UPDATE pending SET type = 'Forged' WHERE version = 2")
        report = opened.verify()
        assert kinds(report) >= {"journal"}
        assert "task-1@2" in report.findings[0].message
        report = opened.verify(repair=True)
        assert report.ok
        assert any("task-1@2" in finding.message for finding in report.repaired)
        assert [e.event.data for e in opened.read_all()] == [1, "s" * 9_000]
    assert list((place / "events.git" / "gitstore" / "salvage").glob("journal-*.db"))


def test_progress_is_told(place: Path) -> None:
    """What, how much of it is done, and of how much; never more than all."""
    told: list[tuple[str, int, int]] = []
    with reopen(place / "events.git") as opened:
        opened.append_many([DomainEvent("task-1", "Noted", n) for n in range(2_500)])
        opened.verify(progress=lambda *step: told.append(step))
    assert ("Verifying", 2_000, 2_500) in told
    assert all(0 <= done <= total for _, done, total in told)


CHANGES = {
    "data": "UPDATE events SET data = x'7b226e223a39397d' WHERE position = 5",
    "metadata": "UPDATE events SET metadata = x'7b2261223a317d' WHERE position = 5",
    "no JSON": "UPDATE events SET data = x'7b' WHERE position = 5",
    "a time": "UPDATE events SET time = time + 1000 WHERE position = 5",
    "a user": "UPDATE events SET user = 1 WHERE position = 5",
    "a text for a number": "UPDATE events SET time = 'never' WHERE position = 5",
    "an event id": "UPDATE events SET event_id = 'x' WHERE position = 5",
    "a UUID as a text": "UPDATE events SET event_id = '01939c1e-5d3f-7c4e-9d58-0f6f2b1c7a11' "
    "WHERE position = 5",
    "a type": "UPDATE words SET word = 'Forged'",
    "a row": "DELETE FROM events WHERE position = 5",
    "the last row": "DELETE FROM events WHERE position = 12",
    "a head": "UPDATE streams SET version = version + 1 WHERE id = 1",
    "a category": "UPDATE streams SET category = 'x' WHERE id = 1",
    "a stream": "DELETE FROM streams WHERE id = 1",
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_the_index_says_is_held_against_git(place: Path, what: str) -> None:
    """A row changed by SQL is found, although every page is sound, and a repair puts it right."""
    store = place / "events.git"
    before = filled(store)
    sql(store, CHANGES[what])
    with reopen(store) as opened:
        report = opened.verify()
        assert not report.ok
        assert all(finding.repairable for finding in report.findings)
        report = opened.verify(repair=True)
        assert report.ok
        assert report.repaired
        assert_whole(list(opened.read_all()), before)


def test_a_secondary_index_that_lies_is_found(place: Path) -> None:
    """A row that no look-up by type would find: SQLite's own check of every index."""
    store = place / "events.git"
    filled(store)
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_schema WHERE name = 'events_by_type'")
        db.execute("PRAGMA writable_schema = OFF")
        db.commit()
    report = inspect(store)
    assert kinds(report) == {"index"}
    assert inspect(store, repair=True).ok


def test_deep_says_what_git_fsck_says(place: Path) -> None:
    """What only git's own check knows becomes a finding: here an object that another ref lacks."""
    store = place / "events.git"
    filled(store)
    tree = f"100644 blob {'1' * 40}\tlost\n"
    made = git(store, "mktree", "--missing", stdin=tree).strip()
    git(store, "update-ref", "refs/heads/mine", _commit(store, made))
    with reopen(store) as opened:
        assert opened.verify().ok
        report = opened.verify(deep=True)
    assert kinds(report) == {"objects"}
    assert any("missing blob" in finding.message for finding in report.findings)


def _commit(store: Path, tree: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@x")
    return git(store, *identity, "commit-tree", tree, "-m", "mine").strip()


REFS: dict[str, tuple[str, str]] = {
    "garbage": ("refs/streams/task-0", "garbage\n"),
    "symbolic": ("refs/streams/task-0", "ref: refs/streams/task-1\n"),
    "empty": ("refs/streams/task-0", ""),
    "a file that is no ref": ("refs/streams/notes.txt", "remember the milk\n"),
    "the feed": ("refs/feed", "garbage\n"),
}


@pytest.mark.parametrize("what", REFS)
def test_a_ref_file_without_an_id_is_named_and_mended(place: Path, what: str) -> None:
    """Verify names it from outside also where the store cannot be opened with it."""
    store = place / "events.git"
    before = filled(store)
    name, content = REFS[what]
    (store / name).unlink(missing_ok=True)
    (store / name).write_text(content)
    report = inspect(store)
    if not report.ok:  # a store that mends it by itself when it is opened need not name it
        assert name in {finding.ref for finding in report.findings}
    assert inspect(store, repair=True).ok
    with reopen(store) as opened:
        assert_whole(list(opened.read_all()), before)
    assert git(store, "fsck", "--strict", "--no-dangling") == ""


def test_verify_beside_writers_finds_nothing_and_keeps_nobody_waiting(place: Path) -> None:
    """Appends, flushes and batches go on meanwhile; what they move is never called damage."""
    store = place / "events.git"
    stop = threading.Event()
    longest = [0.0]

    def write(number: int) -> None:
        with reopen(store) as opened:
            count = 0
            while not stop.is_set():
                begun = time.monotonic()
                size = 300 if count % 10 == number else 1
                opened.append_many(
                    [DomainEvent(f"task-{number}-{n % 7}", "Noted", count) for n in range(size)]
                )
                longest[0] = max(longest[0], time.monotonic() - begun)
                if count % 5 == 0:
                    opened.flush()
                count += 1

    with reopen(store) as opened:
        opened.append_many([DomainEvent(f"task-{n % 50}", "Noted", n) for n in range(20_000)])
        threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        try:
            reports = [opened.verify() for _ in range(3)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert [report.findings for report in reports] == [(), (), ()]
    assert longest[0] < 5  # a whole verify takes as long as that; a flush does not


def test_a_read_only_store_is_verified_without_writing(place: Path) -> None:
    """Everything is looked at; a repair is refused in words."""
    store = place / "events.git"
    filled(store)
    with reopen(store) as opened:
        parts = opened._parts
        object.__setattr__(parts, "read_only", True)
        before = picture(store)
        assert opened.verify().findings == ()
        assert picture(store) == before
        with pytest.raises(EventStoreError, match="read only") as caught:
            opened.verify(repair=True)
        assert caught.value.hint
        object.__setattr__(parts, "read_only", False)


def test_a_read_only_look_beside_a_writer(place: Path) -> None:
    """Who cannot take the lock takes no flush for damage."""
    store = place / "events.git"
    filled(store, 300, 9)
    stop = threading.Event()

    def write() -> None:
        with reopen(store) as writer:
            while not stop.wait(0.02):
                writer.append(DomainEvent("task-1", "Noted"))
                writer.flush()

    with reopen(store) as opened:
        object.__setattr__(opened._parts, "read_only", True)
        thread = threading.Thread(target=write)
        thread.start()
        try:
            reports = [opened.verify() for _ in range(5)]
        finally:
            stop.set()
            thread.join()
            object.__setattr__(opened._parts, "read_only", False)
    assert [report.findings for report in reports] == [()] * 5


def test_what_was_never_a_store_is_not_found(place: Path) -> None:
    """No report, and above all no repair, of somebody else's directory."""
    (place / "other").mkdir()
    (place / "other" / "file").write_text("mine")
    for path in (place / "other", place / "nowhere"):
        with pytest.raises(StoreNotFound):
            inspect(path, repair=True)
    assert [path.name for path in place.rglob("*")] == ["other", "file"]


def test_a_bare_repository_is_not_made_a_store(place: Path) -> None:
    """A git repository that is no event store is left alone."""
    git(place / "plain.git", "init", "--bare", "--quiet", str(place / "plain.git"))
    before = picture(place / "plain.git")
    with pytest.raises(EventStoreError):
        inspect(place / "plain.git", repair=True)
    assert picture(place / "plain.git") == before


def test_a_store_of_a_newer_format_is_refused_and_not_put_back(place: Path) -> None:
    """A format this version does not know is no damage."""
    store = place / "events.git"
    filled(store)
    tree = git(store, "rev-parse", "refs/heads/main^{tree}").strip()
    identity = ("-c", "user.name=x", "-c", "user.email=x@x")
    newer = git(store, *identity, "commit-tree", tree, "-m", "gitstore format 2").strip()
    git(store, "update-ref", "refs/heads/main", newer)
    with pytest.raises(EventStoreError, match="format 2"):
        inspect(store, repair=True)
    assert git(store, "rev-parse", "refs/heads/main").strip() == newer


UNOPENABLE: dict[str, Callable[[Path], None]] = {
    "no HEAD": lambda store: (store / "HEAD").unlink(),
    "HEAD is garbage": lambda store: _write(store / "HEAD", b"\xff" * 20),
    "no config": lambda store: (store / "config").unlink(),
    "config is garbage": lambda store: _write(store / "config", b"[core\nbare"),
    "no format ref": lambda store: git(store, "update-ref", "-d", "refs/heads/main"),
    "the format is garbage": lambda store: _write(store / "refs/heads/main", b"garbage"),
    "packed-refs is garbage": lambda store: _write(store / "packed-refs", b"^\xff\xfe garbage"),
    "no local directory": lambda store: shutil.rmtree(store / "gitstore"),
    "no refs": lambda store: shutil.rmtree(store / "refs"),
}


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize("what", UNOPENABLE)
def test_a_store_that_cannot_be_opened_is_looked_at_from_outside(place: Path, what: str) -> None:
    """Verify reports what it can, and a repair makes it a store again, with every event."""
    store = place / "events.git"
    before = filled(store, 30, 4)
    UNOPENABLE[what](store)
    report = inspect(store)
    mended = inspect(store, repair=True)
    assert mended.ok, mended.findings
    assert report.ok or mended.repaired or report.findings
    with reopen(store) as opened:
        assert_whole(list(opened.read_all()), before)
        assert opened.verify(deep=True).findings == ()
        last = opened.append(DomainEvent("task-0", "GoesOn"))
    assert last.position == 31
    assert promise(last)[1] == 9
