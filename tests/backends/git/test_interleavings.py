"""Interleavings that once lost, doubled or jumped over events; each is played step by step."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitstore import DomainEvent, WrongExpectedVersion, open_store
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.index import Index, IndexDamaged
from gitstore.backends.git.store import GitEventStore
from tests.backends.git.witness import assert_sound

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

    def gone(*_: object) -> None:
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
