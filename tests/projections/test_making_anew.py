"""States that are made anew: what is served meanwhile, and what becomes of it when they stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitstore import BaseEventStore, DomainEvent, open_store
from gitstore.projections import MemoryStates, ProjectionManager, statuses
from tests.projections.support import Fussy, Log, all_ids, note
from tests.sync.rebased import two_sides


@pytest.fixture
def store() -> Iterator[BaseEventStore]:
    """Three events."""
    with open_store("memory:") as opened:
        note(opened, "a", "b", "c")
        yield opened


@pytest.fixture
def states() -> MemoryStates:
    """What is saved."""
    return MemoryStates()


Manage = Callable[..., ProjectionManager]


@pytest.fixture
def manage(store: BaseEventStore, states: MemoryStates) -> Manage:
    """Makes managers, each as a new process would."""
    return lambda *factories: ProjectionManager(store, factories, states=states)


def seen(manager: ProjectionManager, name: str = "Log") -> list[str]:
    """The ids of the events that are in a state."""
    state: Any = manager.state(name)
    return list(state["seen"])


def test_a_rebuild_while_following_never_serves_what_has_not_begun(manage: Manage) -> None:
    """Saving it in the place of what is whole has to wait until it has caught up."""
    manage(Log).catch_up()
    stop = threading.Event()
    manager = manage(Log)
    positions = manager.follow(stop)
    assert next(positions) == 3
    manager.rebuild()
    assert next(positions) == 3
    assert seen(manager) == seen(manage(Log)) == ["a", "b", "c"]
    manager.rebuild()
    stop.set()
    assert list(positions) == []
    assert seen(manage(Log)) == ["a", "b", "c"]


def test_a_rebuild_that_is_never_run_changes_nothing(
    store: BaseEventStore, states: MemoryStates, manage: Manage
) -> None:
    """It is asked for, and the process ends."""
    manage(Log).catch_up()
    manager = manage(Log)
    next(positions := manager.follow(threading.Event()))
    manager.rebuild()
    positions.close()  # type: ignore[attr-defined]
    assert seen(manage(Log)) == ["a", "b", "c"]
    (status,) = statuses(store, [Log], states)
    assert (status.state, status.position) == ("current", 3)


def test_what_was_skipped_while_following_is_handled_before_it_is_served(
    store: BaseEventStore, manage: Manage
) -> None:
    """A state made anew that had stopped is not whole before the events behind that are in it."""
    note(store, "d", kind="Bad")
    note(store, "e")
    stop = threading.Event()
    manager = manage(Fussy)
    positions = manager.follow(stop)
    next(positions)
    assert manager.skip("Fussy") is not None
    assert next(positions) == 5
    assert seen(manager, "Fussy") == ["a", "b", "c", "e"]
    stop.set()
    assert list(positions) == []
    assert seen(manage(Fussy), "Fussy") == ["a", "b", "c", "e"]


def test_a_rebuild_that_stopped_can_be_skipped_later(
    store: BaseEventStore, states: MemoryStates, manage: Manage
) -> None:
    """By another process, as the command line does: it goes on with what was being made anew."""
    note(store, "d", kind="Bad")
    note(store, "e")

    class Lenient(Log):
        name = "Fussy"

    manage(Lenient).catch_up()
    rebuilding = manage(Fussy)
    rebuilding.rebuild()
    rebuilding.catch_up()
    rebuilding.catch_up()
    assert rebuilding.stopped("Fussy") is not None
    (status,) = statuses(store, [Fussy], states)
    assert status.stopped is not None
    later = manage(Fussy)
    later.catch_up()
    later.catch_up()
    assert seen(later, "Fussy") == ["a", "b", "c", "d", "e"]
    skipped = later.skip("Fussy")
    assert skipped is not None
    assert skipped.event_id == "d"
    later.catch_up()
    assert seen(later, "Fussy") == seen(manage(Fussy), "Fussy") == ["a", "b", "c", "e"]
    (status,) = statuses(store, [Fussy], states)
    assert (status.state, status.stopped, status.building) == ("current", None, None)
    assert states.read("Fussy.next") is None


def test_a_rebuild_that_was_interrupted_is_completed(
    store: BaseEventStore, states: MemoryStates, manage: Manage
) -> None:
    """By whoever comes next; what it was to put right is served until then."""
    wrong = manage(Log)
    wrong.catch_up()
    wrong._runners["Log"].held.changes().seen.append("wrong")  # type: ignore[attr-defined]
    note(store, "d")
    wrong.catch_up()
    ends = threading.Event()
    ends.set()
    rebuilding = manage(Log)
    rebuilding.rebuild()
    assert rebuilding.catch_up(stop=ends) == 1
    assert "wrong" in seen(rebuilding)
    assert rebuilding.position("Log") == 4
    (status,) = statuses(store, [Log], states)
    assert (status.position, status.building) == (4, 1)
    later = manage(Log)
    assert "wrong" in seen(later)
    assert later.position("Log") == 4
    later.catch_up()
    assert seen(later) == ["a", "b", "c", "d"]
    (status,) = statuses(store, [Log], states)
    assert (status.state, status.building) == ("current", None)


def test_a_death_between_the_two_steps_of_a_swap(
    store: BaseEventStore, states: MemoryStates, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new state is in its place, and what was to become it is not gone: it is passed over."""
    ends = threading.Event()
    ends.set()
    manage(Log).catch_up()
    rebuilding = manage(Log)
    rebuilding.rebuild()
    rebuilding.catch_up(stop=ends)
    with monkeypatch.context() as patch:
        patch.setattr(states, "remove", lambda _: None)
        rebuilding.catch_up()
    assert states.read("Log.next")
    (status,) = statuses(store, [Log], states)
    assert (status.state, status.building) == ("current", None)
    assert manage(Log).position("Log") == 3
    manage(Log).catch_up()
    assert seen(manage(Log)) == ["a", "b", "c"]


