"""A power cut: whatever was not fsynced may be gone, old, zero or cut; no promise is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.backends.survival.programs import start
from tests.backends.survival.witness import address, assert_sound, filled


def check(place: Path, kind: str, seed: int, turns: int) -> int:
    """Look at what power cuts leave of a writer's store; gives how many there were."""
    template, folder = place / f"template-{seed}", place / f"images-{seed}"
    template.mkdir()
    folder.mkdir()
    before = filled(address(kind, template))
    with start("cut_power", kind, str(template), str(folder), seed, turns) as child:
        assert child.stdout is not None
        said = [json.loads(line) for line in child.stdout]
    assert child.returncode == 0
    for image, acks in said:
        assert_sound(address(kind, folder / str(image)), [*before, *acks])
        shutil.rmtree(folder / str(image))
    return len(said)


def test_power_cuts_lose_nothing(place: Path) -> None:
    """Every event acknowledged before a power cut keeps its position, version and content."""
    assert check(place, "jsonl", seed=1, turns=40) > 10


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_thousands_of_power_cuts_lose_nothing(place: Path) -> None:
    """The same for thousands of cuts."""
    for seed in range(100):
        check(place, "jsonl", seed, turns=100)
