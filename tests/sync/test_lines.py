"""JSON lines: what ends a line, what is passed over, and what an error names."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given

from gitstore.backends.jsonl import lines
from gitstore.backends.jsonl.lines import (
    BadLine,
    Line,
    decode_again,
    encode_line,
    parse_line,
    read_lines,
    seekable,
    size_of,
)
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.testing import strategies


def read(raw: bytes) -> list[tuple[int, bytes]]:
    """Number and text of each line."""
    return [(line.number, line.text) for line in read_lines(io.BytesIO(raw), "f")]


def test_lines_are_numbered_as_an_editor_does() -> None:
    """Empty lines and lines of white space count, and are passed over."""
    assert read(b"a\n\n  \t\nb\n") == [(1, b"a"), (4, b"b")]


def test_the_last_line_needs_no_line_end() -> None:
    """A file cut after its last brace is whole."""
    assert read(b"a\nb") == [(1, b"a"), (2, b"b")]


def test_only_a_newline_ends_a_line() -> None:
    """U+2028, U+0085, form feeds and a lone carriage return stay inside a line."""
    raw = "a\u2028b\u0085c\x0cd\re".encode()
    assert read(raw + b"\n") == [(1, raw)]


def test_windows_line_ends_and_byte_order_mark_are_tolerated() -> None:
    """CRLF files, and files that begin as some editors write them."""
    assert read(b"\xef\xbb\xbf{}\r\n{}\r\n") == [(1, b"{}"), (2, b"{}")]


def test_a_byte_order_mark_elsewhere_is_no_json() -> None:
    """Only the first line may begin with one."""
    with pytest.raises(BadLine, match=r"^f:2: no JSON"):
        list(map(parse_line, read_lines(io.BytesIO(b'{"streamId":"a","type":"T"}\n\xef\xbb\xbf{}'),
                                        "f")))  # fmt: skip


def test_a_file_without_line_ends_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless line is refused, with its place."""
    monkeypatch.setattr(lines, "MAX_LINE", 10)
    with pytest.raises(BadLine, match=r"^f:2: the line is longer than 10 bytes"):
        list(read_lines(io.BytesIO(b"short\n" + b"x" * 11), "f"))


def test_a_bad_line_carries_its_facts() -> None:
    """File, line, and reason are attributes; it is an InvalidEvent to whoever asks."""
    with pytest.raises(BadLine) as caught:
        parse_line(Line("history.jsonl", 17, b'{"streamId":"a"}'))
    error = caught.value
    assert isinstance(error, InvalidEvent)
    assert (error.file, error.line, error.reason) == (
        "history.jsonl",
        17,
        "the event has no type",
    )
    assert str(error) == "history.jsonl:17: the event has no type"
    assert "nothing was recorded" in error.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"streamId":"a","type":"T"', "no JSON"),
        (b"[1]", "is a JSON object"),
        (b"\xff", "no JSON"),
        (b'{"streamId":"a","type":"T","data":NaN}', "no JSON"),
        (b'{"streamId":"a","type":"T","data":18446744073709551616}', "64 bits"),
        (b'{"streamId":"a","type":"T","type":"U"}', "twice"),
        (b'{"streamId":"a","type":"T","bogus":1}', "bogus"),
        (b'{"streamId":"a","type":"T","timestamp":"2026-01-01T00:00:00"}', "time zone"),
        (b'{"streamId":"a","type":"two words"}', "white space"),
        (b'{"streamId":"a","type":"T","version":0}', "version"),
        (b'{"streamId":"a","type":"T","metadata":[]}', "metadata"),
    ],
)
def test_what_cannot_be_held_unchanged_is_refused(text: bytes, reason: str) -> None:
    """Each with a reason that says what is wrong."""
    with pytest.raises(BadLine, match=reason):
        parse_line(Line("f", 1, text))


def test_a_json_array_is_explained() -> None:
    """`list -f json` is no JSONL: the hint says how to make it so."""
    with pytest.raises(BadLine) as caught:
        parse_line(Line("f", 1, b"["))
    assert "jq" in caught.value.hint


def test_what_readers_add_is_passed_over() -> None:
    """The lines of ``list -f jsonl`` can be read: position and commit are the store's."""
    event = parse_line(
        Line("f", 1, b'{"streamId":"a","type":"T","position":9,"commit":"00","version":2}')
    )
    assert (event.stream_id, event.type, event.version) == ("a", "T", 2)


def test_a_pipe_is_copied_and_a_file_is_not() -> None:
    """What can be read once only is spooled, so that it can be read twice."""
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\n")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe, seekable(pipe) as copy:
        assert copy is not pipe
        assert size_of(copy) == 8
        assert [copy.read(), copy.seek(0), copy.read()] == [b"one\ntwo\n", 0, b"one\ntwo\n"]
    file = io.BytesIO(b"x")
    assert seekable(file) is file


def test_lines_say_where_they_are() -> None:
    """Offset and length of the whole line, so that it can be read again."""
    raw = b"\xef\xbb\xbfa\r\n\n  bc \nd"
    found = [(line.offset, line.length) for line in read_lines(io.BytesIO(raw), "f")]
    assert [raw[at : at + length].strip() for at, length in found] == [
        b"\xef\xbb\xbfa", b"bc", b"d"
    ]  # fmt: skip


@given(strategies.whole_events)
def test_an_encoded_line_is_the_event(event: DomainEvent) -> None:
    """Law: it ends with its only line feed, and every reader gives the event back."""
    text = encode_line(event)
    assert text.index(b"\n") == len(text) - 1
    for back in (DomainEvent.from_json(text), decode_again(text)):
        assert back == event
        assert encode_line(back) == text


@given(strategies.events)
def test_reading_again_gives_what_was_read(event: DomainEvent) -> None:
    """Law: also where a line leaves fields to the store."""
    text = event.to_json()
    assert decode_again(text) == DomainEvent.from_json(text)


def test_keys_have_the_interfaces_order_and_numbers_one_form() -> None:
    """Whatever the release of the JSON library."""
    given = DomainEvent.from_json(
        b'{"version":1,"streamId":"a","type":"T","id":"i","timestamp":"2026-01-02T03:04:05Z",'
        b'"metadata":{"k":1e-7},"data":{"b":1e16,"a":1.0}}'
    )
    assert encode_line(given) == (
        b'{"id":"i","streamId":"a","type":"T","version":1,"timestamp":"2026-01-02T03:04:05.000Z",'
        b'"data":{"a":1.0,"b":1e+16},"metadata":{"k":1e-7}}\n'
    )
