"""``ProjectionManager``: each event exactly once in a state, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitstore import BaseEventStore, DomainEvent, open_store
from gitstore.backends.git.store import GitEventStore
from gitstore.projections import (
    BUILT_IN,
    FolderStates,
    MemoryStates,
    ProjectionManager,
    states_of,
    statuses,
)
from gitstore.projections import manager as manager_module
from gitstore.projections.projection import Factory
from tests.backends.git.rebasing import noted, rebase
from tests.backends.git.witness import reopen
from tests.projections.support import Fussy, Log, all_ids, note

Manage = Callable[..., ProjectionManager]


@pytest.fixture
def store() -> Iterator[BaseEventStore]:
    """Three events."""
    with open_store("memory:") as opened:
        note(opened, "a", "b", "c")
        yield opened


@pytest.fixture
def manage(store: BaseEventStore) -> Manage:
    """Makes managers, each as a new process would: of the states that the last one saved."""
    states = MemoryStates()
    return lambda *factories: ProjectionManager(store, factories, states=states)


def seen(manager: ProjectionManager, name: str = "Log") -> list[str]:
    """The ids of the events that are in a state."""
    state: Any = manager.state(name)
    return list(state["seen"])


def kind(store: BaseEventStore, manage: Manage, factory: Factory) -> str:
    """How the saved state stands."""
    states = manage(factory)._runners[factory().name].slot._states
    (status,) = statuses(store, [factory], states)
    return status.state


def test_it_catches_up_and_goes_on_where_it_was(store: BaseEventStore, manage: Manage) -> None:
    """A new manager hands on what is new alone, once."""
    assert manage(Log).catch_up() == 3
    note(store, "d")
    again = manage(Log)
    assert seen(again) == ["a", "b", "c"]
    assert again.position("Log") == 3
    assert again.catch_up() == 4
    assert seen(again) == seen(manage(Log)) == ["a", "b", "c", "d"]
    assert again.notes == []


def test_with_nothing_new_nothing_is_read_or_written(manage: Manage) -> None:
    """Coming back is cheap, however long the history is."""
    manage(Log).catch_up()
    again = manage(Log)
    again._runners["Log"].held.projection = pytest.fail  # type: ignore[method-assign]
    again._runners["Log"].slot._states.write = pytest.fail  # type: ignore[method-assign]
    again.catch_up()


def test_projections_come_from_where_each_is(store: BaseEventStore, manage: Manage) -> None:
    """One that is added later is handed everything, the others what is new."""
    manage(Log).catch_up()
    note(store, "d")
    both = manage(Log, Fussy)
    both.catch_up()
    assert seen(both) == seen(both, "Fussy") == ["a", "b", "c", "d"]


def test_only_the_types_it_names_are_handed_on(store: BaseEventStore, manage: Manage) -> None:
    """Aliases among them; its position passes over the others."""

    class Failed(Log):
        name = "Failed"
        types = frozenset({"SessionFailed"})

    data = {"sessionId": "1", "duration": 1, "toolsUsed": []}
    for n, result in enumerate(("success", "failure")):
        given = {**data, "result": result}
        store.append(DomainEvent("session-1", "SessionCompleted", given, id=f"s{n}"))
    manager = manage(Failed, Log)
    manager.catch_up()
    assert seen(manager, "Failed") == ["s1"]
    assert manager.position("Failed") == 5


class Second(Log):
    """The same, of another version."""

    version = 2


def test_other_code_makes_the_state_anew(store: BaseEventStore, manage: Manage) -> None:
    """Its version is part of the state; so it is said, and older code does the same."""
    manage(Log).catch_up()
    assert kind(store, manage, Second) == "outdated"
    manager = manage(Second)
    assert "version 1" in manager.notes[0]
    assert seen(manager) == []
    manager.catch_up()
    assert seen(manager) == ["a", "b", "c"]
    assert kind(store, manage, Second) == "current"
    assert seen(manage(Log)) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:40],
        lambda content: content[:-3],
        lambda content: content.replace(b'"a"', b'"x"'),
        lambda content: content.replace(b'"name":"Log"', b'"name":"Other"'),
        lambda content: content.replace(b'"form":1', b'"form":2'),
        lambda content: content.replace(b'"seen"', b'"lost"'),
        lambda content: b"{}\n{}\n",
        lambda content: b"\xff\x00" + content,
        lambda content: content.partition(b"\n")[0] + b"\n",
    ],
)
def test_a_damaged_state_is_made_anew(
    store: BaseEventStore, manage: Manage, spoil: Callable[[bytes], bytes]
) -> None:
    """Whatever became of it: that is said, and what comes of it is right."""
    manage(Log).catch_up()
    states = manage(Log)._runners["Log"].slot._states
    content = states.read("Log")
    assert content
    states.write("Log", spoil(content))
    manager = manage(Log)
    assert "Log" in manager.notes[0]
    manager.catch_up()
    assert seen(manager) == seen(manage(Log)) == ["a", "b", "c"]


@pytest.mark.parametrize("asked", [True, False])
def test_a_state_that_its_code_refuses_is_made_anew(
    store: BaseEventStore, manage: Manage, asked: bool
) -> None:
    """Be it asked for, or needed by the next event: that is said, and comes right."""

    class Picky(Log):
        def restore(self, state: Any) -> None:
            raise LookupError("not mine")

    manage(Log).catch_up()
    note(store, "d")
    manager = manage(Picky, Fussy)
    if asked:
        assert seen(manager) == []
    assert manager.catch_up() == 4
    assert "cannot be restored: LookupError('not mine')" in manager.notes[0]
    assert seen(manager) == seen(manager, "Fussy") == ["a", "b", "c", "d"]
    assert seen(manage(Log)) == ["a", "b", "c", "d"]


def test_a_state_of_another_store_is_made_anew(manage: Manage) -> None:
    """Positions mean nothing there."""
    states = MemoryStates()
    with open_store("memory:") as other:
        note(other, "x", "y")
        ProjectionManager(other, [Log], states=states).catch_up()
        with open_store("memory:") as mine:
            note(mine, "a")
            (status,) = statuses(mine, [Log], states)
            assert status.state == "foreign"
            manager = ProjectionManager(mine, [Log], states=states)
            manager.catch_up()
            assert seen(manager) == ["a"]
            assert "is made anew" in manager.notes[0]


def test_one_that_raises_is_stopped_alone(store: BaseEventStore, manage: Manage) -> None:
    """Before the event, whatever it did to its state; the others go on."""
    note(store, "d", kind="Bad")
    note(store, "e")
    manager = manage(Log, Fussy)
    assert manager.catch_up() == 5
    assert seen(manager) == ["a", "b", "c", "d", "e"]
    assert seen(manager, "Fussy") == ["a", "b", "c"]
    stopped = manager.stopped("Fussy")
    assert stopped is not None
    assert (stopped.position, stopped.event_id, stopped.type) == (4, "d", "Bad")
    assert stopped.place == "note-d@1"
    assert stopped.error == "RuntimeError: cannot do that"
    assert manager.stopped("Log") is None
    note(store, "f")
    manager.catch_up()
    assert seen(manager, "Fussy") == ["a", "b", "c"]
    assert seen(manager)[-1] == "f"


def test_skip_passes_over_the_event(store: BaseEventStore, manage: Manage) -> None:
    """Once and for all: also in a new manager, and when the state is made anew."""
    note(store, "d", kind="Bad")
    note(store, "e")
    manager = manage(Fussy)
    manager.catch_up()
    skipped = manager.skip("Fussy")
    assert skipped is not None
    assert skipped.event_id == "d"
    manager.catch_up()
    assert seen(manager, "Fussy") == ["a", "b", "c", "e"]
    again = manage(Fussy)
    assert again.skip("Fussy") is None
    again.rebuild()
    again.catch_up()
    assert seen(again, "Fussy") == ["a", "b", "c", "e"]
    assert again.stopped("Fussy") is None


def test_retry_hands_it_on_again(
    store: BaseEventStore, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same manager when asked, in a new one by itself: the cause may be gone."""
    note(store, "d", kind="Bad")
    manager = manage(Fussy)
    manager.catch_up()
    manager.retry("Fussy")
    manager.catch_up()
    assert manager.stopped("Fussy") is not None
    monkeypatch.setattr(Fussy, "handle", Log.handle)
    again = manage(Fussy)
    again.catch_up()
    assert again.stopped("Fussy") is None
    assert seen(again, "Fussy") == ["a", "b", "c", "d"]


