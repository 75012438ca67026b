"""Events: what can be one, and the interface's JSON form."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.core.errors import EventStoreError, InvalidEvent, UnsupportedFormat
from gitstore.core.event import DomainEvent, RecordedEvent, trusted_event
from gitstore.testing.strategies import events, json_values, whole_events
from gitstore.testing.support import T0, same

_FULL = {
    "id": "01939c1e",
    "streamId": "task-AUTH-001",
    "type": "TaskStatusChanged",
    "version": 3,
    "timestamp": "2026-11-23T08:00:00.123Z",
    "data": {"newStatus": "in_progress", "oldStatus": None},
    "metadata": {"userId": "ann", "own": [1, 1.0]},
}


@given(events)
def test_law_json_round_trip(event: DomainEvent) -> None:
    """One line of UTF-8 that gives the same event back, types and digits included."""
    line = event.to_json()
    assert b"\n" not in line
    assert b"\r" not in line
    again = DomainEvent.from_json(line)
    assert again == event
    assert same([again.data, again.metadata], [event.data, event.metadata])
    assert again.to_json() == line
    assert DomainEvent.from_json(line.decode()) == event


@given(events)
def test_law_dict_round_trip(event: DomainEvent) -> None:
    """The interface's object gives the same event back."""
    assert DomainEvent.from_dict(event.to_dict()) == event


@given(st.dictionaries(st.sampled_from([*_FULL, "position", "commit", "more"]), json_values))
def test_law_any_object_is_an_event_or_an_error(given_object: dict[str, Any]) -> None:
    """No JSON object raises anything but this package's own errors."""
    try:
        event = DomainEvent.from_dict(given_object)
    except EventStoreError:
        return
    assert (event.stream_id, event.type) == (given_object["streamId"], given_object["type"])


def test_the_object_of_a_whole_event() -> None:
    """camelCase, the time as text, keys sorted in the line."""
    event = DomainEvent.from_dict(_FULL)
    assert event.to_dict() == _FULL
    assert list(json.loads(event.to_json())) == sorted(_FULL)
    assert event.timestamp == datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC)
    assert (event.stream_id, event.version) == ("task-AUTH-001", 3)


def test_what_is_not_known_yet_is_left_out() -> None:
    """A new event has no id, time or version; data and metadata always stand there."""
    event = DomainEvent("task-1", "TaskCreated")
    given_object: dict[str, Any] = {
        "streamId": "task-1",
        "type": "TaskCreated",
        "data": None,
        "metadata": {},
    }
    assert event.to_dict() == given_object
    assert DomainEvent.from_dict({"streamId": "task-1", "type": "TaskCreated"}) == event
    nulls = dict.fromkeys(("id", "version", "timestamp", "metadata"))
    assert DomainEvent.from_dict({**given_object, **nulls}) == event


def test_what_readers_add_is_passed_over() -> None:
    """A line that ``list`` wrote is a line ``import`` reads."""
    assert DomainEvent.from_dict({**_FULL, "position": 7, "commit": "0" * 40}).to_dict() == _FULL


