"""Scopecraft's own projections: what they make of events, those of old histories too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore import DomainEvent, UnsupportedFormat
from gitstore.projections import BUILT_IN, ActiveSessions, TaskBoard, TaskStatistics, WorktreeMap
from gitstore.projections.projection import Factory
from gitstore.projections.stateform import encode_state
from gitstore.schemas import SCHEMAS
from gitstore.testing.strategies import json_values
from tests.projections.support import event, fold

EVERY = pytest.mark.parametrize("factory", BUILT_IN, ids=lambda one: one.name)


def created(task: str = "1", **more: Any) -> DomainEvent:
    """A task is there."""
    data = {"taskId": task, "title": f"Task {task}", "workflowState": "backlog", **more}
    return event(f"task-{task}", "TaskCreated", data)


def of_task(name: str, minute: int = 1, **data: Any) -> DomainEvent:
    """Something happens to the task ``1``."""
    return event("task-1", name, {"taskId": "1", **data}, minute)


def session(name: str, minute: int = 0, stream: str = "session-a", **data: Any) -> DomainEvent:
    """Something happens in a session."""
    return event(stream, name, {"sessionId": stream[8:], **data}, minute)


def board(*events: DomainEvent) -> Any:
    """The board's tasks."""
    return fold(TaskBoard(), list(events))["tasks"]


def test_a_created_task_is_to_do() -> None:
    """In its folder, with its title and parent, and without sections."""
    assert board(created(parentId="p")) == {
        "1": {
            "status": "todo",
            "folder": "backlog",
            "title": "Task 1",
            "parent": "p",
            "sections": {},
        }
    }
    assert board(created())["1"]["parent"] is None


def test_a_task_is_rebuilt_from_its_events() -> None:
    """Status, folder, sections and fields are what the last event said of each."""
    (task,) = board(
        created(),
        of_task("TaskStatusChanged", oldStatus="todo", newStatus="in_progress"),
        of_task("TaskMoved", fromWorkflow="backlog", toWorkflow="current"),
        of_task("TaskSectionUpdated", section="log", content="one"),
        of_task("TaskSectionUpdated", section="tasks", content="- [ ] x"),
        of_task("TaskSectionUpdated", section="log", content="two", previousContent="one"),
        of_task("TaskUpdated", title="Better", priority="high", tags=["a"], parentId="p"),
        of_task("TaskUpdated", priority=None, assignee="ada"),
    ).values()
    assert task == {
        "status": "in_progress",
        "folder": "current",
        "title": "Better",
        "parent": "p",
        "sections": {"log": "two", "tasks": "- [ ] x"},
        "tags": ["a"],
        "assignee": "ada",
    }


def test_a_renamed_task_stands_under_its_new_id() -> None:
    """And is the parent of its parts under that id too."""
    tasks = board(
        created(),
        created("2", parentId="1"),
        of_task("TaskRenamed", newTaskId="9"),
        event("task-9", "TaskStatusChanged", {"taskId": "9", "newStatus": "done"}, 2),
    )
    assert set(tasks) == {"2", "9"}
    assert tasks["9"]["status"] == "done"
    assert tasks["2"]["parent"] == "9"


def test_a_title_may_be_empty() -> None:
    """It is what the last event says."""
    assert board(created(), of_task("TaskUpdated", title=""))["1"]["title"] == ""


def test_a_deleted_task_is_gone() -> None:
    """Created again, it begins anew; deleting what is not there is nothing."""
    deleted = of_task("TaskDeleted")
    assert board(created(), deleted, deleted) == {}
    again = board(created(), of_task("TaskStatusChanged", newStatus="done"), deleted, created())
    assert again["1"]["status"] == "todo"


@pytest.mark.parametrize(
    ("said", "read"), [("🟢 Done", "done"), ("wip", "in_progress"), ("Odd", "Odd")]
)
def test_old_forms_of_a_status_are_read(said: str, read: str) -> None:
    """By the canonical name; what is unknown as it is."""
    assert board(created(), of_task("TaskStatusChanged", newStatus=said))["1"]["status"] == read


