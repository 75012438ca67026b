"""A crash between any two steps converges on reopening; nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.survival.deaths import check_all, struck
from tests.backends.survival.witness import address, filled


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
    deaths = struck("crash_everywhere", kind, last.folder, "read", 1)
    check_all(kind, deaths, [*before, *last.acknowledged])
