"""Interleavings that once lost, doubled or jumped over events; each is played step by step."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreUnavailable, WrongExpectedVersion, open_store
from gitstore.backends.git import arrivals, background, refs
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.index import Index
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.store import GitEventStore
from tests.backends.git.witness import assert_sound, git, reopen

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(place: Path, monkeypatch: pytest.MonkeyPatch) -> GitEventStore:
    """A store that flushes only when it is told to."""
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)
    opened = open_store(place / "events.git")
    assert isinstance(opened, GitEventStore)
    return opened


@pytest.mark.parametrize("backwards", [False, True])
def test_a_flush_between_two_pages_of_a_filtered_read(
    store: GitEventStore, backwards: bool
) -> None:
    """What waited when the read began, and was flushed since, is given all the same."""
    store.append_many([DomainEvent(f"task-{n % 7}", "Noted", n) for n in range(400)])
    for number in range(400, 600):
        store.append(DomainEvent("task-0", "Noted", number))
    reading = store.read_all(since=LONG_AGO, backwards=backwards)
    seen = [next(reading).event.data]
    store.flush()
    seen += [recorded.event.data for recorded in reading]
    assert sorted(seen) == list(range(600))
    store.close()


def test_a_batch_whose_index_row_cannot_be_written_is_recorded_once(
    store: GitEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its intent on a batch is recorded: an index that is gone does not double it."""
    store.append_many([DomainEvent("task-0", "Noted", n) for n in range(300)])

    def gone(*_: object, **__: object) -> None:
        raise IndexDamaged("another file is in its place")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "add", gone)
        recorded = store.append_many([DomainEvent("task-0", "Noted", n) for n in range(300, 600)])
    assert [r.position for r in recorded] == list(range(301, 601))
    assert [r.event.data for r in store.read_all()] == list(range(600))
    store.flush()
    assert store.verify().ok
    store.close()


def test_an_expectation_is_not_held_against_what_was_cached(
    store: GitEventStore, place: Path
) -> None:
    """Another writer's event counts at once, for an exact expectation and for its error."""
    store.append(DomainEvent("task-0", "Noted", 1))
    with open_store(place / "events.git") as other:
        other.append(DomainEvent("task-0", "Noted", 2))
        assert store.append(DomainEvent("task-0", "Noted", 3), 2).version == 3
        other.append(DomainEvent("task-0", "Noted", 4))
        with pytest.raises(WrongExpectedVersion) as caught:
            store.append(DomainEvent("task-0", "Noted", 5), 3)
    assert caught.value.actual == 4
    store.close()


