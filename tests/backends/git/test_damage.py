"""Files that are lost, cut, overwritten or exchanged: mended, salvaged or named, never a riddle."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import DomainEvent, EventStoreError
from gitstore.backends.git.background import BackgroundFlush
from tests.backends.git.witness import (
    Ack,
    assert_sound,
    assert_whole,
    filled,
    promise,
    reopen,
)

Begin = Callable[..., Popen[str]]


def ask(child: Popen[str], line: str) -> object:
    """Give a held store a command; what came of it."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def first_line(child: Popen[str]) -> list[Ack]:
    """What a held store says when it is open."""
    assert child.stdout is not None
    found: list[Ack] = json.loads(child.stdout.readline())
    return found


def drop(store: Path, name: str) -> None:
    """Delete a database with its log."""
    for path in (store / "gitstore").glob(f"{name}*"):
        path.unlink()


def cut(store: Path, name: str) -> None:
    """Keep the first half of a database."""
    path = store / "gitstore" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(store: Path, name: str) -> None:
    """Leave a file of no bytes."""
    (store / "gitstore" / name).write_bytes(b"")


def spoil_header(store: Path, name: str) -> None:
    """Overwrite the first hundred bytes."""
    with (store / "gitstore" / name).open("r+b") as file:
        file.write(b"\xff" * 100)


def sprinkle(store: Path, name: str, seed: int) -> None:
    """Overwrite some runs of bytes anywhere."""
    chance = random.Random(seed)
    path = store / "gitstore" / name
    content = bytearray(path.read_bytes())
    for _ in range(4):
        at = chance.randrange(len(content))
        content[at : at + 64] = chance.randbytes(min(64, len(content) - at))
    path.write_bytes(content)


INDEX_DAMAGE = [drop, cut, empty, spoil_header]


@pytest.mark.parametrize("damage", INDEX_DAMAGE)
def test_a_damaged_index_is_rebuilt(place: Path, damage: Callable[[Path, str], None]) -> None:
    """A lost or damaged index.db costs a rebuild and nothing else."""
    store = place / "events.git"
    before = filled(store, 200, 20)
    damage(store, "index.db")
    assert len(assert_sound(store, before)) == 200


def test_an_index_with_garbage_anywhere_is_rebuilt_or_named(place: Path) -> None:
    """Garbage at random places of index.db: reads are right, or the damage is named by verify."""
    template = place / "template.git"
    before = filled(template, 400, 20)
    for seed in range(12):
        store = place / f"{seed}.git"
        shutil.copytree(template, store)
        sprinkle(store, "index.db", seed)
        try:
            with reopen(store) as opened:
                report = opened.verify()
                if report.ok:
                    assert_whole(list(opened.read_all()), before)
        except EventStoreError:
            pass  # named; but never sqlite3's own error
        drop(store, "index.db")
        assert_sound(store, before)


def test_the_index_of_another_store_is_not_believed(place: Path) -> None:
    """An index.db copied from another store, longer or shorter, is rebuilt."""
    store, other = place / "events.git", place / "other.git"
    before = filled(store, 20, 4)
    for events in (10, 20, 30):
        filled(other, events, 3)
        drop(store, "index.db")
        shutil.copy(other / "gitstore" / "index.db", store / "gitstore" / "index.db")
        assert len(assert_sound(store, before)) == 20
        shutil.rmtree(other)


@pytest.mark.parametrize("damage", INDEX_DAMAGE)
def test_an_index_damaged_under_a_process(
    place: Path, begin: Begin, damage: Callable[[Path, str], None]
) -> None:
    """A process whose index.db is taken away or damaged goes on, or names it; nothing is lost."""
    store = place / "events.git"
    before = filled(store)
    child = begin("hold", str(store), 0, stdin=-1)
    first_line(child)
    before.append(ask(child, "append task-9"))  # type: ignore[arg-type]
    assert ask(child, "flush") == "flushed"
    damage(store, "index.db")
    for command in ("read", "append task-9", "flush", "read", "append task-10"):
        said = ask(child, command)
        if command.startswith("append") and isinstance(said, list) and said[0] != "error":
            before.append(said)
    assert ask(child, "close") == "closed"
    with reopen(store) as opened:
        # A page that no command came by may still be damaged.
        assert opened.verify(repair=True).ok
    assert_sound(store, before)


