"""Text of events never drives the terminal it is shown on."""

from __future__ import annotations

import json
import re

import pytest
from gitstore_cli.safe import printable, printable_lines, safe_json
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Cli

HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe \r\n\t\x00\x7f\u2028 \U000e0041 ok ä 日本"
OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


@pytest.fixture
def hostile(cli: Cli) -> Cli:
    """A store whose only event has hostile text wherever one can be."""
    event = {
        "streamId": "s-\u202ename",
        "type": "T\u2066ype",
        "id": "i",
        "data": {HOSTILE: [HOSTILE]},
        "metadata": {"userId": HOSTILE, "correlationId": HOSTILE, HOSTILE: HOSTILE},
    }
    cli.ok("import", "-", stdin=json.dumps(event).encode())
    return cli


@pytest.mark.parametrize(
    "args",
    [
        *(["list", "-f", form] for form in ("table", "json", "jsonl", "minimal")),
        *(["show", "i", "-f", form] for form in ("table", "json", "jsonl", "minimal")),
        *(["streams", "-f", form] for form in ("table", "json", "jsonl", "minimal")),
        ["append", "s-\u202ename", "T", "-f", "table"],
        ["show", "s-\u202ename@7"],
        ["log", "\x1b[31m"],
        ["append", "a\x1b[31m", "T"],
        ["append", "a", "T", "--user", "\x1b", "--metadata", '{"userId": "\\u001b[1m"}'],
        ["\x1b[31m"],
        ["list", "--store", "/\x1b[31m"],
    ],
)
def test_no_command_lets_it_through(hostile: Cli, args: list[str]) -> None:
    """In any format, on stdout and stderr, on a terminal and in a pipe."""
    for terminal in (True, False):
        ran = hostile(*args, terminal=terminal)
        text = (ran.out + ran.err).replace("\t", "") if "minimal" in args else ran.out + ran.err
        assert text
        assert not OBEYED.search(text)


def test_json_keeps_its_value(hostile: Cli) -> None:
    """Escapes in JSON are still the same text."""
    for form in ("json", "jsonl"):
        ran = hostile.ok("list", "-f", form)
        (event,) = ran.json if form == "json" else ran.jsonl
        assert event["data"] == {HOSTILE: [HOSTILE]}
        assert event["metadata"]["userId"] == HOSTILE


def test_one_event_is_one_line(hostile: Cli) -> None:
    """Line ends in text do not make rows."""
    assert len(hostile.ok("list", "-f", "minimal").lines) == 1
    assert len(hostile.ok("list", "-f", "table").lines) == 2
    assert len(hostile.ok("list", "-f", "jsonl").lines) == 1


@given(st.text())
def test_printable_text_is_one_harmless_line(text: str) -> None:
    """Law: whatever goes in; printable text stays as it is."""
    shown = printable(text)
    assert not OBEYED.search(shown)
    assert "\n" not in shown
    assert printable(shown) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Law: letters, marks, symbols and emoji are no controls."""
    assert printable(text) == text


def test_a_message_keeps_its_lines() -> None:
    """Only the line ends of the message itself are line ends."""
    assert printable_lines("a\nb\x1b") == "a\nb\\x1b"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_safe_json_is_the_same_json(value: object) -> None:
    """Law: the value is unchanged, no character of it can be obeyed."""
    text = safe_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not OBEYED.search(text)
