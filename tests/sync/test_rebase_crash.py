"""A rebase that dies at any step: the old or the new state, and a repetition completes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitstore.sync.pulling import pull
from tests.backends.git.test_crash import crash_everywhere
from tests.backends.git.witness import git, reopen
from tests.sync.rebases import assert_sound_rebased, diverged, ids

OLD = ["task-0-0", "task-0-bob", "waits"]
NEW = ["task-0-0", "task-0-ada", "task-0-bob", "waits"]


def test_death_at_any_step_of_a_rebase(tmp_path: Path) -> None:
    """Kill -9 at each step: both streams old or new, sound, and the next pull finishes."""
    _check_deaths(tmp_path, every=4)


@pytest.mark.soak
def test_death_at_every_step_of_a_rebase(tmp_path: Path) -> None:
    """The same, with each death looked at."""
    _check_deaths(tmp_path, every=1)


def _check_deaths(tmp_path: Path, every: int) -> None:
    hub, _ada, bob = diverged(tmp_path, "task-0", "task-1")
    git(bob, "fetch", "--quiet", "hub")
    deaths = crash_everywhere(bob, tmp_path / "deaths", "rebase")
    seen = set()
    failures = []
    for step, store, _ in deaths[len(deaths) % every :: every]:
        try:
            seen.add(_check(store, hub))
        except Exception as error:  # noqa: BLE001 - all steps are to be named, not the first
            failures.append(f"killed before {step}: {type(error).__name__}: {error!s:.400}")
        shutil.rmtree(store.parent)
    assert not failures, f"{len(failures)} of {len(deaths)}:\n" + "\n".join(failures)
    assert seen >= {"old", "new"}


def _check(store: Path, hub: Path) -> str:
    """Which state was found, after a look at all of it and a pull that completes it."""
    assert_sound_rebased(store)
    with reopen(store) as opened:
        found = ids(opened, "task-0")
        is_new = "task-0-ada" in found
        assert ("task-1-ada" in ids(opened, "task-1")) is is_new
        assert found in ([*NEW, "after"][: len(found)], OLD[: len(found)])
        report = pull(opened, str(hub), rebase=True)
        assert report.ok
        assert bool(report.adoption.rebased) is not is_new
        assert ids(opened, "task-0")[:3] == NEW[:3]
        assert ids(opened, "task-1")[:3] == ["task-1-0", "task-1-ada", "task-1-bob"]
    assert_sound_rebased(store)
    return "new" if is_new else "old"
