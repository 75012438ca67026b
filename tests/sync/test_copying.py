"""Copies between any two stores: what they hold, where they go on, and what they refuse."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

import gitstore
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import ForeignCheckpoint, InvalidEvent, StoreCorrupted
from gitstore.core.event import DomainEvent
from gitstore.sync import copying
from gitstore.sync.copying import CopySummary, StoresDiffer, copy, follow_copy
from gitstore.sync.layouts import follow_layout
from tests.backends.git.rebasing import noted, rebase
from tests.backends.git.witness import reopen
from tests.sync import programs
from tests.sync.support import event, exported, memory_store, several

KINDS = ("memory", "git", "sqlite", "jsonl")
LASTING = KINDS[1:]
PAIRS = [pytest.param(*pair, id=f"{pair[0]}-{pair[1]}") for pair in product(KINDS, KINDS)]
Make = Callable[[str, str], BaseEventStore]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Open the store of a kind and a name; at the end each is verified, and closed."""
    with contextlib.ExitStack() as ends:

        def make(kind: str, name: str) -> BaseEventStore:
            store = ends.enter_context(gitstore.open_store(place(tmp_path, kind, name)))
            ends.callback(_check, store)
            return store

        yield make


def _check(store: BaseEventStore) -> None:
    report = store.verify()
    assert report.ok, report.findings


def place(folder: Path, kind: str, name: str) -> str:
    """The address of a store in this folder."""
    return "memory:" if kind == "memory" else f"{kind}:{folder / name}"


def said(store: BaseEventStore) -> list[DomainEvent]:
    """All that a store says, in order."""
    return [recorded.event for recorded in store.read_all()]


ODD = [
    DomainEvent("task-ü/é%2F", "Ünïcode", "\u2028\x85\r\n\x00", {"k": [1, 1.0, 1e16, True, None]}),
    DomainEvent("..", "T", [[[{}]]], {"userId": 7, "": {"a": -(2**63), "b": 2**64 - 1}}),
    DomainEvent("TASK-1", "T/t", {"big": "x" * 20_000}),
    DomainEvent("task-1", "T", 0.1),
]
"""Names, values and sizes that each format has to write in its own way."""


@pytest.mark.parametrize(("kind", "to"), PAIRS)
def test_a_copy_says_the_same_in_the_same_order(make: Make, kind: str, to: str) -> None:
    """Ids, versions, times, data and metadata, to the byte; positions are the target's own."""
    source, target = make(kind, "source"), make(to, "target")
    source.append_many([*several(40), *ODD])
    source.append(ODD[0])
    streams = len(list(source.streams()))
    assert copy(source, target) == CopySummary(45, streams, 45, 45)
    assert said(target) == said(source)
    assert exported(target) == exported(source)
    assert [r.position for r in target.read_all()] == list(range(1, 46))


@pytest.mark.parametrize(("kind", "to"), PAIRS)
def test_a_copy_goes_on_where_it_ended(make: Make, kind: str, to: str) -> None:
    """Only what is new is written; everything is compared each time."""
    source, target = make(kind, "source"), make(to, "target")
    source.append_many(several(7))
    copy(source, target)
    assert copy(source, target) == CopySummary(0, 0, 7, 7)
    source.append_many([event(100, "task-0"), event(101, "new")])
    assert copy(source, target) == CopySummary(2, 2, 9, 9)
    assert said(target) == said(source)


def test_a_copy_of_a_copy_has_the_commits_of_the_first(make: Make) -> None:
    """Round about over every kind of store, into git again."""
    first, last = make("git", "first"), make("git", "last")
    first.append_many([*several(30), *ODD])
    stores = [first, make("sqlite", "s"), make("jsonl", "j"), make("memory", "m"), last]
    for source, target in pairwise(stores):
        copy(source, target)
    assert [r.commit for r in last.read_all()] == [r.commit for r in first.read_all()]


def test_an_empty_store_is_copied_too(make: Make) -> None:
    """To an empty one."""
    assert copy(make("memory", ""), make("memory", "")) == CopySummary(0, 0, 0, 0)


