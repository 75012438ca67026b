"""CloudEvents: valid ones out, without a loss back, and those of others in."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.sync.cloudevents import (
    SOURCE,
    decode_cloudevent,
    decode_cloudevent_again,
    encode_cloudevent,
)
from gitstore.testing import strategies
from tests.sync.support import user_metadata

AT = datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC)
_NO_STRING = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff\U0010fffe\U0010ffff]"
)


def whole(stream: str = "task-1", kind: str = "T", metadata: Any = None) -> DomainEvent:
    """A recorded event."""
    return DomainEvent(stream, kind, {"n": 1}, metadata, "id-1", AT, 3)


def foreign(**changed: Any) -> bytes:
    """A CloudEvent of somebody else; a value of ``...`` leaves an attribute out."""
    given = {
        "specversion": "1.0", "id": "A234", "source": "/sensors/7", "type": "com.example.measured",
        "subject": "sensor-7", "time": "2026-11-23T09:00:00+01:00", "data": [1, None], **changed,
    }  # fmt: skip
    return json.dumps({k: v for k, v in given.items() if v is not ...}).encode()


metadata = strategies.json_objects | user_metadata
recorded = st.builds(
    DomainEvent,
    strategies.stream_ids,
    strategies.types,
    strategies.json_values,
    metadata,
    strategies.event_ids,
    strategies.zoned_datetimes,
    st.integers(1, 2**63 - 1),
)


@given(recorded)
@example(whole("a\ufffe", "T\U0001ffff"))
@example(whole(metadata={"userId": "", "correlationId": 7, "causationId": "\x85"}))
@example(whole(metadata={"metadata": "{}", "exact": 1, "source": SOURCE, "userid": "b"}))
def test_out_and_in_again_nothing_is_lost(event: DomainEvent) -> None:
    """Law: decoding what was encoded gives the event, by either reader, for any event."""
    text = encode_cloudevent(event)
    for back in (decode_cloudevent(text), decode_cloudevent_again(text)):
        assert back == event
        assert back.to_json() == event.to_json()  # 1 and 1.0 are equal, and differ


@given(recorded)
@example(whole("a\ufffe", "T\U0001ffff", {"k": "\x7f\x9f\U0001fffe"}))
def test_what_is_written_keeps_the_specification(event: DomainEvent) -> None:
    """Names of small letters and digits, at most 20; Strings without what they may not hold."""
    text = encode_cloudevent(event)
    assert text.count(b"\n") == 1
    given = json.loads(text)
    given.pop("data")
    for name, value in given.items():
        assert re.fullmatch("[a-z0-9]{1,20}", name)
        if isinstance(value, str):
            assert value
            assert not _NO_STRING.search(value)
        else:
            assert -(2**31) <= value < 2**31


def test_an_event_in_its_attributes() -> None:
    """The mapping, in the order that people read."""
    ids = {"userId": "ada", "correlationId": "c", "causationId": "b"}
    event = DomainEvent("task-1", "TaskCreated", {"b": 1, "a": 1.0}, {**ids, "k": 1}, "i", AT, 3)
    assert encode_cloudevent(event) == (
        b'{"specversion":"1.0","id":"i","source":"urn:scopecraft:events","type":"TaskCreated",'
        b'"subject":"task-1","time":"2026-11-23T08:00:00.123Z",'
        b'"datacontenttype":"application/json","streamversion":3,"userid":"ada",'
        b'"correlationid":"c","causationid":"b","metadata":"{\\"k\\":1}",'
        b'"data":{"a":1.0,"b":1}}\n'
    )


def test_large_versions_are_texts() -> None:
    """An Integer ends at 2**31 - 1."""
    event = DomainEvent("a", "T", None, None, "i", AT, 2**31)
    assert json.loads(encode_cloudevent(event))["streamversion"] == str(2**31)


def test_a_foreign_event_keeps_all_it_has() -> None:
    """What has no field of its own is metadata, under its own name."""
    text = foreign(
        dataschema="https://example.com/s", traceparent="00-1", sampled=True, userid="ada",
        datacontenttype="application/vnd.x+json; charset=utf-8", unset=None,
        metadata="not an object",
    )  # fmt: skip
    assert decode_cloudevent(text) == DomainEvent(
        "sensor-7",
        "com.example.measured",
        [1, None],
        {
            "source": "/sensors/7",
            "dataschema": "https://example.com/s",
            "datacontenttype": "application/vnd.x+json; charset=utf-8",
            "traceparent": "00-1",
            "sampled": True,
            "userId": "ada",
            "metadata": "not an object",
        },
        "A234",
        datetime(2026, 11, 23, 8, tzinfo=UTC),
    )


def test_missing_data_is_null_and_a_missing_time_is_the_stores() -> None:
    """Neither is required."""
    event = decode_cloudevent(foreign(data=..., time=...))
    assert (event.data, event.timestamp, event.version) == (None, None, None)


def test_a_foreign_event_travels_on_as_ours() -> None:
    """Out and in again it is the same event, its first source in its metadata."""
    event = decode_cloudevent(foreign(streamversion="1"))
    assert event.metadata == {"source": "/sensors/7"}
    assert decode_cloudevent(encode_cloudevent(event)) == event


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"specversion": "0.3"}, "only version 1.0"),
        ({"specversion": ...}, "no specversion"),
        ({"id": ...}, "no id"),
        ({"id": ""}, "no id"),
        ({"source": None}, "no source"),
        ({"type": 1}, "no type"),
        ({"subject": ...}, "no subject, which names the stream"),
        ({"subject": None}, "no subject"),
        ({"data": ..., "data_base64": "AAAA"}, "binary"),
        ({"datacontenttype": "application/xml", "data": "<a/>"}, "'application/xml'"),
        ({"datacontenttype": 7}, "7"),
        ({"streamversion": "007"}, "streamversion"),
        ({"metadata": '{"userId":"a"}', "userid": "b"}, "userid, and userId in metadata"),
        ({"source": SOURCE, "metadata": "no"}, "metadata is no text of a JSON object"),
        ({"source": SOURCE, "exact": "[]"}, "exact is no text"),
        ({"time": "yesterday"}, "no timestamp"),
        ({"type": "two words"}, "white space"),
    ],
)
def test_what_cannot_be_recorded_is_refused(changed: dict[str, Any], message: str) -> None:
    """With what is wrong, and what to do."""
    with pytest.raises(InvalidEvent, match=re.escape(message)) as caught:
        decode_cloudevent(foreign(**changed))
    assert caught.value.hint


@pytest.mark.parametrize("text", [b"[]", b"null", b'"specversion"', b"1"])
def test_other_json_is_no_cloudevent(text: bytes) -> None:
    """A batch in an array, for one."""
    with pytest.raises(InvalidEvent, match="no specversion"):
        decode_cloudevent(text)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '{"big":99999999999999999999}'])
def test_what_was_checked_is_what_is_recorded(text: str) -> None:
    """Another's attribute named metadata is read alike both times: as the text it is."""
    line = foreign(metadata=text)
    assert decode_cloudevent(line) == decode_cloudevent_again(line)
    assert decode_cloudevent(line).metadata["metadata"] == text


def test_another_producers_exact_says_nothing_about_the_stream() -> None:
    """Only our own events carry names a CloudEvents String cannot hold."""
    event = decode_cloudevent(foreign(exact='{"subject":"elsewhere"}'))
    assert event.stream_id != "elsewhere"
    assert event.metadata["exact"] == '{"subject":"elsewhere"}'
