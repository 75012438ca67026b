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

from gitstore import DomainEvent, open_store
from tests.backends.processes import let_go, lines, wait_ready
from tests.backends.survival.witness import Ack, address, assert_sound, filled, promise

Begin = Callable[..., Popen[str]]


@pytest.mark.parametrize("streams", [1, 40])
def test_eight_writers(place: Path, begin: Begin, kind: str, streams: int) -> None:
    """Of eight writers on one stream or many no event is lost, doubled or out of place."""
    where = address(kind, place)
    most = {"single": 40, "small": 15, "batch": 3}
    kinds = ["single"] * 5 + ["small", "small", "batch"]
    writers = [
        begin("write", where, how, seed, streams, most[how]) for seed, how in enumerate(kinds)
    ]
    acks: list[Ack] = []
    for writer in writers:
        for said in lines(writer)[1:]:
            acks += said
    assert len(assert_sound(where, acks)) == len(acks)


def test_one_winner_a_round(place: Path, begin: Begin, kind: str) -> None:
    """With an exact expected version exactly one of eight processes wins each round."""
    where = address(kind, place)
    filled(where, 2)
    racers = [begin("compete", where, "task-race", 12, stdin=PIPE) for _ in range(8)]
    wait_ready(racers)
    let_go(racers)
    wins = [said for racer in racers for said in lines(racer)]
    assert Counter(win[1] for win in wins) == dict.fromkeys(range(12), 1)
    assert_sound(where, [win[2] for win in wins])


def test_one_event_from_eight_processes(place: Path, begin: Begin, kind: str) -> None:
    """An event that eight processes append under one id is recorded once; all get that one."""
    where = address(kind, place)
    racers = [begin("insist", where, 12, stdin=PIPE) for _ in range(8)]
    wait_ready(racers)
    let_go(racers)
    answers = [said for racer in racers for said in lines(racer)]
    assert len(answers) == 96
    assert len(assert_sound(where, answers)) == 12


def test_processes_create_store_and_stream(place: Path, begin: Begin, kind: str) -> None:
    """Processes that create the store and one stream at once end with one store and all events."""
    for number in range(3):
        where = address(kind, place / f"{number}")
        makers = [begin("create_at_once", where, n, stdin=PIPE) for n in range(3)]
        wait_ready(makers)
        let_go(makers)
        acks = [ack for maker in makers for ack in lines(maker)]
        assert len(assert_sound(where, acks)) == 3


def test_followers_see_each_event_once(place: Path, begin: Begin, kind: str) -> None:
    """A follower and a poller beside eight writers see every event once, in order."""
    where = address(kind, place)
    filled(where, 1)
    total = 1 + 6 * 30 + 2 * 300
    readers = [begin("follow", where, total - 100, how) for how in ("follow", "poll", "follow")]
    wait_ready(readers)
    most = {"single": 30, "batch": 1}
    kinds = ["single"] * 6 + ["batch", "batch"]
    writers = [begin("write", where, how, n, 9, most[how]) for n, how in enumerate(kinds)]
    for writer in writers:
        lines(writer)
    for reader in readers:
        seen = lines(reader)
        assert [ack["position"] for ack in seen] == list(range(1, len(seen) + 1))
        assert len(seen) >= total - 100
        assert_sound(where, seen)


@pytest.mark.parametrize("ending", ["exit", "os_exit"])
def test_a_fork_with_an_open_store(place: Path, begin: Begin, kind: str, ending: str) -> None:
    """A forked child gets a clear error from every use; its end does not harm the parent."""
    where = address(kind, place)
    said = lines(begin("forked", where, ending))
    of_child = [one for one in said if isinstance(one, list) and one[0] in ("error", "worked")]
    assert of_child == [["error", "StoreUnavailable"]] * 9
    assert ["child", 0] in said
    assert len(assert_sound(where, [said[-1]])) == 2


def test_a_store_opened_again_after_a_fork(place: Path, begin: Begin, kind: str) -> None:
    """The parent's close, and another process's, leave the child's acknowledged events alone."""
    where = address(kind, place)
    program = begin("reopened_after_fork", where, stdin=PIPE)
    assert program.stdout is not None
    said = [json.loads(program.stdout.readline()) for _ in range(2)]
    assert said.pop() == ["closed"]
    with open_store(where) as other:
        said.append(promise(other.append(DomainEvent("task-3", "Beside", {}))))
    let_go([program])
    said.append(json.loads(program.stdout.readline()))
    program.wait()
    assert len(assert_sound(where, said)) == 4


def test_a_worker_that_outlives_its_killed_parent_holds_no_lock(
    place: Path, begin: Begin, kind: str
) -> None:
    """A lock dies with its holder, also where a forked process still has the file open."""
    where = address(kind, place)
    program = begin("killed_beside_a_worker", where)
    before, (_, worker) = lines(program, code=-signal.SIGKILL)
    try:
        began = time.monotonic()
        with open_store(where) as opened:
            opened.append(DomainEvent("task-1", "After", {}))
        assert time.monotonic() - began < 30
    finally:
        os.kill(worker, signal.SIGKILL)
    assert_sound(where, [before])