def test_a_damaged_page_of_the_index_is_rebuilt_by_a_reader(
    store: GitEventStore, place: Path
) -> None:
    """A file whose first page is sound and whose others are not is mended, not asked for ever."""
    store.append_many([DomainEvent(f"task-{n}", "Noted", n) for n in range(2_000)])
    store.close()
    index = place / "events.git" / "gitstore" / "index.db"
    content = bytearray(index.read_bytes())
    for page in range(4, len(content) // 4_096):
        content[page * 4_096 : page * 4_096 + 64] = b"\xff" * 64
    index.write_bytes(content)
    with open_store(place / "events.git") as opened:
        assert [r.event.data for r in opened.read_all()] == list(range(2_000))
    assert len(assert_sound(place / "events.git")) == 2_000


def test_two_stores_do_not_take_turns_in_rebuilding(store: GitEventStore, place: Path) -> None:
    """A sound index that another process put there is taken over, not deleted."""
    store.append(DomainEvent("task-0", "Noted", 1))
    store.flush()
    index = place / "events.git" / "gitstore" / "index.db"
    shutil.copy(index, index.with_suffix(".copy"))
    index.with_suffix(".copy").replace(index)
    theirs = index.stat().st_ino
    store.append(DomainEvent("task-0", "Noted", 2))
    store.flush()
    assert index.stat().st_ino == theirs
    assert [r.event.data for r in store.read_all()] == [1, 2]
    store.close()


@pytest.mark.parametrize("names", [[1, "a"], "\ud800", [None]])
def test_what_is_no_name_is_refused_by_a_filter(store: GitEventStore, names: object) -> None:
    """``ValueError`` at the call, not an index that seems damaged."""
    store.append(DomainEvent("task-0", "Noted", 1))
    store.flush()
    with pytest.raises(ValueError, match=r"name|surrogates"):
        store.read_all(types=names)  # type: ignore[arg-type]
    store.close()


def _without_journal(store: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (store / "gitstore" / f"journal.db{suffix}").unlink(missing_ok=True)


def test_a_flush_after_the_journal_was_taken_away(store: GitEventStore, place: Path) -> None:
    """What waits in a journal nobody else sees any more neither displaces others nor is lost."""
    store.append(DomainEvent("task-0", "Noted", 1))
    store.flush()
    store.append(DomainEvent("task-0", "Noted", 2))
    _without_journal(place / "events.git")
    with open_store(place / "events.git") as other:
        theirs = other.append(DomainEvent("task-1", "Noted", 3))
        store.flush()
        other.flush()  # type: ignore[attr-defined]
        assert other.find_event(theirs.event.id or "") == theirs
        assert [r.event.data for r in other.read_all()] == [1, 3, 2]
    store.close()
    assert_sound(place / "events.git")


def test_a_reader_finds_the_journal_that_took_the_place_of_its_own(
    store: GitEventStore, place: Path
) -> None:
    """A process that only reads or follows sees what others append after the journal was lost."""
    store.append(DomainEvent("task-0", "Noted", 1))
    store.flush()
    following = store.follow()
    assert next(following).position == 1
    _without_journal(place / "events.git")
    with open_store(place / "events.git") as other:
        other.append(DomainEvent("task-0", "Noted", 2))
        assert next(following).position == 2
        assert [r.position for r in store.read_all()] == [1, 2]
    store.close()


def test_a_foreign_feed_that_continues_ours_is_no_crash_of_ours(
    store: GitEventStore, place: Path
) -> None:
    """A mirror fetch from a copy that went on does not push our waiting events off the feed."""
    store.append(DomainEvent("task-0", "Noted", 1))
    store.flush()
    copy = place / "copy.git"
    shutil.copytree(place / "events.git", copy)
    with reopen(copy) as other:
        other.append(DomainEvent("theirs", "Noted", 2))
        other.flush()
    ours = store.append(DomainEvent("ours", "Noted", 3))
    git(place / "events.git", "fetch", "-q", "--update-head-ok", str(copy), "+refs/*:refs/*")
    store.flush()
    store.close()
    (place / "events.git" / "gitstore" / "index.db").unlink()
    with reopen(place / "events.git") as again:
        assert again.find_event(ours.event.id or "") == ours
        assert [r.stream_id for r in again.read_all()] == ["task-0", "ours", "theirs"]
        kept = [f.ref for f in again.verify().findings]
        assert kept == ["refs/quarantine/outside/feed"]


def test_an_adoption_in_parts_stops_where_the_feed_is_stuck(
    store: GitEventStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part of what was adopted is listed before the part in front of it."""
    monkeypatch.setattr(arrivals, "AT_ONCE", 5)
    monkeypatch.setattr(refs, "_LOCK_TIMEOUT", 0.1)
    store.append(DomainEvent("task-0", "Noted", 1))
    store.flush()
    copy = place / "copy.git"
    shutil.copytree(place / "events.git", copy)
    with reopen(copy) as other:
        other.append_many([DomainEvent(f"theirs-{n // 6}", "Noted", n) for n in range(12)])
    git(place / "events.git", "fetch", "-q", str(copy), "+refs/streams/*:refs/streams/*")
    lock = place / "events.git" / "refs" / "feed.lock"
    lock.touch()
    with contextlib.suppress(StoreUnavailable):
        store.flush()
    lock.unlink()
    store.flush()
    store.flush()
    store.close()
    (place / "events.git" / "gitstore" / "index.db").unlink()
    assert len(assert_sound(place / "events.git")) == 13


def test_names_belong_to_the_index_they_were_read_from(
    store: GitEventStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader inside a page goes on with its own names when the index is rebuilt beside it."""
    for name in ("z", "m", "a"):
        store.append(DomainEvent(name, f"Type-{name}", {"long": "x" * 20_000}))
        store.flush()
    want = [(r.stream_id, r.event.type) for r in store.read_all()]
    store.close()
    again, other = reopen(place / "events.git"), reopen(place / "events.git")
    really = Index._read_body
    rebuilt: list[threading.Thread] = []

    def beside(index: Index, commit: str) -> object:
        if not rebuilt:
            other._upkeep.repair_index(rebuild=True)
            rebuilt.append(threading.Thread(target=lambda: list(again.read_stream("z"))))
            rebuilt[0].start()
            rebuilt[0].join()
        return really(index, commit)

    monkeypatch.setattr(Index, "_read_body", beside)
    assert [(r.stream_id, r.event.type) for r in again.read_all()] == want
    assert rebuilt
    again.close()
    other.close()


def test_an_index_that_lags_behind_is_not_declared_complete(
    store: GitEventStore, place: Path
) -> None:
    """A flush that finds the index elsewhere than the journal says makes it good first."""
    for number in range(3):
        store.append(DomainEvent("task-0", "Noted", number))
        store.flush()
    index = sqlite3.connect(place / "events.git" / "gitstore" / "index.db")
    first = git(place / "events.git", "rev-parse", "refs/feed~1").strip()
    index.execute("DELETE FROM events WHERE position = 3")
    index.execute("UPDATE state SET through = 2, feed = ?", (first,))
    index.commit()
    index.close()
    store.append(DomainEvent("task-0", "Noted", 3))
    store.flush()
    assert [r.event.data for r in store.read_all()] == [0, 1, 2, 3]
    store.close()


def test_the_flush_thread_survives_a_defect(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw is logged and tried again; events do not wait for ever in the journal."""
    monkeypatch.setattr(background, "_RETRY", 0.01)
    failures = iter([ZeroDivisionError("unforeseen")])
    really = Flusher.flush

    def fails_once(flusher: Flusher, **options: bool) -> None:
        for error in failures:
            raise error
        really(flusher, **options)

    with reopen(place / "events.git") as opened:
        monkeypatch.setattr(Flusher, "flush", fails_once)
        opened.append(DomainEvent("task-0", "Noted", 1))
        deadline = time.monotonic() + 30
        while opened.status().unflushed and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not opened.status().unflushed
    assert "unforeseen" in caplog.text


def test_a_journal_put_aside_between_the_look_and_the_write(
    store: GitEventStore, place: Path
) -> None:
    """An append that meets another process's salvage goes into the new journal."""
    store.append(DomainEvent("task-0", "Noted", 1))
    looked = store._upkeep.look_outside

    def salvaged_meanwhile() -> None:
        looked()
        db = sqlite3.connect(place / "events.git" / "gitstore" / "journal.db")
        db.execute("UPDATE pending SET data = x'00'")
        db.commit()
        db.close()
        reopen(place / "events.git").close()

    store._upkeep.look_outside = salvaged_meanwhile  # type: ignore[method-assign]
    acknowledged = store.append(DomainEvent("task-1", "Noted", 2))
    with reopen(place / "events.git") as other:
        assert other.find_event(acknowledged.event.id or "") == acknowledged
    store._upkeep.look_outside = looked  # type: ignore[method-assign]
    store.close()
