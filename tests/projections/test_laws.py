"""Laws of projections: however a state came about, it is the fold of the events."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gitstore import DomainEvent, open_store
from gitstore.projections import BUILT_IN, MemoryStates, ProjectionManager, replay
from tests.projections.support import T0, Fussy, Log

_IDS = st.sampled_from(["1", "2", "3"])
_STATUS = st.sampled_from(["todo", "in_progress", "🟢 Done", "odd", ""])
_NAMES = st.sampled_from(["log", "tasks"])


def _task(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[DomainEvent]:
    data = st.fixed_dictionaries({"taskId": _IDS, **fields})
    return data.map(lambda made: DomainEvent(f"task-{made['taskId']}", name, made))


def _session(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[DomainEvent]:
    data = st.fixed_dictionaries({"sessionId": _IDS, **fields})
    return data.map(lambda made: DomainEvent(f"session-{made['sessionId']}", name, made))


HISTORY = st.lists(
    st.one_of(
        _task("TaskCreated", title=_NAMES, workflowState=_NAMES, parentId=st.none() | _IDS),
        _task("TaskStatusChanged", newStatus=_STATUS),
        _task("TaskMoved", toWorkflow=_NAMES),
        _task("TaskSectionUpdated", section=_NAMES, content=_STATUS),
        _task("TaskUpdated", priority=st.none() | _NAMES, parentId=st.none() | _IDS),
        _task("TaskRenamed", newTaskId=_IDS),
        _task("TaskDeleted"),
        _session("SessionQueued", taskId=_IDS),
        _session("SessionStarted"),
        _session("SessionCompleted", taskId=st.none() | _IDS, duration=st.integers(0, 9)),
        st.just(DomainEvent("worktree-a", "WorktreeCreated", {"branch": "a", "path": "/a"})),
        st.just(
            DomainEvent("worktree-a", "WorktreeRecycled", {"oldBranch": "a", "newBranch": "b"})
        ),
        st.just(DomainEvent("worktree-a", "WorktreeConflictDetected", {"worktrees": ["a", "/a"]})),
        st.just(DomainEvent("note-1", "Noted", 5)),
    ),
    max_size=25,
)


def folded(events: list[DomainEvent]) -> dict[str, Any]:
    """The states that a plain fold makes."""
    projections = [factory() for factory in BUILT_IN]
    with open_store("memory:", validate=False) as store:
        for recorded in store.append_many(events):
            for projection in projections:
                projection.handle(recorded)
    return {projection.name: projection.state() for projection in projections}


def _timed(events: list[DomainEvent]) -> list[DomainEvent]:
    return [DomainEvent(e.stream_id, e.type, e.data, timestamp=T0) for e in events]


@given(HISTORY.map(_timed), st.lists(st.integers(0, 25), max_size=4), st.booleans())
@settings(max_examples=60)
def test_rebuilt_is_incremental_is_resumed_at_any_point(
    history: list[DomainEvent], cuts: list[int], new_manager: bool
) -> None:
    """Law: in whatever pieces events came, in one process or several, the states are the fold."""
    states = MemoryStates()
    with open_store("memory:", validate=False) as store:
        manager = ProjectionManager(store, BUILT_IN, states=states)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 25], strict=True):
            store.append_many(history[start:end])
            manager.catch_up()
            if new_manager:
                manager = ProjectionManager(store, BUILT_IN, states=states)
        expected = folded(history)
        assert {name: manager.state(name) for name in manager} == expected
        manager.rebuild()
        manager.catch_up()
        assert {name: manager.state(name) for name in manager} == expected


@given(HISTORY.map(_timed), st.integers(0, 30))
@settings(max_examples=60)
def test_the_state_as_of_a_position_is_the_fold_to_there(
    history: list[DomainEvent], position: int
) -> None:
    """Law: inclusive; beyond the last position it is the state now."""
    projections = [factory() for factory in BUILT_IN]
    with open_store("memory:", validate=False) as store:
        store.append_many(history)
        done = replay(store, projections, as_of=position)
    assert {one.name: one.state() for one in projections} == folded(history[:position])
    assert done.events == done.position == min(position, len(history))


class Managers(RuleBasedStateMachine):
    """Two managers, live and restarted, rebuilt, skipping: beside events good and bad."""

    @initialize()
    def begin(self) -> None:
        """An empty store."""
        self.store = open_store("memory:")
        self.states = MemoryStates()
        self.count = 0
        self.managers = [self._new(), self._new()]

    def _new(self) -> ProjectionManager:
        return ProjectionManager(self.store, [Log, Fussy], states=self.states)

    @rule(bad=st.sampled_from([False, False, True]))
    def append(self, bad: bool) -> None:
        """Something is recorded."""
        self.count += 1
        kind = "Bad" if bad else "Noted"
        self.store.append(DomainEvent("note-1", kind, id=f"{kind}-{self.count}"))

    @rule(who=st.integers(0, 1))
    def catch_up(self, who: int) -> None:
        """One comes up to the present."""
        position = self.managers[who].catch_up()
        assert position == self.store.last_position()
        assert self.managers[who].position("Log") == position

    @rule(who=st.integers(0, 1))
    def restart(self, who: int) -> None:
        """A process ends, and another begins."""
        self.managers[who] = self._new()

    @rule(who=st.integers(0, 1))
    def skip(self, who: int) -> None:
        """What one has stopped at is passed over."""
        self.managers[who].skip("Fussy")

    @rule(who=st.integers(0, 1))
    def rebuild(self, who: int) -> None:
        """From the first event on."""
        self.managers[who].rebuild()

    @rule()
    def lose(self) -> None:
        """Somebody removes what is saved."""
        self.states.remove("Fussy")

    @invariant()
    def each_state_is_a_fold(self) -> None:
        """Of the events up to its position, without those that were skipped."""
        events = [recorded.event for recorded in self.store.read_all()]
        for manager in self.managers:
            seen: Any = manager["Log"].state()
            ids = [event.id for event in events]
            assert seen["seen"] == ids[: len(seen["seen"])]
            fussy: Any = manager["Fussy"].state()
            good = [event.id for event in events if event.type != "Bad"]
            assert fussy["seen"] == good[: len(fussy["seen"])]

    def teardown(self) -> None:
        """Once both have caught up, and skipped what is bad, they agree."""
        for manager in self.managers:
            for _ in range(self.count + 1):
                manager.catch_up()
                manager.skip("Fussy")
            manager.catch_up()
            state: Any = manager.state("Fussy")
            events = [recorded.event for recorded in self.store.read_all()]
            assert state["seen"] == [event.id for event in events if event.type != "Bad"]
        self.store.close()


TestManagers = Managers.TestCase
TestManagers.settings = settings(max_examples=100, stateful_step_count=30)
