"""Two writers of one layout, and a program without a lock, between any two steps of an append."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.jsonl.filing import Filing
from gitstore.backends.jsonl.journal import Journal
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.errors import StoreUnavailable, WrongExpectedVersion
from gitstore.core.expected import NO_STREAM
from gitstore.testing.support import T0, happened, ids, named, positions, versions
from tests.backends.jsonl.support import BrokenDisk

FILE = "2026-11-23/task-1.jsonl"


class Died(BaseException):
    """What ends an append in the middle, as a kill would."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the layout is."""
    return tmp_path / "events"


@pytest.fixture
def stores(place: Path) -> Iterator[tuple[JsonlEventStore, JsonlEventStore]]:
    """Two stores on one place."""
    with JsonlEventStore.open(place) as one, JsonlEventStore.open(place) as other:
        yield one, other


def check(place: Path) -> list[str | None]:
    """The ids of a store that is sound, and whose text index leads to each event."""
    with JsonlEventStore.open(place) as store:
        assert store.verify(deep=True).ok
        events = list(store.read_all())
    lines = (place / "indexes/by-stream.idx").read_text().splitlines()
    assert (
        positions(events)
        == list(range(1, len(events) + 1))
        == [int(x.split("\t")[0]) for x in lines]
    )
    for recorded, line in zip(events, lines, strict=True):
        _, _, _, file, offset = line.split("\t")
        with (place / file).open("rb") as data:
            data.seek(int(offset))
            assert json.loads(data.readline())["id"] == recorded.event.id
    return ids(events)


def before(patch: pytest.MonkeyPatch, kind: type, name: str, do: Callable[[], object]) -> None:
    """Do something once, right before a method of a class."""
    really = getattr(kind, name)

    def call(*given: Any, **more: Any) -> Any:
        patch.setattr(kind, name, really)
        do()
        return really(*given, **more)

    patch.setattr(kind, name, call)


def die() -> None:
    """End the append here."""
    raise Died


def test_two_writers_take_turns(
    stores: tuple[JsonlEventStore, JsonlEventStore], place: Path
) -> None:
    """Each sees the other's events at once: versions, ids and positions."""
    one, other = stores
    for n in range(20):
        (one, other)[n % 2].append(named("task-1", f"id-{n}"), n)
    assert one.append(named("task-1", "id-19")).position == 20
    assert other.append(named("task-1", "id-0")).position == 1
    with pytest.raises(WrongExpectedVersion):
        one.append(happened("task-1"), NO_STREAM)
    assert versions(other.read_stream("task-1")) == list(range(1, 21))
    assert check(place) == [f"id-{n}" for n in range(20)]


def test_an_append_in_doubt_is_tried_again(
    stores: tuple[JsonlEventStore, JsonlEventStore], place: Path
) -> None:
    """With its id it is recorded once, whoever has taken it for recorded meanwhile."""
    one, other = stores
    one.append(named("task-1", "id-0"))
    with pytest.MonkeyPatch.context() as patch:
        BrokenDisk(patch, good_writes=1)
        with pytest.raises(StoreUnavailable, match="not known") as error:
            one.append(happened("task-1"))
    event_id = error.value.hint.split(": ")[-1].rstrip(".")
    other.append(named("task-1", "id-2"))
    assert one.append(happened("task-1", id=event_id)).position == 2
    assert check(place) == ["id-0", event_id, "id-2"]


def test_what_a_writer_left_in_the_journal_is_recorded(
    stores: tuple[JsonlEventStore, JsonlEventStore],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One dies between journal and files: the other files it before its own, and reads it."""
    one, other = stores
    one.append(named("task-1", "first"))
    before(monkeypatch, Filing, "file_lines", die)
    with pytest.raises(Died):
        one.append_many([named("task-1", "left-1"), named("task-2", "left-2")])
    assert ids(other.read_all()) == ["first", "left-1", "left-2"]
    assert other.append(named("task-1", "after"), 2).position == 4
    assert ids(one.read_all()) == ["first", "left-1", "left-2", "after"]
    assert check(place) == ["first", "left-1", "left-2", "after"]


def test_what_died_before_the_journal_did_not_happen(
    stores: tuple[JsonlEventStore, JsonlEventStore],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One dies right before the write that records: nobody ever sees the event."""
    one, other = stores
    before(monkeypatch, Journal, "append", die)
    with pytest.raises(Died):
        one.append(named("task-1", "lost"))
    other.append(named("task-1", "kept"), NO_STREAM)
    assert ids(one.read_all()) == ["kept"]
    assert check(place) == ["kept"]


def test_an_interrupted_append_is_recorded_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between journal and files: the same store goes on after the event, not over it."""
    with JsonlEventStore.open(place) as store:
        before(monkeypatch, Filing, "file_lines", die)
        with pytest.raises(Died):
            store.append(named("task-1", "a"))
        assert store.append(named("task-1", "b")).position == 2
        assert store.append(named("task-1", "a")).position == 1
        assert ids(store.read_all()) == ["a", "b"]
    assert check(place) == ["a", "b"]


@pytest.mark.parametrize("foreign_version", [2, 3])
def test_a_line_that_comes_between_look_and_write(
    place: Path, monkeypatch: pytest.MonkeyPatch, foreign_version: int
) -> None:
    """A program without a lock is faster by a moment: the index leads to ours all the same."""
    line = {
        "id": "foreign",
        "streamId": "task-1",
        "type": "Happened",
        "version": foreign_version,
        "timestamp": "2026-11-23T08:00:00.000Z",
        "data": None,
        "metadata": {},
    }

    def write() -> None:
        with (place / FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")

    with JsonlEventStore.open(place) as store:
        store.append(named("task-1", "one"))
        before(monkeypatch, Filing, "file_lines", write)
        assert store.append(named("task-1", "ours")).version == 2
        store.append(happened("task-1", id="last", timestamp=T0))
    taken_in = ["foreign"] if foreign_version == 3 else []
    assert check(place) == ["one", "ours", *taken_in, "last"]


def test_a_store_that_was_opened_before_begins_anew_with_the_journal(
    stores: tuple[JsonlEventStore, JsonlEventStore], place: Path
) -> None:
    """One settles and closes, and the other goes on where the journal begins anew."""
    one, other = stores
    one.append(named("task-1", "a"))
    other.append(named("task-1", "b"))
    one.close()
    other.append(named("task-1", "c"))
    with JsonlEventStore.open(place) as third:
        third.append(named("task-1", "d"))
        other.append(named("task-1", "e"))
        assert ids(third.read_all()) == list("abcde")
    assert check(place) == list("abcde")


def test_a_store_closed_while_it_is_followed_ends_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, at any moment of the follower's look at the files."""
    store = JsonlEventStore.open(tmp_path / "events")
    store.append(happened("a"))
    coming = store.follow()
    next(coming)
    look = Journal.has_news

    def look_late(journal: Journal) -> bool:
        monkeypatch.undo()
        store.close()
        return look(journal)

    monkeypatch.setattr(Journal, "has_news", look_late)
    assert list(coming) == []
