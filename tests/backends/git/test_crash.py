"""A crash between any two steps converges on reopening; nothing acknowledged is lost."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from gitstore import DomainEvent
from tests.backends.git.programs import start
from tests.backends.git.witness import Ack, assert_sound, filled, git, reopen

Death = tuple[str, Path, list[Ack]]
"""Before which step, which store, and what was acknowledged until then."""


def crash_everywhere(template: Path, folder: Path, scenario: str, every: int = 1) -> list[Death]:
    """Die at one step of ``every`` of a scenario; gives (step, store, acknowledged) of each."""
    with start("crash_everywhere", str(template), str(folder), scenario, every) as child:
        assert child.stdout is not None
        said = [json.loads(line) for line in child.stdout]
    assert child.returncode == 0
    assert said[-1][1] == "completed"
    return [(step, folder / str(k) / "events.git", acks) for k, step, acks in said]


def check_all(deaths: list[Death], before: list[Ack], batch: int = 0, every: int = 1) -> None:
    """Every store is sound after its death; of a batch all events are there, or none.

    ``every``: look at one death of so many.
    """
    failures = []
    deaths = deaths[len(deaths) % every :: every]  # the last one completed
    for step, store, acks in deaths:
        try:
            events = assert_sound(store, [*before, *acks])
            types = Counter(event.event.type for event in events)
            assert types["Batch"] in (0, batch), types
        except Exception as error:  # noqa: BLE001 - all steps are to be named, not the first
            failures.append(f"killed before {step}: {type(error).__name__}: {error!s:.600}")
        else:
            shutil.rmtree(store.parent)
    assert not failures, f"{len(failures)} of {len(deaths)}:\n" + "\n".join(failures)


EVERY = {"few": 3, "many": 3, "batch": 3}
"""Of the long scenarios the short run looks at one death of three, the soak at all."""


@pytest.mark.soak
@pytest.mark.parametrize("scenario", list(EVERY))
def test_death_at_every_step_of_a_long_write(place: Path, scenario: str) -> None:
    """Kill -9 at each step, looked at without exception."""
    template = place / "template.git"
    before = filled(template)
    check_all(crash_everywhere(template, place / "deaths", scenario), before, batch=300)


@pytest.mark.parametrize("scenario", ["few", "many", "batch", "append", "close"])
def test_death_at_any_step_of_a_write(place: Path, scenario: str) -> None:
    """Kill -9 at any step of append, flush, batch and close loses nothing and leaves nothing."""
    template = place / "template.git"
    before = filled(template)
    deaths = crash_everywhere(template, place / "deaths", scenario)
    assert len(deaths) > 10
    check_all(deaths, before, batch=300, every=EVERY.get(scenario, 1))


def test_death_at_any_step_of_creation(place: Path) -> None:
    """Kill -9 while a store is made: the next open makes it, or finds it whole."""
    deaths = crash_everywhere(place / "nothing.git", place / "deaths", "close")
    check_all(deaths, [], every=2)


def test_death_at_any_step_of_an_index_rebuild(place: Path) -> None:
    """Kill -9 while the index is rebuilt: the next open rebuilds it."""
    template = place / "template.git"
    before = filled(template, 40, 5)
    for path in (template / "gitstore").glob("index.db*"):
        path.unlink()
    check_all(crash_everywhere(template, place / "deaths", "open"), before)


def test_death_at_any_step_of_a_journal_rebuild(place: Path) -> None:
    """Kill -9 while a lost journal is made anew: the next open does it."""
    template = place / "template.git"
    before = filled(template)
    for path in (template / "gitstore").glob("journal.db*"):
        path.unlink()
    check_all(crash_everywhere(template, place / "deaths", "open"), before)


def test_death_at_any_step_of_an_adoption(place: Path) -> None:
    """Kill -9 while commits that plain git brought are adopted: all of them get positions, once."""
    template, other = place / "template.git", place / "other.git"
    before = filled(template)
    shutil.copytree(template, other)
    with reopen(other) as store:
        for number in range(5):
            store.append(DomainEvent(f"task-{number}", "Elsewhere", number))
    git(template, "fetch", "--quiet", str(other), "refs/streams/*:refs/streams/*")
    deaths = crash_everywhere(template, place / "deaths", "open")
    for _, store_path, _ in deaths:
        with reopen(store_path) as store:
            found = sorted(e.event.data for e in store.read_all(types="Elsewhere"))
        assert found == [0, 1, 2, 3, 4]
    check_all(deaths, before)


def test_death_at_any_step_of_putting_a_ref_back(place: Path) -> None:
    """Kill -9 while a deleted and a moved ref are put back: our chain stands afterwards."""
    template = place / "template.git"
    before = filled(template)
    git(template, "update-ref", "-d", "refs/streams/task-0")
    git(template, "update-ref", "refs/streams/task-1", "refs/streams/task-2")
    check_all(crash_everywhere(template, place / "deaths", "open"), before)