def test_a_live_manager_goes_on_after_anothers_skip(store: BaseEventStore, manage: Manage) -> None:
    """A skip by the command line is seen by the service that has stopped there."""
    note(store, "d", kind="Bad")
    service, command = manage(Fussy), manage(Fussy)
    service.catch_up()
    command.catch_up()
    command.skip("Fussy")
    command.catch_up()
    note(store, "e")
    service.catch_up()
    assert service.stopped("Fussy") is None
    assert seen(service, "Fussy") == ["a", "b", "c", "e"]


def test_several_bad_events_are_skipped_one_by_one(store: BaseEventStore, manage: Manage) -> None:
    """Each is named when its turn comes."""
    note(store, "d", "e", kind="Bad")
    manager = manage(Fussy)
    for expected in ("d", "e"):
        manager.catch_up()
        skipped = manager.skip("Fussy")
        assert skipped is not None
        assert skipped.event_id == expected
    manager.catch_up()
    assert seen(manager, "Fussy") == ["a", "b", "c"]
    assert manager.position("Fussy") == 5


def test_a_rebuild_serves_the_old_state_until_it_has_caught_up(
    store: BaseEventStore, manage: Manage
) -> None:
    """Also where it stops on the way, or the process ends: the saved one is whole all the time."""
    manager = manage(Fussy)
    manager.catch_up()
    note(store, "d", kind="Bad")
    manager.rebuild("Fussy")
    assert seen(manager, "Fussy") == ["a", "b", "c"]
    ends = threading.Event()
    ends.set()
    manager.catch_up(stop=ends)
    assert seen(manager, "Fussy") == seen(manage(Fussy), "Fussy") == ["a", "b", "c"]
    manager.catch_up()
    assert manager.stopped("Fussy") is not None
    assert seen(manager, "Fussy") == seen(manage(Fussy), "Fussy") == ["a", "b", "c"]
    manager.skip("Fussy")
    manager.catch_up()
    assert seen(manager, "Fussy") == ["a", "b", "c"]
    assert manager.position("Fussy") == 4


