"""Kill -9 of writers at random moments: what was acknowledged stays, and nothing else is wrong."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import open_store
from tests.backends.survival.witness import Ack, address, assert_sound, assert_whole

Begin = Callable[..., Popen[str]]


def complete_lines(child: Popen[str]) -> list[Ack]:
    """What a killed program acknowledged; a line that the kill cut short it did not."""
    assert child.stdout is not None
    said = [json.loads(line) for line in child.stdout if line.endswith("\n")]
    return [ack for acks in said if isinstance(acks, list) for ack in acks]


def killed(begin: Begin, where: str, how: str, chance: random.Random, acks: int) -> list[Ack]:
    """Let writers go on until the first has ``acks`` acknowledgements, kill them; gives all."""
    writers = [
        begin("write", where, how, chance.randrange(1 << 30), 40, 100_000)
        for _ in range(chance.choice([1, 1, 2]))
    ]
    first = writers[0].stdout
    assert first is not None
    said = [json.loads(first.readline()) for _ in range(1 + acks)]
    for writer in writers:
        writer.kill()
    return [ack for one in said[1:] for ack in one] + [
        ack for writer in writers for ack in complete_lines(writer)
    ]


def survive(begin: Begin, where: str, how: str, seed: int, kills: int) -> None:
    """Kill writers again and again on one store, which is looked at after each."""
    chance = random.Random(seed)
    acknowledged: list[Ack] = []
    for _ in range(kills):
        most = 4 if how == "batch" else 60
        acknowledged += killed(begin, where, how, chance, chance.randrange(most))
        if chance.random() < 0.5:
            assert_sound(where, acknowledged)
        else:  # by one who only reads
            with open_store(where, create=False) as opened:
                assert_whole(list(opened.read_all()), acknowledged)
    assert_sound(where, acknowledged)


@pytest.mark.parametrize("how", ["single", "small", "batch"])
def test_killed_writers_lose_nothing(place: Path, begin: Begin, kind: str, how: str) -> None:
    """Every event acknowledged before kill -9 keeps its position, version and content."""
    survive(begin, address(kind, place), how, seed=2026, kills=3)


def test_what_a_follower_saw_of_killed_writers_stays(place: Path, begin: Begin, kind: str) -> None:
    """What a follower was given before writers and it were killed is what is recorded."""
    where = address(kind, place)
    with open_store(where):
        pass
    seen: list[list[Ack]] = []
    for seed in range(2):
        follower = begin("follow", where, 1_000_000, "follow")
        writers = [begin("write", where, how, seed, 20, 100_000) for how in ("small", "single")]
        assert follower.stdout is not None
        given = [json.loads(follower.stdout.readline()) for _ in range(60 * (seed + 1))][1:]
        for child in (*writers, follower):
            child.kill()
        given += [json.loads(line) for line in follower.stdout if line.endswith("\n")]
        seen.append(given)
        acknowledged = [ack for writer in writers for ack in complete_lines(writer)]
        assert_sound(where, [*given, *acknowledged])
    for given in seen:
        assert [ack["position"] for ack in given] == list(range(1, len(given) + 1))


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("how", ["single", "small", "batch"])
def test_writers_killed_hundreds_of_times_lose_nothing(
    place: Path, begin: Begin, kind: str, how: str
) -> None:
    """The same for hundreds of kills."""
    for seed in range(8):
        folder = place / str(seed)
        folder.mkdir()
        survive(begin, address(kind, folder), how, seed, kills=25)
        shutil.rmtree(folder)
