"""Which lines of a data file become events: the rules alone."""

from __future__ import annotations

import codecs
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.backends.jsonl.admitting import StrangeLine, rule, whole_row
from gitstore.backends.jsonl.layout import data_file
from gitstore.backends.jsonl.lines import Line, encode_line, strip_line
from gitstore.backends.table.schema import Row
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.timestamps import format_timestamp
from gitstore.testing.strategies import whole_events
from tests.backends.jsonl.support import FILE, event, line


def row_of(text: bytes, file: str = FILE, number: int = 7) -> Row:
    """The event of a line."""
    return whole_row(Line(file, number, strip_line(text, number)))


@given(whole_events, st.integers(1, 2**62))
def test_a_line_the_store_writes_is_the_event_it_was_written_for(
    given_event: DomainEvent, version: int
) -> None:
    """Writing and judging are inverse, whatever the event holds."""
    whole = replace(given_event, version=version)
    assert whole.timestamp is not None
    time = format_timestamp(whole.timestamp)
    row = row_of(encode_line(whole), data_file(whole.stream_id, time))
    assert row == Row.of(RecordedEvent(whole, 0))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param(line(1, 1), 7, id="key-order-and-spaces"),
        pytest.param(line(1, 1)[:-1] + b"\r\n", 7, id="crlf"),
        pytest.param(codecs.BOM_UTF8 + line(1, 1), 1, id="byte-order-mark-on-line-1"),
        pytest.param(b"  \t" + line(1, 1), 7, id="indented"),
        pytest.param(line(1, 1, timestamp="2026-11-23T12:00:00.001+02:00"), 7, id="other-zone"),
        pytest.param(line(1, 1, position=9, commit="a" * 40), 7, id="what-readers-add"),
    ],
)
def test_forms_in_which_other_programs_write_an_event(text: bytes, number: int) -> None:
    """All of them are the same event, in the store's own form."""
    assert row_of(text, number=number) == row_of(line(1, 1))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(b'{"id":"a","str', "no JSON", id="cut"),
        pytest.param(b"\0\0\0", "no JSON", id="zeros"),
        pytest.param(b"\xff\xfe{}", "no JSON", id="no-utf8"),
        pytest.param(b"[]", "an event is a JSON object", id="no-object"),
        pytest.param(line(1, 1, id=None), "the event has no id", id="no-id"),
        pytest.param(line(1, None), "the event has no version", id="no-version"),
        pytest.param(line(1, 1, timestamp=None), "the event has no timestamp", id="no-time"),
        pytest.param(line(1, 0), "version 0 is no whole number", id="version-0"),
        pytest.param(line(1, 1, extra=1), "no field 'extra'", id="unknown-field"),
        pytest.param(line(1, 1, type="two words"), "white space", id="type"),
        pytest.param(line(1, 1, "task-2"), "belongs into", id="other-stream"),
        pytest.param(
            line(1, 1, timestamp="2026-11-24T00:00:00Z"),
            "belongs into 2026-11-24/task-1.jsonl",
            id="other-day",
        ),
        pytest.param(line(1, 1, metadata={"a": "b" * 70_000}), "metadata has", id="metadata"),
        pytest.param(codecs.BOM_UTF8 + line(1, 1), "no JSON", id="byte-order-mark-on-line-7"),
    ],
)
def test_what_is_no_whole_event_of_its_file_is_strange(text: bytes, reason: str) -> None:
    """The error names file and line and says why, so that it can be found and corrected."""
    with pytest.raises(StrangeLine, match=r"2026-11-23/task-1\.jsonl:7: ") as error:
        row_of(text)
    assert reason in error.value.reason


def test_the_next_of_its_stream_is_admitted() -> None:
    """Version head + 1 with an id that nobody has."""
    assert rule(row_of(line(1, 4)), 3, None).verdict == "admitted"


def test_what_is_ahead_waits() -> None:
    """It says for what; in a part of a history nothing is waited for."""
    ruling = rule(row_of(line(1, 6)), 3, None)
    assert ruling == ("waits", "task-1@6 waits for task-1@4")
    assert rule(row_of(line(1, 6)), 3, None, is_part=True).verdict == "admitted"


@pytest.mark.parametrize("is_part", [False, True], ids=["whole", "part"])
def test_a_version_that_is_taken_is_strange(is_part: bool) -> None:
    """What was recorded at a version stays there."""
    ruling = rule(row_of(line(1, 3)), 3, None, is_part=is_part)
    assert ruling == ("strange", "task-1@3 comes after version 3, which is recorded")


def test_a_recorded_event_again_is_passed_over() -> None:
    """In whatever form it is written."""
    known = row_of(encode_line(event(1, version=2)))
    assert rule(row_of(line(1, 2)), 5, known).verdict == "repeats"


@pytest.mark.parametrize(
    ("other", "what"),
    [
        pytest.param({"data": {"n": 2}}, "other data", id="data"),
        pytest.param({"metadata": {}}, "other metadata", id="metadata"),
        pytest.param({"type": "Moved"}, "another type", id="type"),
        pytest.param({"version": 3}, "another version", id="version"),
        pytest.param({"timestamp": "2026-11-23T10:00:00Z"}, "another timestamp", id="time"),
    ],
)
def test_a_known_id_with_other_content_is_strange(other: dict[str, object], what: str) -> None:
    """The reason names the event that has the id, and the first thing that differs."""
    changed = json.loads(line(1, 2)) | other
    ruling = rule(row_of(json.dumps(changed).encode()), 2, row_of(line(1, 2)))
    assert ruling.verdict == "strange"
    assert ruling.reason == f"event id 'id-1' is recorded as task-1@2: this line has {what}"
