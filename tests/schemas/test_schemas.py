"""The types of events: what fits, what does not, and how that is said."""

from __future__ import annotations

import copy
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore import DomainEvent, InvalidEvent, UnsupportedFormat, open_store
from gitstore.schemas import (
    SCHEMAS,
    EventData,
    EventType,
    Schemas,
    TaskCreated,
    TaskUpdated,
    canonical_priority,
    canonical_status,
    misfits,
)
from gitstore.schemas.checking import KNOWN_TYPES
from gitstore.testing.strategies import json_values

ALL = pytest.mark.parametrize("kind", SCHEMAS.values(), ids=SCHEMAS)


def event(name: str, data: Any, **metadata: Any) -> DomainEvent:
    """An event of a type, in some stream."""
    return DomainEvent("x-1", name, data, metadata)


def test_the_types_are_those_of_the_interface() -> None:
    """And what real histories need besides; the quick list of names has them all."""
    assert set(SCHEMAS) == KNOWN_TYPES
    assert len(SCHEMAS) == 16
    required = {
        "TaskCreated": {"taskId", "title", "workflowState"},
        "TaskStatusChanged": {"taskId", "oldStatus", "newStatus"},
        "TaskMoved": {"taskId", "fromWorkflow", "toWorkflow"},
        "TaskSectionUpdated": {"taskId", "section", "content"},
        "SessionQueued": {"sessionId", "taskId", "mode", "priority"},
        "SessionStarted": {"sessionId", "environment"},
        "SessionToolUsed": {"sessionId", "tool", "input", "duration"},
        "SessionCompleted": {"sessionId", "result", "duration", "toolsUsed"},
        "WorktreeCreated": {"branch", "path"},
        "WorktreeRecycled": {"oldBranch", "newBranch", "path"},
        "WorktreeConflictDetected": {"worktrees", "conflictingFiles", "sessions"},
    }
    for name, fields in required.items():
        assert {field.name for field in SCHEMAS[name].fields() if field.required} == fields


@ALL
def test_an_example_fits_and_everything_is_explained(kind: EventType) -> None:
    """Each type has an example, a sentence, and words for every field."""
    SCHEMAS.check(event(kind.name, kind.example))
    assert kind.example
    assert kind.summary.endswith(".")
    for field in kind.fields():
        assert field.description.endswith(".") or ":" in field.description, field


@ALL
def test_each_needed_field_is_missed_by_its_path(kind: EventType) -> None:
    """``InvalidEvent`` names it, and where to look."""
    for field in kind.fields():
        data = {key: value for key, value in kind.example.items() if key != field.name}
        if not field.required:
            SCHEMAS.check(event(kind.name, data))
            continue
        with pytest.raises(InvalidEvent) as caught:
            SCHEMAS.check(event(kind.name, data))
        assert caught.value.path == f"data.{field.name}"
        assert f"data.{field.name} is missing" in str(caught.value)
        assert f"sc-events schema {kind.name}" in caught.value.hint


@ALL
def test_json_schema_says_the_same(kind: EventType) -> None:
    """It is a valid schema of 2020-12, the example fits it, and what lacks a field does not."""
    schema = kind.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(kind.example)
    validator.validate({**kind.example, "another": {"field": 1}})
    for name in schema["required"]:
        lacking = {key: value for key, value in kind.example.items() if key != name}
        assert not validator.is_valid(lacking)
    assert all(one["description"] for one in schema["properties"].values())


@ALL
@given(data=json_values)
def test_any_json_fits_or_is_invalid(kind: EventType, data: Any) -> None:
    """Law: whatever the data, the answer is one of the two; and the data is as it was."""
    before = copy.deepcopy(data)
    with suppress(InvalidEvent):
        SCHEMAS.check(event(kind.name, data))
    assert repr(data) == repr(before)