def test_a_rebuild_puts_a_wrong_state_right(store: BaseEventStore, manage: Manage) -> None:
    """And a manager that had the wrong one takes the new one over."""
    wrong = manage(Log)
    wrong.catch_up()
    wrong._runners["Log"].held.changes().seen.append("wrong")  # type: ignore[attr-defined]
    note(store, "d")
    wrong.catch_up()
    assert "wrong" in seen(manage(Log))
    other = manage(Log)
    other.rebuild()
    other.catch_up()
    assert seen(manage(Log)) == ["a", "b", "c", "d"]
    note(store, "e")
    wrong.catch_up()
    wrong.catch_up()
    assert seen(wrong) == seen(manage(Log)) == ["a", "b", "c", "d", "e"]


def test_two_managers_at_once_are_both_right(store: BaseEventStore, manage: Manage) -> None:
    """What is saved is whole, and never goes back behind what the other one saved."""
    one, two = manage(Log), manage(Log)
    one.catch_up()
    for n in "defgh":
        note(store, n)
        (two if n in "dfh" else one).catch_up()
        fresh = manage(Log)
        assert seen(fresh) == all_ids(store)[: fresh.position("Log")]
        assert fresh.position("Log") == store.last_position()
    one.catch_up()
    two.catch_up()
    assert seen(one) == seen(two) == all_ids(store)


def test_a_slower_manager_does_not_undo_a_faster_one(store: BaseEventStore, manage: Manage) -> None:
    """It takes the further state over."""
    manage(Log).catch_up()
    slow, fast = manage(Log), manage(Log)
    ends = threading.Event()
    note(store, "d", "e")
    fast.catch_up()
    ends.set()
    slow.catch_up(stop=ends)
    assert manage(Log).position("Log") == 5
    slow.catch_up()
    assert seen(slow) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("state", [(1,), float("nan"), {1: 2}, object(), 2**70, "\ud800"])
def test_a_state_that_is_no_json_is_not_saved(manage: Manage, state: Any) -> None:
    """What would be another state after a restart; that is said, and the others are saved."""

    class Odd(Log):
        name = "Odd"

        def state(self) -> Any:
            return {"seen": state}

    manager = manage(Odd, Log)
    manager.catch_up()
    assert "Odd cannot be saved" in manager.notes[0]
    assert seen(manage(Log)) == ["a", "b", "c"]
    assert manage(Odd).position("Odd") == 0