def test_a_state_of_another_store_is_never_served(states: MemoryStates) -> None:
    """Not even before the first event is handled, nor when none can be."""
    with open_store("memory:") as other:
        note(other, "x", "y")
        ProjectionManager(other, [Fussy], states=states).catch_up()
    with open_store("memory:") as mine:
        note(mine, "a", kind="Bad")
        manager = ProjectionManager(mine, [Fussy], states=states)
        assert seen(manager, "Fussy") == []
        manager.catch_up()
        assert seen(manager, "Fussy") == []
        assert "is made anew" in manager.notes[0]


def test_a_store_that_is_another_one_meanwhile(store: BaseEventStore, manage: Manage) -> None:
    """What was made of the former one is not served any more."""
    ends = threading.Event()
    ends.set()
    manager = manage(Log)
    manager.catch_up()
    store._store_id = "another"  # type: ignore[attr-defined]
    manager.catch_up(stop=ends)
    assert seen(manager) == ["a"]


def test_what_another_store_has_saved_is_not_taken_over(
    store: BaseEventStore, states: MemoryStates, manage: Manage
) -> None:
    """Somebody has copied a state here: it is replaced, however far it has come."""
    manager = manage(Log)
    manager.catch_up()
    others = MemoryStates()
    with open_store("memory:") as other:
        note(other, *"uvwxyz")
        ProjectionManager(other, [Log], states=others).catch_up()
    states.write("Log", others.read("Log") or b"")
    note(store, "d")
    manager.catch_up()
    assert seen(manager) == seen(manage(Log)) == ["a", "b", "c", "d"]


def test_older_code_that_still_runs_leaves_the_state_of_newer_code(
    store: BaseEventStore, manage: Manage
) -> None:
    """A service that was not restarted; its own state goes on in memory."""
    newer = type("Newer", (Log,), {"version": 2})
    service = manage(Log)
    service.catch_up()
    manage(newer).catch_up()
    for n in "de":
        note(store, n)
        assert service.catch_up() == store.last_position()
    assert seen(service) == ["a", "b", "c", "d", "e"]
    assert service.notes == []
    assert seen(manage(newer)) == ["a", "b", "c"]


def test_it_stops_before_the_event_though_another_has_come_further(
    store: BaseEventStore, manage: Manage
) -> None:
    """What is saved by then is beyond it."""
    mine, other = manage(Fussy), manage(Fussy)
    mine.catch_up()
    note(store, "d", kind="Bad")
    note(store, "e")
    other.catch_up()
    other.skip("Fussy")
    other.catch_up()
    mine.catch_up()
    stopped = mine.stopped("Fussy")
    state = ["a", "b", "c"] if stopped else ["a", "b", "c", "e"]
    assert (seen(mine, "Fussy"), mine.position("Fussy")) == (state, len(state) if stopped else 5)


@pytest.mark.parametrize("moved", ["handled", "waiting"])
def test_a_rebase_between_asking_and_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    """The checkpoint was found good, and then what it stands on is moved: nothing is twice."""
    with two_sides(tmp_path) as sides:
        sides.here("task-1", "task-2")
        sides.give()
        if moved == "handled":
            sides.here("task-1")
        manager = ProjectionManager(sides.ours, [Log])
        manager.catch_up()
        sides.here("task-2")
        if moved == "waiting":
            sides.here("task-1")
        sides.there("task-1")
        read_all = sides.ours.read_all

        def rebased_first(*given: Any, **filters: Any) -> Any:
            if "backwards" not in filters and given:
                monkeypatch.undo()
                sides.rebase()
            return read_all(*given, **filters)

        monkeypatch.setattr(sides.ours, "read_all", rebased_first)
        manager.catch_up()
        assert seen(manager) == all_ids(sides.ours)
        assert seen(ProjectionManager(sides.ours, [Log])) == all_ids(sides.ours)