@pytest.mark.parametrize(
    ("name", "change", "path", "why"),
    [
        ("TaskCreated", {"title": 5}, "data.title", "expected str, got int"),
        ("TaskCreated", {"workflowState": "done"}, "data.workflowState", "backlog, current"),
        ("TaskCreated", {"taskId": None}, "data.taskId", "got null"),
        (
            "TaskStatusChanged",
            {"newStatus": "To Do"},
            "data.newStatus",
            "none of todo, in_progress",
        ),
        ("TaskUpdated", {"tags": ["a", 5]}, "data.tags[1]", "expected str, got int"),
        ("TaskUpdated", {"priority": "P0"}, "data.priority", "none of highest, high"),
        ("SessionStarted", {"environment": "docker"}, "data.environment", "expected object"),
        ("SessionStarted", {"pid": -1}, "data.pid", ">= 0"),
        ("SessionCompleted", {"duration": 1.5}, "data.duration", "expected int, got float"),
        ("SessionCompleted", {"duration": True}, "data.duration", "expected int, got bool"),
        ("SessionCompleted", {"result": "failed"}, "data.result", "none of success, failure"),
        ("WorktreeConflictDetected", {"sessions": {}}, "data.sessions", "expected array"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(
    name: str, change: dict[str, Any], path: str, why: str
) -> None:
    """With what was expected there; of words, which there are."""
    with pytest.raises(InvalidEvent) as caught:
        SCHEMAS.check(event(name, {**SCHEMAS[name].example, **change}))
    assert caught.value.path == path
    assert why in str(caught.value)


@pytest.mark.parametrize("value", ["x - at `$.other`", "y" * 100_000, "\x1b[31m"])
def test_a_value_does_not_hide_its_path(value: str) -> None:
    """Whatever it says; a long one is told in part."""
    with pytest.raises(InvalidEvent) as caught:
        SCHEMAS.check(
            event("SessionCompleted", {**SCHEMAS["SessionCompleted"].example, "result": value})
        )
    assert caught.value.path == "data.result"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("data", [None, 5, "text", [1], []])
def test_data_that_is_no_object_does_not_fit(data: Any) -> None:
    """Of any known type."""
    with pytest.raises(InvalidEvent, match="expected object") as caught:
        SCHEMAS.check(event("TaskCreated", data))
    assert caught.value.path == "data"


def test_what_is_not_known_passes() -> None:
    """Other types with any data, fields a schema does not name, integers for amounts."""
    SCHEMAS.check(event("Noted", 5))
    SCHEMAS.check(event("taskcreated", None))
    SCHEMAS.check(event("TaskCreated", {**SCHEMAS["TaskCreated"].example, "area": {"any": 1}}))
    SCHEMAS.check(event("SessionCompleted", {**SCHEMAS["SessionCompleted"].example, "cost": 3}))


def test_optional_fields_may_be_null() -> None:
    """``null`` says what leaving out says; of ``TaskUpdated`` that a field was taken away."""
    SCHEMAS.check(event("TaskCreated", {**SCHEMAS["TaskCreated"].example, "parentId": None}))
    read = SCHEMAS.read(event("TaskUpdated", {"taskId": "1", "assignee": None}))
    assert isinstance(read, TaskUpdated)
    assert read.assignee is None
    assert read.to_data() == {"taskId": "1", "assignee": None}


def test_data_is_made_from_python() -> None:
    """Snake case there, camel case in the event; what was not given is not in it."""
    made = TaskCreated(task_id="1", title="Ship", workflow_state="current")
    assert made.to_data() == {"taskId": "1", "title": "Ship", "workflowState": "current"}
    assert SCHEMAS.read(event("TaskCreated", made.to_data())) == made
    assert SCHEMAS.read(event("Noted", {})) is None


class Paid(EventData, frozen=True):
    """An invoice was paid.

    - ``invoice``: its number.
    - ``cents``: the amount, in cents.
    """

    invoice: str
    cents: int


PAID = SCHEMAS.extended(
    EventType(
        Paid,
        version=3,
        upcasters={
            1: lambda data: {"invoice": data["id"], "euros": data["euros"]},
            2: lambda data: {"invoice": data["invoice"], "cents": data["euros"] * 100},
        },
    )
)


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (None, {"id": "a", "euros": 5}),
        (1, {"id": "a", "euros": 5}),
        (2, {"invoice": "a", "euros": 5}),
        (3, {"invoice": "a", "cents": 500}),
    ],
)
def test_old_data_is_read_in_todays_form(version: int | None, data: dict[str, Any]) -> None:
    """Through each upcaster after its version; what is recorded stays as it is."""
    given = event("Paid", data, **({} if version is None else {"schemaVersion": version}))
    before = copy.deepcopy(data)
    assert PAID.read(given) == Paid(invoice="a", cents=500)
    assert PAID.upcast(given) == {"invoice": "a", "cents": 500}
    PAID.check(given)
    assert data == before


def test_a_newer_version_is_told_and_passes_an_append() -> None:
    """Reading it needs an upgrade; a store that only keeps it does not."""
    given = event("Paid", {"from": "the future"}, schemaVersion=4)
    PAID.check(given)
    with pytest.raises(UnsupportedFormat, match="version 4") as caught:
        PAID.read(given)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("version", [0, -1, "2", 1.0, True, None, [1]])
def test_a_version_is_a_whole_number(version: Any) -> None:
    """``InvalidEvent`` for any other."""
    with pytest.raises(InvalidEvent, match="schemaVersion") as caught:
        PAID.check(event("Paid", {}, schemaVersion=version))
    assert caught.value.path == "metadata.schemaVersion"


def test_an_upcaster_that_cannot_read_is_told() -> None:
    """As data that does not fit, with the version it was to be brought from."""
    with pytest.raises(InvalidEvent, match="data of version 1 cannot be brought up: KeyError"):
        PAID.read(event("Paid", {"neither": 1}))


def test_upcasters_lead_from_each_version_to_the_next() -> None:
    """A gap would be found by the first old event that is read."""
    with pytest.raises(ValueError, match="needs an upcaster"):
        EventType(Paid, version=3, upcasters={2: lambda data: data})
    assert set(Schemas(EventType(Paid))) == {"Paid"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("To Do", "todo"), ("🟡 To Do", "todo"), ("in-progress", "in_progress"),
        ("🔵 In Progress", "in_progress"), ("WIP", "in_progress"), ("🟢 Done", "done"),
        ("closed", "done"), ("🔴 Blocked", "blocked"), ("on-hold", "blocked"),
        ("🟣 Review", "reviewing"), ("⚪ Archived", "archived"), ("obsolete", "archived"),
        ("todo", "todo"), ("Shipped?", "Shipped?"), ("", ""),
    ],
)  # fmt: skip
def test_every_form_of_a_status_is_read(text: str, name: str) -> None:
    """Labels, aliases and emoji forms; what is unknown stays as it is."""
    assert canonical_status(text) == name


@pytest.mark.parametrize(("text", "name"), [("P0", "highest"), ("normal", "medium"), ("x", "x")])
def test_every_form_of_a_priority_is_read(text: str, name: str) -> None:
    """As of a status."""
    assert canonical_priority(text) == name


@given(st.text(max_size=12))
def test_canonical_names_are_fixed_points(text: str) -> None:
    """Law: reading twice is reading once."""
    assert canonical_status(canonical_status(text)) == canonical_status(text)


def test_misfits_are_what_does_not_fit() -> None:
    """By position, with the path; nothing that fits, nothing of an unknown type."""
    with open_store("memory:", validate=False) as store:
        at = datetime(2026, 11, 23, tzinfo=UTC)
        store.append(DomainEvent("task-1", "TaskCreated", {"title": "x"}, timestamp=at))
        store.append(DomainEvent("task-1", "TaskCreated", SCHEMAS["TaskCreated"].example))
        store.append(DomainEvent("task-1", "Noted", 5))
        store.append(DomainEvent("task-1", "TaskDeleted", {"taskId": "1"}, {"schemaVersion": 9}))
        found = [(one.recorded.position, one.path) for one in misfits(store)]
    assert found == [(1, "data.taskId"), (4, None)]
