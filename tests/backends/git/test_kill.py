"""Kill -9 of writers at random moments: what was acknowledged stays, and nothing else is wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from tests.backends.git.witness import Ack, assert_sound, assert_whole, reopen

Begin = Callable[..., Popen[str]]


def killed(begin: Begin, store: Path, how: str, chance: random.Random, acks: int) -> list[Ack]:
    """Let writers go on until the first has ``acks`` acknowledgements, kill them; gives all."""
    writers = [
        begin("write", str(store), how, chance.randrange(1 << 30), 40, 100_000)
        for _ in range(chance.choice([1, 1, 2]))
    ]
    first = writers[0].stdout
    assert first is not None
    said = [first.readline() for _ in range(1 + acks)]
    for writer in writers:
        writer.kill()
    found: list[Ack] = []
    for writer in writers:
        assert writer.stdout is not None
        said += writer.stdout.readlines()
    for line in said:
        # A line that a kill cut short was not acknowledged.
        if line.startswith("[") and line.endswith("\n"):
            found += json.loads(line)
    return found


def survive(begin: Begin, store: Path, how: str, seed: int, kills: int) -> None:
    """Kill writers again and again on one store, which is looked at after each."""
    chance = random.Random(seed)
    acknowledged: list[Ack] = []
    for _ in range(kills):
        most = 4 if how == "batch" else 60
        acknowledged += killed(begin, store, how, chance, chance.randrange(most))
        if chance.random() < 0.5:
            assert_sound(store, acknowledged)
        else:  # by one who only reads, and repairs nothing
            with reopen(store, create=False) as opened:
                assert_whole(list(opened.read_all()), acknowledged)
    assert_sound(store, acknowledged)


@pytest.mark.parametrize("how", ["single", "small", "batch", "append"])
def test_killed_writers_lose_nothing(place: Path, begin: Begin, how: str) -> None:
    """Every event acknowledged before kill -9 keeps its position, version and commit."""
    survive(begin, place / "events.git", how, seed=2026, kills=5)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("how", ["single", "small", "batch", "append"])
def test_writers_killed_hundreds_of_times_lose_nothing(place: Path, begin: Begin, how: str) -> None:
    """The same for hundreds of kills."""
    for seed in range(10):
        survive(begin, place / f"{seed}.git", how, seed, kills=30)