def test_what_an_old_event_says_is_taken() -> None:
    """Without its ``taskId`` the stream says which task; fields that are wrong are passed over."""
    tasks = board(
        event("task-7", "TaskCreated", {"title": "Only a title"}),
        event("task-7", "TaskStatusChanged", {"newStatus": 5}),
        event("task-8", "TaskMoved", {"toWorkflow": "current"}),
        event("task-9", "TaskSectionUpdated", None),
    )
    assert tasks["7"]["title"] == "Only a title"
    assert tasks["7"]["folder"] is None
    assert tasks["8"]["folder"] == "current"
    assert set(tasks) == {"7", "8"}


def test_statistics_count_changes_and_sessions() -> None:
    """A session counts for the task that its ``SessionQueued`` named, when it has ended."""
    state = fold(
        TaskStatistics(),
        [
            created(),
            of_task("TaskStatusChanged", 1, newStatus="in_progress"),
            session("SessionQueued", 2, taskId="1", mode="autonomous", priority="high"),
            session("SessionStarted", 3, environment={}),
            session("SessionCompleted", 4, result="success", duration=90, toolsUsed=[]),
            session("SessionQueued", 5, "session-b", taskId="1", mode="x", priority="low"),
            of_task("TaskStatusChanged", 6, newStatus="done"),
        ],
    )
    assert state == {
        "tasks": {
            "1": {
                "created": "2026-11-23T08:00:00.000Z",
                "statusChanges": 2,
                "lastModified": "2026-11-23T08:06:00.000Z",
                "sessionsRun": 1,
                "totalDuration": 90,
            }
        },
        "sessions": {"session-b": "1"},
    }


def test_a_session_that_was_not_queued_names_its_task_itself() -> None:
    """Where neither does, it counts for none; an end without a duration is an end."""
    done = {"result": "failure", "toolsUsed": []}
    state = fold(
        TaskStatistics(),
        [
            created(),
            session("SessionCompleted", taskId="1", duration=5, **done),
            session("SessionCompleted", 1, "session-b", duration=7, **done),
            session("SessionCompleted", 2, "session-c", taskId="1", duration="long", **done),
        ],
    )
    assert (state["tasks"]["1"]["sessionsRun"], state["tasks"]["1"]["totalDuration"]) == (2, 5)


@pytest.mark.parametrize(
    ("durations", "total"),
    [([2**64 - 1, 2**64 - 1], 2**53 - 1), ([5, -7], 5), ([1.5, True, None], 0)],
)
def test_statistics_of_impossible_durations(durations: list[Any], total: int) -> None:
    """Whatever an old event says, the state can be saved; what is no duration is none."""
    ended = [
        session("SessionCompleted", n, taskId="1", duration=one) for n, one in enumerate(durations)
    ]
    state = fold(TaskStatistics(), ended)
    assert state["tasks"]["1"]["totalDuration"] == total
    assert encode_state(state)


def test_statistics_follow_a_renamed_task() -> None:
    """With the sessions that are on their way; a deleted one keeps its figures."""
    queued = session("SessionQueued", 1, taskId="1", mode="x", priority="low")
    ended = session("SessionCompleted", 4, result="success", duration=3, toolsUsed=[])
    state = fold(
        TaskStatistics(), [created(), queued, of_task("TaskRenamed", newTaskId="9"), ended]
    )
    assert set(state["tasks"]) == {"9"}
    assert state["tasks"]["9"]["totalDuration"] == 3
    assert set(fold(TaskStatistics(), [created(), of_task("TaskDeleted")])["tasks"]) == {"1"}


