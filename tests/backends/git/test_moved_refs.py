"""Refs moved by plain git on a live store: adopted where they continue ours, else put back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import DomainEvent, StoreUnavailable, open_store
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.index import Index
from tests.backends.git.test_damage import ask, first_line
from tests.backends.git.witness import assert_sound, assert_whole, filled, git, promise, reopen

Begin = Callable[..., Popen[str]]
OURS = "refs/streams/task-0"


def reset(store: Path) -> None:
    """Take the newest event off the stream's ref."""
    git(store, "update-ref", OURS, f"{OURS}^")


def delete(store: Path) -> None:
    """Delete the stream's ref."""
    git(store, "update-ref", "-d", OURS)


def exchange(store: Path) -> None:
    """Put another stream's tip on the ref."""
    git(store, "update-ref", OURS, "refs/streams/task-1")


def foreign(store: Path) -> None:
    """Put a commit that is no event on the ref."""
    git(store, "update-ref", OURS, "refs/heads/main")


def pack(store: Path) -> None:
    """Pack all refs, then move one."""
    git(store, "pack-refs", "--all")
    reset(store)


def block(store: Path) -> None:
    """Make a ref below the stream's ref, where a file cannot be both."""
    delete(store)
    git(store, "update-ref", f"{OURS}/deeper", "refs/heads/main")


MOVES = [reset, delete, exchange, foreign, pack, block]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("when", ["closed", "open", "pending"])
def test_our_chain_stands(
    place: Path, begin: Begin, move: Callable[[Path], None], when: str
) -> None:
    """A ref moved where it does not continue ours is put back; foreign tips are quarantined."""
    store = place / "events.git"
    acks = filled(store)
    if when == "closed":
        move(store)
    else:
        child = begin("hold", str(store), 0, stdin=-1)
        first_line(child)
        if when == "open":
            move(store)
            acks.append(ask(child, "append task-0"))  # type: ignore[arg-type]
        else:
            acks.append(ask(child, "append task-0"))  # type: ignore[arg-type]
            move(store)
        said = ask(child, "flush")
        assert said == "flushed" or (move is block and said[1] == "StoreUnavailable")  # type: ignore[index]
        assert ask(child, "close") == "closed"
    if move is block:
        with reopen(store):
            pass
        for name in git(store, "for-each-ref", "--format=%(refname)", f"{OURS}/").split():
            git(store, "update-ref", "-d", name)
    assert len(assert_sound(store, acks)) == len(acks)
    kept = git(store, "for-each-ref", "refs/quarantine")
    assert bool(kept) == (move in (exchange, foreign)) or move is block


@pytest.mark.parametrize("pending", [False, True])
def test_a_continuation_made_elsewhere(
    place: Path, monkeypatch: pytest.MonkeyPatch, pending: bool
) -> None:
    """Commits another store made on ours are adopted with positions; not over pending events."""
    store, other = place / "events.git", place / "other.git"
    acks = filled(store, 6)
    shutil.copytree(store, other)
    with reopen(other) as opened:
        opened.append_many([DomainEvent("task-0", "Elsewhere", n) for n in range(3)])
        opened.append_many([DomainEvent("task-there", "Elsewhere", n) for n in range(2)])
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)
    with reopen(store) as opened:
        if pending:
            acks.append(promise(opened.append(DomainEvent("task-0", "Here", {}))))
        git(store, "config", "--unset-all", "receive.hideRefs")
        git(other, "push", "--quiet", str(store), "refs/streams/*:refs/streams/*")
        acks.append(promise(opened.append(DomainEvent("task-2", "After", {}))))
        opened.flush()
        acks.append(promise(opened.append(DomainEvent("task-0", "After", {}))))
    events = assert_sound(store, acks)
    there = [(e.stream_id, e.event.data) for e in events if e.event.type == "Elsewhere"]
    of_task = [] if pending else [("task-0", n) for n in range(3)]
    assert sorted(there) == [*of_task, ("task-there", 0), ("task-there", 1)]
    kept = git(store, "for-each-ref", "--format=%(refname)", "refs/quarantine").split()
    assert len(kept) == pending
    with reopen(store) as opened:
        assert bool(opened.status().notes) == pending
        assert opened.append(DomainEvent("task-0", "Next", {})).version == (5 if pending else 7)


@pytest.mark.parametrize("how", ["version", "message", "twin"])
def test_a_continuation_that_fails_a_check(place: Path, how: str) -> None:
    """Commits made by hand that are no proper events are kept aside, never adopted."""
    store = place / "events.git"
    acks = filled(store, 6)
    tip = git(store, "cat-file", "commit", OURS)
    parent = git(store, "rev-parse", OURS).strip()
    forged = tip.replace("task-0@2", "task-0@4" if how == "version" else "task-0@3")
    if how == "message":
        forged += "X-Unknown: 1\n"
    head, _, message = forged.partition("\nauthor ")
    head = head.rpartition("\nparent ")[0] + f"\nparent {parent}"
    forged = f"{head}\nauthor {message}"
    commit = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).strip()
    git(store, "update-ref", OURS, commit)
    assert len(assert_sound(store, acks)) == 6
    assert git(store, "for-each-ref", "--format=%(objectname)", "refs/quarantine").split() == [
        commit
    ]