@pytest.mark.parametrize("key", ["more", "stream_id", "Type", "", "causationId"])
def test_an_unknown_field_is_refused(key: str) -> None:
    """``UnsupportedFormat``: passing it over would lose what a newer version wrote."""
    with pytest.raises(UnsupportedFormat, match=repr(key)):
        DomainEvent.from_dict({**_FULL, key: 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"streamId": None}, {"streamId": ""}, {"streamId": 5}, {"streamId": "a\n"},
        {"type": None}, {"type": "two words"}, {"type": ["T"]},
        {"id": ""}, {"id": 5}, {"id": "é"}, {"id": "x" * 201},
        {"version": 0}, {"version": -1}, {"version": "3"}, {"version": 3.0}, {"version": True},
        {"version": 2**63},
        {"timestamp": "yesterday"}, {"timestamp": 1795420800}, {"timestamp": ""},
        {"timestamp": "2026-11-23T08:00:00"}, {"timestamp": datetime(2026, 11, 23)},  # noqa: DTZ001
        {"metadata": []}, {"metadata": "x"}, {"metadata": 0}, {"metadata": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_field_outside_its_form_is_refused(changes: dict[str, Any]) -> None:
    """``InvalidEvent`` when the event is made, not when it is appended."""
    with pytest.raises(InvalidEvent):
        DomainEvent.from_dict({**_FULL, **changes})


@pytest.mark.parametrize("key", ["streamId", "type"])
def test_a_missing_field_is_named(key: str) -> None:
    """The two fields an event cannot do without."""
    with pytest.raises(InvalidEvent, match=key):
        DomainEvent.from_dict({k: v for k, v in _FULL.items() if k != key})


@pytest.mark.parametrize("given_value", [None, 5, "x", [], [_FULL]], ids=repr)
def test_what_is_no_object_is_no_event(given_value: Any) -> None:
    """``InvalidEvent`` for a JSON value of another kind, in both readers."""
    with pytest.raises(InvalidEvent):
        DomainEvent.from_dict(given_value)
    with pytest.raises(InvalidEvent):
        DomainEvent.from_json(json.dumps(given_value))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        "{}\ud800",
        b'{"streamId":"a","type":"T","data":\xff}',
        b'{"streamId":"a","type":"T"} {"streamId":"a","type":"T"}',
        b'{"streamId":"a","type":"T","data":18446744073709551616}',
        b'{"streamId":"a","type":"T","data":1e400}',
        b'{"streamId":"a","type":"T","data":NaN}',
        b'{"streamId":"a","type":"T","streamId":"b"}',
        b'{"streamId":"a","type":"T","data":{"k":1,"k":2}}',
        b'{"streamId":"a","type":"T","data":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    ],
    ids=lambda text: repr(text[:60]),
)
def test_text_that_would_be_changed_is_refused(text: bytes | str) -> None:
    """``InvalidEvent``: no JSON, not one event, or a value that would be lost on the way."""
    with pytest.raises(InvalidEvent):
        DomainEvent.from_json(text)


@pytest.mark.parametrize("data", [float("nan"), 2**64, (1,), {1: 2}, {1, 2}, "\ud800"], ids=repr)
def test_data_is_looked_at_when_it_is_written(data: Any) -> None:
    """``to_json`` refuses what JSON cannot hold unchanged."""
    event = DomainEvent("a", "T", data)
    with pytest.raises(InvalidEvent):
        event.to_json()


def test_an_event_does_not_change() -> None:
    """Frozen, and without room for more."""
    event = DomainEvent("a", "T")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.type = "U"  # type: ignore[misc]
    assert not hasattr(event, "__dict__")


def test_events_share_no_metadata() -> None:
    """Each event made without metadata has an object of its own."""
    one, other = DomainEvent("a", "T"), DomainEvent("a", "T")
    assert one.metadata == other.metadata == {}
    assert one.metadata is not other.metadata


def test_a_timestamp_is_kept_in_utc() -> None:
    """Two events of one moment are equal, whatever zones they came from."""
    tokyo = datetime(2026, 11, 23, 17, tzinfo=timezone(timedelta(hours=9)))
    event = DomainEvent("a", "T", timestamp=tokyo)
    assert event.timestamp == T0
    assert event.timestamp.tzinfo is UTC
    assert event == DomainEvent("a", "T", timestamp=T0)


@pytest.mark.parametrize(
    ("value", "expected"), [("ann", "ann"), ("", ""), (None, None), (5, None), (["ann"], None)]
)
def test_the_metadata_with_a_meaning(value: Any, expected: str | None) -> None:
    """A text, or nothing; the value itself stays in the metadata."""
    keys = ("userId", "correlationId", "causationId")
    event = DomainEvent("task-a-b", "T", metadata=dict.fromkeys(keys, value))
    assert event.user_id == event.correlation_id == event.causation_id == expected
    assert event.metadata == dict.fromkeys(keys, value)
    assert event.category == "task"
    assert DomainEvent("a", "T").user_id is None


def test_a_mapping_json_would_change_is_refused() -> None:
    """A dict of another class is refused when it is written, not turned into a plain one."""
    with pytest.raises(InvalidEvent):
        DomainEvent("a", "T", metadata=OrderedDict(a=1)).to_json()


def test_a_recorded_event_speaks_for_its_event() -> None:
    """Stream and version without a detour."""
    recorded = RecordedEvent(DomainEvent("a", "T", version=4), 9)
    assert (recorded.stream_id, recorded.version, recorded.position) == ("a", 4, 9)
    assert recorded.commit is None


@given(whole_events)
def test_law_a_trusted_event_is_the_event(event: DomainEvent) -> None:
    """The backends' shortcut makes what the constructor makes."""
    values = [getattr(event, field.name) for field in dataclasses.fields(event)]
    assert trusted_event(*values, 7, "c0") == RecordedEvent(event, 7, "c0")


def test_what_can_be_appended_can_be_written_as_json() -> None:
    """Data at the depth limit still fits into the event's own line, and comes back."""
    data = functools.reduce(lambda inner, _: [inner], range(250), 1)
    event = DomainEvent("a", "Nested", data)
    assert DomainEvent.from_json(event.to_json()) == event