def test_sessions_are_active_until_they_end() -> None:
    """Queued, then running; one that starts without being queued is active too."""
    queued = session("SessionQueued", taskId="1", mode="autonomous", priority="high")
    started = session("SessionStarted", 1, environment={})
    alone = session("SessionStarted", 2, "session-b", environment={})
    ended = session("SessionCompleted", 3, result="success", duration=1, toolsUsed=[])
    state = fold(ActiveSessions(), [queued, started, alone])["sessions"]
    assert state["session-a"] == {
        "id": "session-a",
        "sessionId": "a",
        "status": "running",
        "taskId": "1",
        "mode": "autonomous",
        "priority": "high",
        "queuedAt": "2026-11-23T08:00:00.000Z",
        "startedAt": "2026-11-23T08:01:00.000Z",
    }
    assert state["session-b"]["status"] == "running"
    assert state["session-b"]["queuedAt"] is None
    assert set(fold(ActiveSessions(), [queued, started, alone, ended])["sessions"]) == {"session-b"}


def test_a_retry_waits_again() -> None:
    """A session that is queued once more is queued, not running."""
    queued = session("SessionQueued", taskId="1", mode="x", priority="low")
    started = session("SessionStarted", 1, environment={})
    again = session("SessionQueued", 2, taskId="1", mode="x", priority="low", retryAttempt=1)
    (active,) = fold(ActiveSessions(), [queued, started, again])["sessions"].values()
    assert (active["status"], active["startedAt"]) == ("queued", None)


def test_worktrees_are_found_by_their_branch() -> None:
    """A recycled one under its new branch; conflicts by branch or by path, until it is recycled."""
    made = event("worktree-a", "WorktreeCreated", {"branch": "a", "path": "/w/a", "taskId": "1"})
    other = event("worktree-b", "WorktreeCreated", {"branch": "b", "path": "/w/b"})
    conflict = event(
        "worktree-a",
        "WorktreeConflictDetected",
        {"worktrees": ["a", "/w/b"], "conflictingFiles": ["x.py"], "sessions": ["s", "t"]},
        5,
    )
    moved = event("worktree-a", "WorktreeRecycled", {"oldBranch": "a", "newBranch": "c"}, 9)
    state = fold(WorktreeMap(), [made, other, conflict])["worktrees"]
    assert state["a"]["taskId"] == "1"
    assert state["b"]["conflicts"] == [
        {
            "time": "2026-11-23T08:05:00.000Z",
            "worktrees": ["a"],
            "files": ["x.py"],
            "sessions": ["s", "t"],
        }
    ]
    recycled = fold(WorktreeMap(), [made, other, conflict, moved])["worktrees"]
    assert set(recycled) == {"b", "c"}
    assert recycled["c"] == {
        "path": "/w/a",
        "taskId": None,
        "since": "2026-11-23T08:09:00.000Z",
        "conflicts": [],
    }


@EVERY
@given(data=json_values, kind=st.sampled_from(sorted(SCHEMAS)))
def test_no_data_stops_a_projection(factory: Factory, kind: str, data: Any) -> None:
    """Law: whatever an old event of a known type carries, there is a state, and it is JSON."""
    projection = factory()
    state = fold(
        projection, [created(), DomainEvent("task-1", kind, data), DomainEvent("x", kind, data)]
    )
    again = factory()
    again.restore(state)
    assert again.state() == state


@EVERY
def test_old_versions_are_read_and_newer_ones_are_not(factory: Factory) -> None:
    """Data of a newer version of its type stops what would have to guess."""
    projection = factory()
    for kind in sorted(projection.types or ()):
        given = DomainEvent("x-1", kind, SCHEMAS[kind].example, {"schemaVersion": 2})
        with pytest.raises(UnsupportedFormat, match="version 2"):
            fold(factory(), [given])
        fold(factory(), [DomainEvent("x-1", kind, {}, {"schemaVersion": "odd"})])


@EVERY
def test_a_state_of_another_projection_is_refused(factory: Factory) -> None:
    """What it cannot go on with must not be taken for its own."""
    for state in ({}, [], None, {"other": {}}):
        with pytest.raises(ValueError, match="no state of"):
            factory().restore(state)