def test_a_state_that_can_no_longer_be_saved_goes_on_in_memory(
    store: BaseEventStore, manage: Manage
) -> None:
    """What was saved before stays, and is where the next process goes on."""

    class Later(Log):
        def state(self) -> Any:
            return {"seen": tuple(self.seen) if "d" in self.seen else self.seen}

    manager = manage(Later)
    manager.catch_up()
    note(store, "d")
    assert manager.catch_up() == 4
    assert seen(manager) == ["a", "b", "c", "d"]
    assert seen(manage(Log)) == ["a", "b", "c"]


def test_an_interruption_in_the_middle_costs_nothing(store: BaseEventStore, manage: Manage) -> None:
    """Not even within a handler: the next pass begins from what is sure."""

    class Interrupted(Log):
        def handle(self, recorded: Any) -> None:
            super().handle(recorded)
            if recorded.event.id == "e" and not told:
                told.append(True)
                raise KeyboardInterrupt

    told: list[bool] = []
    manager = manage(Interrupted)
    manager.catch_up()
    note(store, "d", "e", "f")
    with pytest.raises(KeyboardInterrupt):
        manager.catch_up()
    manager.catch_up()
    assert seen(manager) == ["a", "b", "c", "d", "e", "f"]


def test_it_ends_early_when_it_is_told_to(store: BaseEventStore, manage: Manage) -> None:
    """After the event in hand, also of a slow projection; what is handled is saved."""
    stop = threading.Event()

    class Slow(Log):
        def handle(self, recorded: Any) -> None:
            super().handle(recorded)
            if recorded.event.id == "b":
                stop.set()

    manager = manage(Slow)
    assert manager.catch_up(stop=stop) == 2
    assert manage(Slow).position("Log") == 2
    assert manager.catch_up() == 3
    assert seen(manager) == ["a", "b", "c"]


def test_long_runs_save_on_the_way(
    store: BaseEventStore, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a kill costs seconds, not the whole; a state that is made anew is not served early."""
    monkeypatch.setattr(manager_module, "_SAVE_EVERY", 0.0)
    monkeypatch.setattr(manager_module, "_SAVING_SHARE", 0)

    class Dies(Log):
        def handle(self, recorded: Any) -> None:
            if recorded.event.id == "c":
                raise SystemExit
            super().handle(recorded)

    with pytest.raises(SystemExit):
        manage(Dies).catch_up()
    again = manage(Log)
    assert again.position("Log") == 2
    assert seen(again) == ["a", "b"]
    again.catch_up()
    assert seen(again) == ["a", "b", "c"]


def test_it_follows_live(store: BaseEventStore, manage: Manage) -> None:
    """What was there before and what comes later, each once; saved when nothing comes."""
    stop = threading.Event()
    manager = manage(Log)
    positions = manager.follow(stop)
    assert next(positions) == 3
    for n, last in (("d", 4), ("e", 5)):
        threading.Timer(0.05, note, (store, n)).start()
        assert next(positions) == last
    threading.Timer(0.3, stop.set).start()
    assert list(positions) == []
    assert seen(manager) == seen(manage(Log)) == ["a", "b", "c", "d", "e"]


def test_following_ends_with_the_store(manage: Manage) -> None:
    """Closed by another thread; what was handled is saved."""
    with open_store("memory:") as opened:
        note(opened, "a")
        states = MemoryStates()
        manager = ProjectionManager(opened, [Log], states=states)
        positions = manager.follow(threading.Event())
        assert next(positions) == 1
        threading.Timer(0.1, opened.close).start()
        assert list(positions) == []
    assert states.read("Log")


def test_writers_beside_it_lose_nothing(tmp_path: Path) -> None:
    """Events that come between replay and live are in the state once, in the store's order."""
    stop = threading.Event()
    with open_store(tmp_path / "events.git") as store:
        note(store, *(f"before-{n}" for n in range(40)))

        def write(name: str) -> None:
            with open_store(tmp_path / "events.git") as own:
                for n in range(60):
                    own.append(DomainEvent(f"{name}-s", "Noted", id=f"{name}-{n}"))

        writers = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(2)]
        for writer in writers:
            writer.start()
        manager = ProjectionManager(store, [Log])
        for position in manager.follow(stop):
            if position == 160:
                stop.set()
        for writer in writers:
            writer.join()
        assert seen(manager) == all_ids(store)
        assert len(seen(manager)) == len(set(seen(manager))) == 160


