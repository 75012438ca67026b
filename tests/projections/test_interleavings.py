"""Managers that come between each other in the middle of a pass, with every event saved."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import BaseEventStore, open_store
from gitstore.projections import MemoryStates, ProjectionManager, check_state, states_of
from gitstore.projections import manager as manager_module
from tests.projections.support import Fussy, Log, all_ids, note
from tests.sync.rebased import two_sides

_ACTIONS = st.lists(
    st.sampled_from(["append", "bad", "other", "rebuild", "new", "skip", "lose", "later code"]),
    max_size=14,
)
_EVENTS = 3


class Between:
    """A store, what is saved, and what happens each time an event is handled."""

    def __init__(self, store: BaseEventStore, actions: list[str]) -> None:
        self.store = store
        self.states = MemoryStates()
        self.actions: Iterator[str] = iter(actions)
        self.count = 0
        self.is_inside = False
        between = self

        class Open(Fussy):
            """Lets something happen before it handles an event."""

            def handle(self, recorded: Any) -> None:
                between.happen()
                super().handle(recorded)

        self.factories = [Log, Open]
        self.first, self.other = self.manager(), self.manager()

    def manager(self) -> ProjectionManager:
        """A new process."""
        return ProjectionManager(self.store, self.factories, states=self.states)

    def happen(self) -> None:
        """The next thing, unless something is happening."""
        if self.is_inside:
            return
        self.is_inside = True
        self._happen(next(self.actions, ""))
        self.is_inside = False

    def _happen(self, action: str) -> None:
        if action in {"append", "bad"}:
            self.count += 1
            note(self.store, f"{action}-{self.count}", kind="Bad" if action == "bad" else "Noted")
        elif action == "other":
            self.other.catch_up()
        elif action == "rebuild":
            self.other.rebuild()
            self.other.catch_up()
        elif action == "new":
            self.other = self.manager()
        elif action == "skip":
            self.other.skip("Fussy")
            self.other.catch_up()
        elif action == "lose":
            self.states.remove("Fussy")
            self.states.remove("Log")
        elif action == "later code":
            later = type("Later", (Log,), {"version": 2})
            ProjectionManager(self.store, [later], states=self.states).catch_up()

    def check(self) -> None:
        """What is saved is the fold to its position, if anything is."""
        for factory in self.factories:
            checked = check_state(self.store, factory, self.states)
            assert not checked.differences, checked
            assert checked.problem is None or "saved" in checked.problem, checked


@pytest.fixture(autouse=True, scope="module")
def _save_always() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager_module, "_SAVE_EVERY", 0.0)
        patch.setattr(manager_module, "_SAVING_SHARE", 0)
        yield


@given(_ACTIONS, st.booleans(), st.sets(st.integers(0, 20), max_size=2))
@settings(max_examples=300)
def test_whatever_happens_in_between_states_are_folds(
    actions: list[str], follows: bool, rebuilds: set[int]
) -> None:
    """Law: nothing is lost, nothing is twice, and all of them agree in the end."""
    with open_store("memory:") as store:
        note(store, *(f"first-{n}" for n in range(_EVENTS)))
        between = Between(store, actions)
        between.first.catch_up()
        stop = threading.Event()
        positions = between.first.follow(stop) if follows else iter(())
        for turn in range(20):
            if turn in rebuilds:
                between.first.rebuild()
            note(store, f"more-{between.count}")
            between.count += 1
            if follows:
                next(positions)
            else:
                between.first.catch_up()
            between.check()
            between.first.skip("Fussy")
        stop.set()
        assert list(positions) == []
        for manager in (between.first, between.other, between.manager()):
            for _ in range(between.count + 5):
                manager.catch_up()
                if manager.skip("Fussy") is None:
                    break
            between.check()
            log: Any = manager.state("Log")
            fussy: Any = manager.state("Fussy")
            assert log["seen"] == all_ids(store)
            assert fussy["seen"] == [one for one in all_ids(store) if "bad" not in one]


@given(st.lists(st.sampled_from(["", "here", "diverge", "again", "stop"]), max_size=8))
@settings(max_examples=12)
def test_rebases_between_two_events(actions: list[str]) -> None:
    """Law: of a history that is rebased while it is read, the states are those of its end."""
    with tempfile.TemporaryDirectory() as folder, two_sides(Path(folder)) as sides:
        sides.here("task-1", "task-2", "task-1")
        sides.give()
        happens = iter(actions)
        stop = threading.Event()

        class Rebased(Log):
            def handle(self, recorded: Any) -> None:
                super().handle(recorded)
                action = next(happens, "")
                if action == "here":
                    sides.here("task-2")
                elif action == "diverge":
                    sides.diverge("task-1", "task-2")
                elif action == "again":
                    ProjectionManager(sides.ours, [Log]).catch_up()
                elif action == "stop":
                    stop.set()

        manager = ProjectionManager(sides.ours, [Rebased, Fussy])
        for _ in range(len(actions) + 2):
            stop.clear()
            manager.catch_up(stop=stop)
            for name, factory in (("Log", Log), ("Fussy", Fussy)):
                checked = check_state(sides.ours, factory, states_of(sides.ours))
                assert not checked.differences, (name, checked)
        for last in (manager, ProjectionManager(sides.ours, [Log, Fussy])):
            assert last.state("Log") == last.state("Fussy") == {"seen": all_ids(sides.ours)}
