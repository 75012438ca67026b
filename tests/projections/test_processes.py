"""Projections of several real processes, which are killed while they save."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitstore import BaseEventStore, open_store
from gitstore.projections import ProjectionManager, check_state, states_of, statuses
from tests.projections.programs import PROJECTIONS, start
from tests.projections.support import all_ids, note
from tests.sync.rebased import two_sides

KINDS = pytest.mark.parametrize("kind", ["git:{}/events.git", "sqlite:{}/events.db"])


def address(kind: str, folder: Path) -> str:
    """A store with a few events."""
    where = kind.format(folder)
    with open_store(where) as store:
        note(store, *(f"a-{n}" for n in range(5)))
    return where


def assert_folds(store: BaseEventStore, *, stale: bool = False) -> None:
    """What is saved is sound, and the fold to its position; or ``stale``, of before a rebase."""
    for factory in PROJECTIONS:
        checked = check_state(store, factory, states_of(store))
        assert checked.ok or (stale and "a rebase moved" in str(checked.problem)), checked


def assert_current(store: BaseEventStore) -> None:
    """A new process comes to the fold of all events, and so it is saved."""
    manager = ProjectionManager(store, PROJECTIONS)
    manager.catch_up()
    for name in manager:
        state: Any = manager.state(name)
        assert state["seen"] == all_ids(store)
    assert all("a rebase moved" in said for said in manager.notes)
    for status in statuses(store, PROJECTIONS, states_of(store)):
        assert (status.state, status.building) == ("current", None), status
    assert_folds(store)


def killed(store: BaseEventStore, where: str) -> Iterator[int]:
    """Followers of ``where``, each killed a little later in what it does; gives their numbers."""
    for number in range(6):
        child = start("follow", where, 10**9)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.013 * number)
        child.kill()
        child.communicate()
        yield number


@KINDS
def test_followers_that_are_killed_beside_a_writer(tmp_path: Path, kind: str) -> None:
    """Each event is in the states once: whatever the last one had saved is sound."""
    where = address(kind, tmp_path)
    writer = start("write", where, 0, 400)
    with open_store(where) as store:
        for number in killed(store, where):
            if number:
                assert_folds(store)
        assert writer.communicate(timeout=60)[0] == "400\n"
        assert_current(store)
        assert store.verify().ok


@KINDS
def test_two_processes_at_once(tmp_path: Path, kind: str) -> None:
    """Both follow one writer, and save over each other's states, and a third makes them anew."""
    where = address(kind, tmp_path)
    children = [start("follow", where, 205) for _ in range(2)]
    children += [start("write", where, 0, 200), start("rebuild", where, 5)]
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0, 0, 0, 0]
    with open_store(where) as store:
        assert_folds(store)
        assert_current(store)


def test_a_rebase_under_a_follower(tmp_path: Path) -> None:
    """Of another process, again and again: what it has saved in the end is the history as it is."""
    with two_sides(tmp_path) as sides:
        sides.here("task-1", "task-2")
        sides.give()
        where = tmp_path / "ours.git"
        child = start("follow", where, 10**9)
        assert child.stdout is not None
        for _ in range(6):
            sides.diverge("task-1", "task-2")
            sides.give()
        last = sides.ours.last_position()
        while int(child.stdout.readline()) < last:
            pass
        child.kill()
        child.communicate()
        assert_folds(sides.ours, stale=True)
        assert_current(sides.ours)


@pytest.mark.parametrize("how", ["catch up", "rebuild"])
def test_a_death_at_each_step_of_saving(tmp_path: Path, how: str) -> None:
    """What is served is whole: the former state or the new one."""
    where = address("sqlite:{}/events.db", tmp_path)
    with open_store(where) as store:
        ProjectionManager(store, PROJECTIONS).catch_up()
        for step in range(1, 50):
            note(store, f"b-{step}")
            child = start("die", where, step, how)
            child.communicate(timeout=60)
            assert_folds(store)
            if child.returncode == 0:
                break
            assert child.returncode == 9
        assert step > 10
        assert_current(store)
    assert not [one for one in tmp_path.rglob("*.new") if one.stat().st_size == 0]
