"""A pull --rebase that dies at any step: each stream is old or new, and a repetition ends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gitstore.backends.git.store import GitEventStore
from gitstore.sync.pulling import pull
from tests.backends.git.programs import BEFORE
from tests.backends.git.test_crash import crash_everywhere
from tests.backends.git.witness import Ack, git, leftovers, promise, reopen
from tests.sync.peers import machine, note, publish, stream_refs
from tests.sync.servers import bare
from tests.sync.test_rebase_schedules import check_positions


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A store whose three streams have diverged from its remote's; one event is on both sides."""
    hub = bare(tmp_path / "hub.git")
    ours, theirs = tmp_path / "template.git", tmp_path / "theirs.git"
    streams = [f"task-{n}" for n in range(3)]
    with machine(theirs, hub) as there, machine(ours, hub) as here:
        for stream in streams:
            note(there, stream, 2)
        publish(there, hub)
        pull(here, "hub")
        for stream in streams:
            shared = note(here, stream, 3, "ours")[0]
            note(there, stream, 2, "theirs")
        there.append(replace(shared.event, version=None))
        publish(there, hub)
        note(here, "task-alone", 2)
    return ours


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "every", [pytest.param(17, id="some"), pytest.param(1, id="each", marks=pytest.mark.soak)]
)
def test_death_at_any_step_of_a_rebase(tmp_path: Path, template: Path, every: int) -> None:
    """Kill -9 at each: each stream is old or new, all is sound, and a repetition ends it."""
    with reopen(template) as store:
        before = [promise(event) for event in store.read_all()]
    deaths = crash_everywhere(template, tmp_path / "deaths", "pull_rebase", every)
    assert len(deaths) > 200 // every
    old, new = stream_refs(template), stream_refs(deaths[-1][1])
    assert len(old.items() - new.items()) == 3
    failures = []
    for step, place, acks in deaths:
        try:
            check_death(place, [*before, *acks], old, new)
        except Exception as error:  # noqa: BLE001 - all steps are to be named, not the first
            failures.append(f"killed before {step}: {type(error).__name__}: {error!s:.600}")
        shutil.rmtree(place.parent)
    assert not failures, f"{len(failures)} of {len(deaths)}:\n" + "\n".join(failures)


def check_death(
    place: Path, acks: Iterable[Ack], old: Mapping[str, str], new: Mapping[str, str]
) -> None:
    """The store after a death and its repair, and once the rebase was repeated."""
    with reopen(place) as store:
        check_whole(store, acks)
    for name, tip in stream_refs(place).items():
        is_old = tip == old[name] or git(place, "rev-parse", f"{tip}^").strip() == old[name]
        assert is_old or tip == new[name], f"{name} is neither old nor new"
    # Where the remote stood is noted last, and whoever notes it next takes over its locks.
    check_files(place, passing="refs/remotes/hub/streams/")
    repeat(place)
    with reopen(place) as store:
        check_whole(store, acks)
        assert store.status().unflushed == 0
        assert sum(e.replaces is not None for e in store.read_all()) == 3 * 3 + 1
    assert stream_refs(place) == new
    check_files(place)


def check_whole(store: GitEventStore, acks: Iterable[Ack]) -> None:
    """Every event that was acknowledged is live, once, and was where it is said to have been."""
    check_positions(store)
    at = {event.position: promise(event) for event in store.read_all(superseded=True)}
    assert [at[int(str(ack[2]))] for ack in acks] == [*acks]
    report = store.verify()
    assert report.ok, report.findings


def check_files(place: Path, passing: str = "nothing") -> None:
    """Git has nothing to complain of, and nothing is left over but below ``passing``."""
    left = [name for name in leftovers(place) if not name.startswith(passing)]
    assert not left, left
    assert git(place, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


def repeat(place: Path) -> None:
    """What the scenario does, once more."""
    with reopen(place) as store:
        store.append(BEFORE)
        assert pull(store, "hub", rebase=True).ok
