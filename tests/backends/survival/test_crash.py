"""A crash between any two steps converges on reopening; nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore import open_store
from gitstore.sync.copying import copy
from tests.backends.survival.deaths import check_all, struck
from tests.backends.survival.witness import address, assert_sound, filled, promise, source_of


@pytest.mark.parametrize("name", ["write", "batch"])
def test_death_at_any_step_of_a_write(place: Path, kind: str, name: str) -> None:
    """Kill -9 at any step of append, batch and close loses nothing and leaves nothing behind."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))
    deaths = struck("crash_everywhere", kind, template, name, 1)
    assert len(deaths) > 5
    check_all(kind, deaths, before)


def test_death_at_any_step_of_creation(place: Path, kind: str) -> None:
    """Kill -9 while a store is made: the next opening makes it, or finds it whole."""
    template = place / "template"
    template.mkdir()
    deaths = struck("crash_everywhere", kind, template, "write", 1)
    check_all(kind, deaths, [])


def test_death_at_any_step_of_opening_what_a_killed_writer_left(place: Path, kind: str) -> None:
    """Kill -9 while the work of a killed writer is taken up: the next opening takes it up."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))
    last = struck("crash_everywhere", kind, template, "batch", 1)[-2]  # all but closed
    deaths = struck("crash_everywhere", kind, last.folder, "read", 2)
    check_all(kind, deaths, [*before, *last.acknowledged])


def check_copies(place: Path, kind: str, every: int) -> None:
    """Die in a copy at one step of ``every``; what is there is a beginning, and then it goes on."""
    template = place / "template"
    template.mkdir()
    source = source_of(address(kind, template))
    before = filled(source, 50, 7)
    deaths = struck("crash_everywhere", kind, template, "copied", every)
    failures = []
    for death in deaths:
        where = address(kind, death.folder)
        try:
            with open_store(source_of(where)) as given, open_store(where) as target:
                there = [promise(event) for event in target.read_all()]
                assert there == before[: len(there)]
                copy(given, target)
            assert_sound(where, before)
        except Exception as error:  # noqa: BLE001 - all steps are to be named, not the first
            failures.append(f"killed before {death.step}: {type(error).__name__}: {error!s:.400}")
    assert not failures, f"{len(failures)} of {len(deaths)}:\n" + "\n".join(failures)


def test_death_at_any_step_of_a_copy(place: Path, kind: str) -> None:
    """Kill -9 of a copy leaves a whole beginning; run again, it has everything, and once."""
    check_copies(place, kind, every=4)


@pytest.mark.soak
def test_death_at_every_step_of_a_copy(place: Path, kind: str) -> None:
    """The same, looked at without exception."""
    check_copies(place, kind, every=1)