@pytest.fixture
def no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what is appended in the journal."""
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)


def pending(place: Path, events: int = 60) -> tuple[Path, list[Ack], list[Ack]]:
    """A store as a killed process leaves it: flushed events, and ``events`` in the journal."""
    store, copy = place / "events.git", place / "copy.git"
    flushed = filled(store)
    with reopen(store) as opened:
        acks = [
            promise(opened.append(DomainEvent(f"task-{n % 5}", "Waiting", {"text": "w" * 300})))
            for n in range(events)
        ]
        shutil.copytree(store, copy)
    return copy, flushed, acks


def fold_log(store: Path) -> None:
    """Bring the journal's log into its file, as a checkpoint does."""
    db = sqlite3.connect(store / "gitstore" / "journal.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def test_a_journal_deleted_while_nobody_runs(place: Path) -> None:
    """Without journal.db everything that was flushed is there, positions unchanged."""
    store = place / "events.git"
    before = filled(store)
    drop(store, "journal.db")
    assert len(assert_sound(store, before)) == 12


def test_a_journal_deleted_with_pending_rows(place: Path, no_background: None) -> None:
    """Deleted with events in it, its flushed events are there and the store goes on."""
    store, flushed, _ = pending(place)
    drop(store, "journal.db")
    assert_sound(store, flushed)
    with reopen(store) as opened:
        again = promise(opened.append(DomainEvent("task-0", "After", {})))
    assert_sound(store, [*flushed, again])


def test_a_journal_deleted_under_a_process(place: Path, begin: Begin) -> None:
    """A running process whose journal.db is deleted keeps what it acknowledged."""
    store = place / "events.git"
    flushed = filled(store)
    child = begin("hold", str(store), 5, stdin=-1)
    acks = [*flushed, *first_line(child)]
    drop(store, "journal.db")
    acks.append(ask(child, "append task-held"))  # type: ignore[arg-type]
    assert len(ask(child, "read")) == len(acks)  # type: ignore[arg-type]
    assert ask(child, "close") == "closed"
    events = assert_sound(store)
    assert {ack[4] for ack in acks} <= {event.event.id for event in events}
    assert [e.event.id for e in events if e.stream_id == "task-held"] == [a[4] for a in acks[12:]]


def test_a_journal_deleted_under_two_processes(place: Path, begin: Begin) -> None:
    """Two writers whose common journal is deleted both keep theirs, each once."""
    store = place / "events.git"
    filled(store)
    children = [begin("hold", str(store), 3, stdin=-1) for _ in range(2)]
    ids = [ack[4] for child in children for ack in first_line(child)]
    drop(store, "journal.db")
    ids += [ask(child, "append task-held")[4] for child in children * 2]  # type: ignore[index]
    for child in children:
        assert ask(child, "close") == "closed"
    events = assert_sound(store)
    assert sorted(e.event.id for e in events if e.stream_id == "task-held") == sorted(ids)


@pytest.mark.parametrize("damage", [cut, empty, spoil_header])
@pytest.mark.parametrize("folded", [True, False])
def test_a_damaged_journal_gives_back_what_can_be_read(
    place: Path,
    no_background: None,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path, str], None],
    folded: bool,
) -> None:
    """Of a damaged journal.db the readable rows are kept and the damage is named."""
    store, flushed, acks = pending(place)
    if folded:
        fold_log(store)
    damage(store, "journal.db")
    with caplog.at_level(logging.WARNING, "gitstore.recovery"):
        events = assert_sound(store, flushed)
    waiting = {event.event.id for event in events if event.event.type == "Waiting"}
    assert waiting <= {ack[4] for ack in acks}
    if len(waiting) < len(acks):
        assert "journal.db" in caplog.text


def test_garbage_in_the_middle_of_a_journal(
    place: Path, no_background: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages of garbage inside journal.db cost the rows in them; most others are salvaged."""
    store, flushed, acks = pending(place, 120)
    fold_log(store)
    path = store / "gitstore" / "journal.db"
    content = bytearray(path.read_bytes())
    page = content.index(acks[60][4].encode()) // 4096  # type: ignore[union-attr]
    content[page * 4096 : (page + 1) * 4096] = random.Random(7).randbytes(4096)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "gitstore.recovery"):
        events = assert_sound(store, flushed)
    waiting = [event for event in events if event.event.type == "Waiting"]
    assert 80 <= len(waiting) < 120
    assert "is lost" in caplog.text
    assert "salvaged" in caplog.text


def test_a_damaged_log_of_the_journal(place: Path, no_background: None) -> None:
    """Garbage in journal.db-wal costs the rows behind it; the store opens and goes on."""
    template, flushed, acks = pending(place)
    for seed in range(6):
        store = place / f"{seed}.git"
        shutil.copytree(template, store)
        sprinkle(store, "journal.db-wal", seed)
        events = assert_sound(store, flushed)
        assert {e.event.id for e in events} <= {a[4] for a in [*flushed, *acks]}


def test_garbage_anywhere_in_a_journal(place: Path, no_background: None) -> None:
    """Garbage at random places of journal.db never takes a flushed event, nor invents one."""
    template, flushed, acks = pending(place)
    fold_log(template)
    for seed in range(8):
        store = place / f"{seed}.git"
        shutil.copytree(template, store)
        sprinkle(store, "journal.db", seed)
        events = assert_sound(store, flushed)
        assert {e.event.id for e in events} <= {a[4] for a in [*flushed, *acks]}