@pytest.mark.parametrize("target", [None, "refs/feed^", "refs/streams/task-1", "refs/heads/main"])
@pytest.mark.parametrize("how", ["open", "closed", "journal lost"])
def test_the_feed_moved_by_others(place: Path, begin: Begin, target: str | None, how: str) -> None:
    """The feed deleted or moved: positions stay, and the feed lists every event again."""
    if how == "journal lost" and target is not None:
        pytest.skip("what the feed was is then known to nobody")
    store = place / "events.git"
    acks = filled(store)
    with reopen(store) as opened:
        acks.append(promise(opened.append(DomainEvent("task-0", "Another", {}))))

    def move() -> None:
        git(
            store, "update-ref", *(["-d", "refs/feed"] if target is None else ["refs/feed", target])
        )

    if how == "open":
        child = begin("hold", str(store), 0, stdin=-1)
        first_line(child)
        move()
        acks.append(ask(child, "append task-0"))  # type: ignore[arg-type]
        assert ask(child, "flush") == "flushed"
        assert ask(child, "close") == "closed"
    else:
        move()
        if how == "journal lost":
            for path in (store / "gitstore").glob("journal.db*"):
                path.unlink()
            assert_sound(store)
            return
        with reopen(store) as opened:
            acks.append(promise(opened.append(DomainEvent("task-0", "AfterMove", {}))))
    assert len(assert_sound(store, acks)) == len(acks)


def age(path: Path) -> None:
    """Make a file look as if it were a day old."""
    then = path.stat().st_mtime - 86_400
    os.utime(path, (then, then))


LOCKS = ["refs/streams/task-0.lock", "refs/feed.lock", "packed-refs.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_stale_lock_is_removed(place: Path, name: str) -> None:
    """A lock file that a crash left a day ago does not hold anything up."""
    store = place / "events.git"
    acks = filled(store)
    lock = store / name
    lock.write_bytes(b"")
    age(lock)
    with reopen(store) as opened:
        many = [DomainEvent(f"task-{n}", "Many", n) for n in range(300)]
        acks += map(promise, opened.append_many(many))
        acks.append(promise(opened.append(DomainEvent("task-0", "One", {}))))
    # A stale lock nobody met stays until something is wrong; then it goes with the rest.
    lock.unlink(missing_ok=True)
    assert_sound(store, acks)


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize("batch", [1, 300])
def test_a_fresh_lock_is_waited_for(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, batch: int
) -> None:
    """Under another's lock events stay recorded, others flush, and all converge when it goes."""
    monkeypatch.setattr("gitstore.backends.git.refs._LOCK_TIMEOUT", 0.05)
    store = place / "events.git"
    acks = filled(store)
    lock = store / name
    lock.write_bytes(b"")
    with reopen(store) as opened:
        for number in range(2):
            events = [DomainEvent(f"task-{n}", "Locked", number) for n in range(batch)]
            try:
                acks += map(promise, opened.append_many(events))
                acks.append(promise(opened.append(DomainEvent("task-1", "Beside", number))))
                opened.flush()
            except StoreUnavailable:
                continue
        assert len(list(opened.read_all())) >= len(acks)
    assert lock.exists()
    if name == LOCKS[0]:
        tip = git(store, "log", "-1", "--format=%s", "refs/streams/task-1").strip()
        assert tip.startswith("Beside task-1@")
    lock.unlink()
    assert_sound(store, acks)


@pytest.mark.parametrize("stream", ["task-1", "task-" + "x" * 300])
def test_a_flush_cut_short_after_its_refs_is_no_foreign_move(
    place: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """Refs at commits that wait in the journal are our own, whatever their names look like."""
    store = place / "events.git"
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        opened = open_store(store)
        done = [opened.append(DomainEvent(stream, "Noted", number)) for number in range(3)]
        patch.setattr(Index, "add", full)
        with pytest.raises(StoreUnavailable):
            opened.flush()
        opened.close()
    (store / "refs" / "streams" / "touched").mkdir()  # the directory's time changes: looked through
    (store / "refs" / "streams" / "touched").rmdir()
    assert assert_sound(store) == done


@pytest.mark.parametrize("odd", ["symbolic", "hidden", "empty"])
def test_an_odd_file_among_the_refs_stops_nobody(place: Path, odd: str) -> None:
    """What is no ref is passed over and told of; one of ours that was emptied is put back."""
    store = place / "events.git"
    before = filled(store, 4, 2)
    path = store / "refs" / "streams"
    with reopen(store) as opened:
        if odd == "symbolic":
            git(store, "symbolic-ref", "refs/streams/alias", "refs/streams/task-0")
        elif odd == "hidden":
            (path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        else:
            (path / "task-0").unlink(missing_ok=True)
            (path / "task-0").touch()
        opened.append(DomainEvent("task-1", "GoesOn", {}))
        opened.flush()
        assert opened.verify().events == 5
        notes = opened.status().notes
        assert bool(notes) == (odd != "empty"), notes
    with reopen(store) as opened:
        assert_whole(list(opened.read_all()), before)