@pytest.fixture
def git_store(tmp_path: Path) -> Iterator[GitEventStore]:
    """Two streams, flushed."""
    with reopen(tmp_path / "events.git") as opened:
        for n in range(4):
            opened.append(noted("task-1", f"ours-{n}", n))
            opened.append(noted("task-2", f"other-{n}", n))
        yield opened


def test_a_rebase_makes_states_anew(git_store: GitEventStore) -> None:
    """Of what it moved; the state is that of the history as it is now."""
    manager = ProjectionManager(git_store, [Log])
    manager.catch_up()
    rebase(git_store, "task-1", 2, [noted("task-1", "theirs", "x")])
    (status,) = statuses(git_store, [Log], states_of(git_store))
    assert status.state == "stale"
    manager.catch_up()
    assert "a rebase moved events" in manager.notes[0]
    assert seen(manager) == all_ids(git_store)
    again = ProjectionManager(git_store, [Log])
    again.catch_up()
    assert again.notes == []
    assert seen(again) == all_ids(git_store)


def test_a_rebase_under_a_running_projection(git_store: GitEventStore) -> None:
    """At every event of a pass: what comes of it is the history as it is in the end."""
    for at in range(1, 10):
        states = MemoryStates()
        rebased: list[int] = []

        class Rebased(Log):
            def handle(self, recorded: Any) -> None:
                super().handle(recorded)
                if len(self.seen) == at and not rebased:  # noqa: B023
                    rebased.append(1)  # noqa: B023
                    theirs = [noted("task-1", f"theirs-{at}", "x")]  # noqa: B023
                    rebase(git_store, "task-1", 1, theirs)

        manager = ProjectionManager(git_store, [Rebased, Fussy], states=states)
        manager.catch_up()
        manager.catch_up()
        assert seen(manager) == seen(manager, "Fussy") == all_ids(git_store)


@pytest.mark.parametrize("address", ["git:{}/events.git", "sqlite:{}/events.db", "jsonl:{}/events"])
def test_states_lie_beside_their_store(tmp_path: Path, address: str) -> None:
    """Private files, of which the store knows nothing: it is as sound as ever."""
    with open_store(address.format(tmp_path)) as store:
        note(store, "a", "b")
        ProjectionManager(store, [*BUILT_IN, Log]).catch_up()
        found = list(tmp_path.rglob("Log.json"))
        assert len(found) == 1
        assert found[0].stat().st_mode & 0o777 == 0o600
        assert found[0].parent.stat().st_mode & 0o777 == 0o700
        assert store.verify().ok
    with open_store(address.format(tmp_path), create=False) as store:
        manager = ProjectionManager(store, [Log])
        assert seen(manager) == ["a", "b"]
        assert store.verify().ok


def test_a_copied_store_does_not_take_the_states_for_its_own(tmp_path: Path) -> None:
    """They were made of another store's positions, until a copy has its own id."""
    with open_store("memory:") as store:
        note(store, "a")
        states = FolderStates(tmp_path / "projections")
        ProjectionManager(store, [Log], states=states).catch_up()
    with open_store("memory:") as store:
        note(store, "b", "c")
        manager = ProjectionManager(store, [Log], states=states)
        manager.catch_up()
        assert seen(manager) == ["b", "c"]


def test_names_are_checked(store: BaseEventStore) -> None:
    """They are names of files: nothing outside the folder can be meant."""
    for bad in ("", "../x", "a/b", ".x", "x" * 65, "ü", None):
        named = type("Named", (Log,), {"name": bad})
        with pytest.raises(ValueError, match="no name of a projection"):
            ProjectionManager(store, [named])
    with pytest.raises(ValueError, match="one name"):
        ProjectionManager(store, [Log, Log])
    for version in (0, "1", True, None):
        with pytest.raises(ValueError, match="version"):
            ProjectionManager(store, [type("Versioned", (Log,), {"version": version})])
