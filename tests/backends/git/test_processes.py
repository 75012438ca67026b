"""Many processes on one store, and what a fork does to an open one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from gitstore import DomainEvent
from tests.backends.git.witness import Ack, assert_sound, filled, promise, reopen
from tests.backends.processes import let_go, lines, wait_ready

Begin = Callable[..., Popen[str]]


@pytest.mark.parametrize("streams", [1, 40])
def test_eight_writers(place: Path, begin: Begin, streams: int) -> None:
    """Of eight writers on one stream or many no event is lost, doubled or out of place."""
    store = place / "events.git"
    kinds = ["single"] * 5 + ["small", "batch", "append"]
    most = {"single": 40, "small": 15, "batch": 3, "append": 15}
    writers = [
        begin("write", str(store), how, seed, streams, most[how]) for seed, how in enumerate(kinds)
    ]
    acks: list[Ack] = []
    for writer in writers:
        for said in lines(writer)[1:]:
            acks += said  # type: ignore[arg-type]
    events = assert_sound(store, acks)
    assert len(events) == len(acks)


def test_one_winner_a_round(place: Path, begin: Begin) -> None:
    """With an exact expected version exactly one of eight processes wins each round."""
    store = place / "events.git"
    filled(store, 2)
    racers = [begin("compete", str(store), "task-race", 12, stdin=-1) for _ in range(8)]
    wait_ready(racers)
    let_go(racers)
    wins = [said for racer in racers for said in lines(racer)]
    assert Counter(win[1] for win in wins) == dict.fromkeys(range(12), 1)  # type: ignore[index]
    assert_sound(store, [win[2] for win in wins])  # type: ignore[index]


def test_two_processes_create_store_and_stream(place: Path, begin: Begin) -> None:
    """Processes that create the store and one stream at once end with one store and all events."""
    for number in range(4):
        store = place / f"{number}" / "events.git"
        makers = [begin("create_at_once", str(store), n, stdin=-1) for n in range(3)]
        wait_ready(makers)
        let_go(makers)
        acks = [ack for maker in makers for ack in lines(maker)]
        events = assert_sound(store, acks)  # type: ignore[arg-type]
        assert len(events) == 3
        assert [path.name for path in store.parent.iterdir()] == ["events.git"]


def test_followers_see_each_position_once(place: Path, begin: Begin) -> None:
    """A follower and a poller beside eight writers see every position once, in order."""
    store = place / "events.git"
    filled(store, 1)
    total = 1 + 6 * 30 + 2 * 300
    readers = [
        begin("follow", str(store), total - 100, how) for how in ("follow", "poll", "follow")
    ]
    wait_ready(readers)
    kinds = ["single"] * 6 + ["batch", "batch"]
    most = {"single": 30, "batch": 1}
    writers = [begin("write", str(store), how, n, 9, most[how]) for n, how in enumerate(kinds)]
    for writer in writers:
        lines(writer)
    for reader in readers:
        seen = lines(reader)
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= total - 100


@pytest.mark.parametrize("ending", ["exit", "os_exit", "flushing"])
def test_a_fork_with_an_open_store(place: Path, begin: Begin, ending: str) -> None:
    """A forked child gets a clear error from every use; its end does not harm the parent."""
    store = place / "events.git"
    said = lines(begin("forked", str(store), ending))
    of_child = [one for one in said if one[0] in ("error", "worked")]  # type: ignore[index]
    assert of_child == [["error", "StoreUnavailable"]] * 8
    assert ["child", 0] in said
    assert_sound(store, [said[-1]])  # type: ignore[list-item]


def test_a_store_opened_again_after_a_fork(place: Path, begin: Begin) -> None:
    """The parent's close, and another process's, leave the child's acknowledged events alone."""
    store = place / "events.git"
    program = begin("reopened_after_fork", str(store), stdin=PIPE)
    assert program.stdout is not None
    said = [json.loads(program.stdout.readline()) for _ in range(2)]
    assert said.pop() == ["closed"]
    with reopen(store) as other:
        said.append(promise(other.append(DomainEvent("task-3", "Beside", {}))))
    assert program.stdin is not None
    program.stdin.write("go on\n")
    program.stdin.flush()
    said.append(json.loads(program.stdout.readline()))
    program.wait()
    assert_sound(store, said)


def test_a_worker_that_outlives_its_killed_parent_holds_no_lock(place: Path, begin: Begin) -> None:
    """A lock dies with its holder, also where a forked process still has the file open."""
    store = place / "events.git"
    program = begin("killed_beside_a_worker", str(store))
    before, (_, worker) = lines(program, code=-signal.SIGKILL)  # type: ignore[misc]
    try:
        began = time.monotonic()
        with reopen(store) as opened:
            opened.append(DomainEvent("task-1", "After", {}))
        assert time.monotonic() - began < 30
    finally:
        os.kill(worker, signal.SIGKILL)  # type: ignore[arg-type]
    assert_sound(store, [before])  # type: ignore[list-item]