def test_a_store_is_no_copy_of_itself(make: Make) -> None:
    """Also opened twice."""
    for ours, theirs in (("git", "git"), ("sqlite", "sqlite"), ("jsonl", "jsonl")):
        with pytest.raises(ValueError, match="one store"):
            copy(make(ours, "same" + ours), make(theirs, "same" + theirs))


@pytest.mark.parametrize("to", KINDS)
def test_a_target_with_more_is_left_as_it_is(make: Make, to: str) -> None:
    """The error names the first event that the source has not; nothing is written."""
    source, target = make("memory", "source"), make(to, "target")
    source.append_many(several(5))
    copy(source, target)
    target.append(event(77, "mine"))
    before = said(target)
    with pytest.raises(StoresDiffer, match=r"the target has mine@1 \(id id-77\)") as caught:
        copy(source, target)
    assert (caught.value.source, caught.value.position) == (None, 5)
    assert caught.value.target is not None
    assert caught.value.target.event.id == "id-77"
    source.append(event(78, "more"))
    with pytest.raises(StoresDiffer, match=r"goes on with more@1 .*, the target with mine@1"):
        copy(source, target)
    assert said(target) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "Other"}, "has another type"),
        ({"data": {"n": 1.0}}, "has other data"),
        ({"metadata": {"userId": "eve"}}, "has other metadata"),
        ({"timestamp": event(1, hours=1).timestamp}, "has another time"),
        ({"stream_id": "task-2"}, "goes on with task-1@1"),
        ({"id": "id-other"}, "goes on with task-1@1"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_one_difference_is_enough(make: Make, change: dict[str, Any], reason: str) -> None:
    """Of any field; ``1`` and ``1.0`` differ too. Nothing is added after it."""
    given = event(1)
    fields = {name: getattr(given, name) for name in DomainEvent.__slots__}
    source, target = make("memory", "source"), make("memory", "target")
    source.append_many([given, event(2)])
    target.append(DomainEvent(**{**fields, **change}))
    with pytest.raises(StoresDiffer, match=reason) as caught:
        copy(source, target)
    assert caught.value.hint
    assert target.last_position() == 1


class Meddled(gitstore.BaseEventStore):
    """A store in which somebody else records an event before each batch."""

    capabilities = gitstore.open_store("memory:").capabilities

    def __init__(self, inner: BaseEventStore, meddle: Callable[[BaseEventStore], object]) -> None:
        self.inner = inner
        self.meddle = meddle

    def __getattribute__(self, name: str) -> Any:
        if name in {"inner", "meddle", "append_many", "append_encoded", "__dict__"}:
            return object.__getattribute__(self, name)
        return getattr(self.inner, name)

    def append_many(self, events: Any, expected_versions: Any = None) -> Any:
        """Append after the others."""
        self.meddle(self.inner)
        return self.inner.append_many(events, expected_versions)

    def append_encoded(self, events: Any) -> None:
        """Append after the others."""
        self.meddle(self.inner)
        self.inner.append_encoded(events)

    append = read_stream = read_all = follow = streams = subscribe = close = append_many


@pytest.mark.parametrize("stream", ["task-1", "mine"])
def test_what_others_record_in_the_target_meanwhile_is_seen(make: Make, stream: str) -> None:
    """In a stream of the copy or in another: it is no copy any more, and that is said."""
    source, target = make("memory", "source"), make("memory", "target")
    source.append_many(several(5))
    meddled = Meddled(target, lambda store: store.append(DomainEvent(stream, "Mine")))
    with pytest.raises(StoresDiffer, match=f"the target with {stream}@1"):
        copy(source, meddled)


def test_another_copy_may_be_ahead(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same source: what it has written is not written twice, wherever its batches end."""
    monkeypatch.setattr(copying, "CHUNK", 4)
    source, target = make("memory", "source"), make("git", "target")
    source.append_many(several(20))
    ahead = [recorded.event for recorded in source.read_all()]

    def other(store: BaseEventStore) -> None:
        done = store.last_position()
        store.append_many(ahead[done : done + 3])

    assert copy(source, Meddled(target, other)).checked == 20
    assert said(target) == said(source)


def test_a_source_that_is_written_to_gives_what_it_had(make: Make) -> None:
    """When the copy began; the rest comes with the next one."""
    source, target = make("git", "source"), make("memory", "target")
    source.append_many(several(5))
    more = iter(range(100, 200))
    meddled = Meddled(target, lambda _: source.append(event(next(more), "more")))
    assert copy(source, meddled) == CopySummary(5, 3, 5, 5)
    assert copy(source, target) == CopySummary(1, 1, 6, 6)


def test_a_source_with_holes_is_not_copied() -> None:
    """A copy must not pass for the whole history."""
    source: Any = memory_store([])
    source.append_many(several(5))
    del source._all[2]
    with pytest.raises(StoreCorrupted, match="lost"):
        copy(source, memory_store([]))


def change(file: Path, statement: str) -> None:
    """Change an SQLite file behind the back of its store, which is closed."""
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute(statement)


def test_what_is_no_json_in_a_source_is_told_of(make: Make, tmp_path: Path) -> None:
    """By the source, with the event; nothing of it is written."""
    with gitstore.open_store(place(tmp_path, "sqlite", "source")) as store:
        store.append_many(several(5))
    change(tmp_path / "source", "UPDATE events SET data = '{' WHERE position = 4")
    target = make("git", "target")
    with (
        gitstore.open_store(place(tmp_path, "sqlite", "source")) as source,
        pytest.raises(StoreCorrupted, match="position 4"),
    ):
        copy(source, target)
    assert target.last_position() == 0


@pytest.mark.parametrize("damage", ["{", '{"n": 3}'], ids=["no JSON", "another form"])
@pytest.mark.parametrize("damaged", ["source", "target"])
def test_a_derived_index_is_not_what_is_copied(
    make: Make, tmp_path: Path, damaged: str, damage: str
) -> None:
    """Bytes in a git store's index that no append made: what its reader makes of them counts."""
    address = place(tmp_path, "git", damaged)
    other = make("sqlite", "other")
    other.append_many([event(n) for n in range(5)])
    with gitstore.open_store(address) as store:
        copy(other, store)
    index = tmp_path / damaged / "gitstore" / "index.db"
    change(index, f"UPDATE events SET data = CAST('{damage}' AS BLOB) WHERE position = 4")
    with gitstore.open_store(address) as store:
        pair = (store, make("git", "fresh")) if damaged == "source" else (other, store)
        assert copy(*pair).checked == 5
        assert exported(pair[1]) == exported(other)


def test_batches_are_bounded_by_their_bytes(make: Make) -> None:
    """8 MiB are enough for one."""
    source, target = make("memory", "source"), make("memory", "target")
    source.append_many(DomainEvent("a", "T", "x" * 3_000_000) for _ in range(5))
    sizes: list[int] = []
    meddled = Meddled(target, lambda store: sizes.append(store.last_position()))
    copy(source, meddled)
    assert sizes == [0, 2, 4]


def test_progress_goes_to_the_end(make: Make) -> None:
    """First what is there is compared, then the rest is written, then that is compared."""
    told: list[tuple[str, int, int]] = []
    source, target = make("memory", "source"), make("memory", "target")
    source.append_many(several(2_000))
    copy(source, target, progress=lambda *what: told.append(what))
    source.append_many([event(n, "more") for n in range(2_000, 4_000)])
    copy(source, target, progress=lambda *what: told.append(what))
    assert told == [
        ("Copying", 2_000, 2_000),
        ("Comparing", 1_000, 2_000), ("Comparing", 2_000, 2_000),
        ("Comparing", 1_000, 4_000), ("Comparing", 2_000, 4_000),
        ("Copying", 4_000, 4_000),
        ("Comparing", 3_000, 4_000), ("Comparing", 4_000, 4_000),
    ]  # fmt: skip


def test_stop_ends_after_a_batch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is compared; the next copy goes on."""
    source, target = make("memory", "source"), make("memory", "target")
    source.append_many(several(12_000))
    stop = threading.Event()
    stop.set()
    assert copy(source, target, stop=stop) == CopySummary(5_000, 3, 5_000, 5_000)
    assert copy(source, target) == CopySummary(7_000, 3, 12_000, 12_000)


@pytest.mark.parametrize(("kind", "to"), PAIRS)
def test_a_followed_source_is_copied_as_it_grows(make: Make, kind: str, to: str) -> None:
    """Each time something was recorded; until ``stop``."""
    source, target = make(kind, "source"), make(to, "target")
    source.append_many(several(3))
    stop = threading.Event()
    following = follow_copy(source, target, stop=stop)
    assert next(following) == CopySummary(3, 3, 3, 3)
    source.append(event(10, "late"))
    assert next(following) == CopySummary(1, 1, 4, 4)
    source.append_many([event(11, "late"), event(12, "later")])
    assert next(following) == CopySummary(2, 2, 6, 6)
    assert said(target) == said(source)
    stop.set()
    assert list(following) == []


def test_a_follower_sees_what_others_record_in_its_target(make: Make) -> None:
    """With the next event of the source."""
    source, target = make("memory", "source"), make("memory", "target")
    source.append_many(several(3))
    following = follow_copy(source, target, stop=threading.Event())
    next(following)
    target.append(event(50, "mine"))
    source.append(event(51, "ours"))
    with pytest.raises(StoresDiffer, match=r"ours@1.*mine@1"):
        next(following)


def rebased(store: Any) -> None:
    """Theirs come before two of ours, and something after."""
    rebase(store, "task-1", 2, [noted("task-1", "theirs", "x")])
    store.append(noted("task-2", "after", 1))


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[Any]:
    """A git store of two streams of four events."""
    with reopen(tmp_path / "forked.git") as opened:
        for n in range(4):
            opened.append(noted("task-1", f"ours-{n}", n))
            opened.append(noted("task-2", f"other-{n}", n))
        yield opened


@pytest.mark.parametrize("to", KINDS)
def test_a_rebased_source_is_copied_as_it_is_now(make: Make, forked: Any, to: str) -> None:
    """What was superseded is not in the copy."""
    rebased(forked)
    target = make(to, "target")
    assert copy(forked, target) == CopySummary(10, 2, 12, 10)
    assert said(target) == said(forked)


@pytest.mark.parametrize("to", ["memory", "git", "sqlite"])
def test_a_copy_made_before_a_rebase_is_left(make: Make, forked: Any, to: str) -> None:
    """It has another history; that is said, also to who follows."""
    target = make(to, "target")
    following = follow_copy(forked, target, stop=threading.Event())
    next(following)
    before = said(target)
    rebased(forked)
    with pytest.raises(StoresDiffer) as caught:
        next(following)
    assert "rebase" in caught.value.hint
    with pytest.raises(StoresDiffer) as caught:
        copy(forked, target)
    assert "rebase" in caught.value.hint
    assert said(target) == before


def test_a_rebase_of_what_is_not_copied_yet_changes_nothing(make: Make, forked: Any) -> None:
    """The copy goes on."""
    target = make("memory", "target")
    following = follow_copy(forked, target, stop=threading.Event())
    next(following)
    forked.append(noted("task-3", "late", 1))
    rebase(forked, "task-3", 0, [noted("task-3", "theirs", 1)])
    while next(following).position < forked.last_position():
        pass
    assert said(target) == said(forked)


def test_a_rebase_in_the_middle_of_a_copy_is_gone_over(
    make: Make, forked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not written yet is taken as it is now."""
    monkeypatch.setattr(copying, "CHUNK", 2)
    target = make("memory", "target")
    seen: list[int] = []

    def meddle(_: BaseEventStore) -> None:
        seen.append(1)
        if len(seen) == 2:
            rebased(forked)

    copy(forked, Meddled(target, meddle))
    assert len(seen) > 3
    assert said(target) == said(forked)


Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start programs; those that still run are killed at the end of the test, each by its id."""
    with contextlib.ExitStack() as ends:

        def begin(*arguments: object) -> subprocess.Popen[str]:
            child = programs.start(*arguments)
            ends.enter_context(child)
            ends.callback(child.kill)
            return child

        yield begin


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a program that must succeed."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of 1,200 events in 40 streams over 12 days."""
    where = f"git:{tmp_path_factory.mktemp('thousand') / 'events.git'}"
    with gitstore.open_store(where) as store:
        store.append_many(several(1_200, 40, 4))
    return where


@pytest.mark.parametrize("to", LASTING)
def test_a_killed_copy_is_completed_by_the_next(
    begin: Begin, thousand: str, tmp_path: Path, to: str
) -> None:
    """Kill -9 at any moment."""
    chance = random.Random(to)
    target = place(tmp_path, to, "target")
    for _ in range(4):
        process = begin("copy_all", thousand, target, chance.choice([7, 50, 400]))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * chance.choice([0.05, 0.4]))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finish(begin("copy_all", thousand, target, 300))
    with gitstore.open_store(thousand) as source, gitstore.open_store(target) as copied:
        assert exported(copied) == exported(source)
        assert copied.verify().ok


@pytest.mark.parametrize("to", LASTING)
def test_two_copies_at_once_make_one(begin: Begin, thousand: str, tmp_path: Path, to: str) -> None:
    """From the making of the target on: nothing is written twice."""
    target = place(tmp_path, to, "target")
    for process in [begin("copy_all", thousand, target, batch) for batch in (20, 33)]:
        finish(process)
    with gitstore.open_store(thousand) as source, gitstore.open_store(target) as copied:
        assert exported(copied) == exported(source)


def made_anew(where: Path, events: list[DomainEvent]) -> None:
    """Another process puts a layout of these events in the place of the one there."""
    with JsonlEventStore.open(where) as layout, layout.replaced(layout.store_id) as anew:
        assert anew is not None
        anew.append_history(events)


def test_a_source_that_is_made_anew_is_gone_over_from_the_first(tmp_path: Path) -> None:
    """Its events have other positions: what came before those that were copied is not missed."""
    first, second, more = event(1, "task-1"), event(2, "task-2"), event(3, "task-1")
    stop = threading.Event()
    with JsonlEventStore.open(tmp_path / "source") as source:
        source.append_many([first, second])
        following = follow_layout(source, tmp_path / "part", stop=stop, streams="task-1")
        assert next(following).events == 1
        made_anew(tmp_path / "source", [first, more, second])
        assert source.last_position() == 3
        assert next(following).events == 1
        stop.set()
        list(following)
    with JsonlEventStore.open(tmp_path / "part") as part:
        assert [recorded.event.id for recorded in part.read_all()] == ["id-1", "id-3"]


def test_a_source_that_is_made_anew_while_it_is_read_tells_so(tmp_path: Path) -> None:
    """Bytes too are never read by the positions of one store and given by those of another."""
    with JsonlEventStore.open(tmp_path / "source") as source:
        source.append_many([event(n) for n in range(1_200)])
        coming = source.read_encoded()
        next(coming)
        made_anew(tmp_path / "source", [r.event for r in source.read_all()])
        with pytest.raises(ForeignCheckpoint, match="made anew"):
            list(coming)


@pytest.mark.parametrize(
    "damage", ["type = 'no type'", "stream_id = 'task' || char(10)", "id = 'é'"]
)
@pytest.mark.parametrize("to", KINDS)
def test_a_damaged_name_is_not_copied(make: Make, tmp_path: Path, damage: str, to: str) -> None:
    """No store takes as bytes what it would not take as an event."""
    with gitstore.open_store(place(tmp_path, "sqlite", "source")) as store:
        store.append_many(several(5))
    change(tmp_path / "source", f"UPDATE events SET {damage} WHERE position = 4")
    target = make(to, "target")
    with (
        gitstore.open_store(place(tmp_path, "sqlite", "source")) as source,
        pytest.raises(InvalidEvent),
    ):
        copy(source, target)
    assert target.last_position() == 0