def test_following_gives_the_state_of_the_position_it_gives(tmp_path: Path) -> None:
    """After a rebase, too: what was made anew is served as soon as it has caught up."""
    with two_sides(tmp_path) as sides:
        sides.here("task-1", "task-1")
        sides.give()
        manager = ProjectionManager(sides.ours, [Log])
        stop = threading.Event()
        positions = manager.follow(stop)
        next(positions)
        for _ in range(3):
            sides.diverge("task-1")
            next(positions)
            assert seen(manager) == all_ids(sides.ours)
        stop.set()
        assert list(positions) == []
        again = ProjectionManager(sides.ours, [Log])
        assert seen(again) == all_ids(sides.ours)
        assert again.notes == []


def test_what_another_has_skipped_stays_skipped(store: BaseEventStore, manage: Manage) -> None:
    """Whoever goes on from its state knows of it, also when that state is made anew."""
    note(store, "d", kind="Bad")
    mine, other = manage(Fussy), manage(Fussy)
    mine.catch_up()
    other.catch_up()
    other.skip("Fussy")
    note(store, "e")
    other.catch_up()
    note(store, "f", kind="Bad")
    note(store, "g")
    mine.catch_up()
    mine.skip("Fussy")
    mine.catch_up()
    again = manage(Fussy)
    again.rebuild()
    again.catch_up()
    assert seen(again, "Fussy") == ["a", "b", "c", "e", "g"]


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error", [RuntimeError("\udc80"), RuntimeError("x" * 100_000), _Mute(), RecursionError()]
)
def test_whatever_it_raises_is_told_and_saved(
    store: BaseEventStore, states: MemoryStates, error: Exception
) -> None:
    """In a few words, which do not get into the way of saving."""

    class Raising(Log):
        def handle(self, recorded: Any) -> None:
            if recorded.event.id == "c":
                raise error
            super().handle(recorded)

    ProjectionManager(store, [Raising, Fussy], states=states).catch_up()
    (status,) = statuses(store, [Raising], states)
    assert status.building == 2
    assert status.stopped is not None
    assert status.stopped.error.startswith(type(error).__name__)
    assert len(status.stopped.error) < 2_000


def test_notes_do_not_grow(store: BaseEventStore, manage: Manage) -> None:
    """What is found again and again by a process that runs for months is noted once."""

    class Odd(Log):
        def state(self) -> Any:
            return {"seen": (1,)}

    manager = manage(Odd)
    for n in "defg":
        manager.catch_up()
        note(store, n)
    assert len(manager.notes) == 1


def test_names_that_a_file_system_cannot_tell_apart(manage: Manage) -> None:
    """Are names of the same file: refused."""
    with pytest.raises(ValueError, match="one name"):
        manage(Log, type("Other", (Log,), {"name": "LOG"}))


def test_types_are_several_names(manage: Manage) -> None:
    """A single text would be taken for its letters."""
    with pytest.raises(ValueError, match="types"):
        manage(type("Wrong", (Log,), {"types": "Noted"}))


def test_a_save_that_fails_is_told_and_made_good(
    store: BaseEventStore, states: MemoryStates, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: what was saved stays, what is handled is not lost, and is saved another time."""
    manager = manage(Log, Fussy)
    manager.catch_up()
    note(store, "d")
    with monkeypatch.context() as patch:
        patch.setattr(states, "write", _no_space)
        with pytest.raises(OSError, match="No space"):
            manager.catch_up()
        assert seen(manage(Log)) == ["a", "b", "c"]
    note(store, "e")
    manager.catch_up()
    assert seen(manager) == seen(manage(Log)) == ["a", "b", "c", "d", "e"]
    assert seen(manager, "Fussy") == seen(manage(Fussy), "Fussy") == ["a", "b", "c", "d", "e"]


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_appended_by_a_projection_comes_after_it(store: BaseEventStore) -> None:
    """It is not handed on in the same pass, and not lost."""

    class Chatty(Log):
        def handle(self, recorded: Any) -> None:
            super().handle(recorded)
            if len(self.seen) < 6:
                store.append(DomainEvent("note-z", "Noted", id=f"z{len(self.seen)}"))

    manager = ProjectionManager(store, [Chatty], states=MemoryStates())
    while manager.catch_up() < store.last_position():
        pass
    assert seen(manager) == all_ids(store)
