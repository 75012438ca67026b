"""Names: what is one, and its form in refs and file names."""

from __future__ import annotations

import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitstore.core.errors import InvalidEvent
from gitstore.core.names import (
    MAX_ENCODED,
    category_of,
    check_event_id,
    check_stream_id,
    check_type,
    decode_name,
    encode_name,
    is_hashed,
)
from gitstore.testing.contract_names import STREAM_IDS
from gitstore.testing.strategies import stream_ids


@given(stream_ids)
@example("%h" + "0" * 64)
@example("é" * 1_000)
def test_law_names_round_trip(name: str) -> None:
    """``decode_name`` gives the name back, unless it had to be hashed, which shows."""
    encoded = encode_name(name)
    if is_hashed(encoded):
        assert decode_name(encoded) is None
        assert len("".join(f"%{byte:02X}" for byte in name.encode())) > MAX_ENCODED
    else:
        assert decode_name(encoded) == name


@given(stream_ids, stream_ids)
@example("a/b", "a%2Fb")
@example("..", "%2E%2E")
@example("x" * 300 + "a", "x" * 300 + "b")
@example(unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"))
def test_law_distinct_names_have_distinct_forms(one: str, other: str) -> None:
    """No two streams share a ref."""
    assert (encode_name(one) == encode_name(other)) == (one == other)


@settings(max_examples=150)  # each runs git
@given(stream_ids)
def test_law_every_form_is_a_ref(name: str) -> None:
    """Git itself takes the form as one component of a ref."""
    encoded = encode_name(name)
    assert _git_takes(f"refs/streams/{encoded}")


@pytest.mark.parametrize("name", STREAM_IDS.values(), ids=STREAM_IDS)
def test_hostile_names_are_refs_and_files(name: str, tmp_path: Path) -> None:
    """The form is one component, in ASCII, that git, a file system and its lock can hold."""
    encoded = encode_name(name)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert "/" not in encoded
    assert len(encoded) <= MAX_ENCODED
    assert _git_takes(f"refs/streams/{encoded}")
    (tmp_path / f"{encoded}.lock").touch()
    assert [path.name for path in tmp_path.iterdir()] == [f"{encoded}.lock"]


def _git_takes(ref: str) -> bool:
    return subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@given(st.text() | st.text("%0123456789ABCDEFabcdefh./-@{"))
@example("\ud800")
@example("\udc80")
def test_law_a_form_that_decodes_is_the_names_own(text: str) -> None:
    """A ref that ``encode_name`` would not write is foreign: ``None``, never an error."""
    name = decode_name(text)
    assert name is None or encode_name(name) == text


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("task-AUTH-001", "task-AUTH-001"),
        ("worktree-feature/auth", "worktree-feature%2Fauth"),
        ("a_b+c=d,e@f", "a_b+c=d,e@f"),
        ("v1.2.3", "v1.2.3"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "%2E%2E%2E"),
        (".a.", "%2Ea%2E"),
        ("a..b", "a.%2Eb"),
        ("x.lock", "x%2Elock"),
        ("x.LocK", "x%2ELocK"),
        ("x.lock.lock", "x.lock%2Elock"),
        ("-x-", "%2Dx-"),
        ("--x", "%2D-x"),
        ("@", "@"),
        ("@{", "%40{"),
        ("a@b{c}", "a@b{c}"),
        ("a@3 b", "a@3%20b"),
        ("%", "%25"),
        ("%2F", "%252F"),
        ("é", "%C3%A9"),
        ("a~^:?*[\\", "a%7E%5E%3A%3F%2A%5B%5C"),
        ("x" * 200, "x" * 200),
        (
            "x" * 201,
            "%h84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed",
        ),
    ],
)
def test_the_form_of_a_name(name: str, encoded: str) -> None:
    """Golden forms: plain names stay as they are, so that ``git log streams/NAME`` works."""
    assert encode_name(name) == encoded


@pytest.mark.parametrize(
    "foreign", ["", "a b", "a%2fb", "a%2Db", "%41", "%", "%2", "%FF", "%C3", "é", "a..b", "x.lock"]
)
def test_a_foreign_form_is_no_name(foreign: str) -> None:
    """Lower-case hex, needless escapes, bytes that are no UTF-8: somebody else's ref."""
    assert decode_name(foreign) is None


def test_only_the_hash_form_is_hashed() -> None:
    """A name that looks like a hash is encoded so that it does not."""
    form = encode_name("x" * 201)
    assert is_hashed(form)
    assert not is_hashed(encode_name(form))
    assert not is_hashed(form.upper())
    assert not is_hashed(form + "\n")


@pytest.mark.parametrize(
    ("name", "category"),
    [("task-1", "task"), ("task", "task"), ("a-b-c", "a"), ("-x", ""), ("a/b-c", "a/b")],
)
def test_a_category_ends_at_the_first_dash(name: str, category: str) -> None:
    """The whole id where there is none."""
    assert category_of(name) == category


_NOT_PRINTABLE = ["a\nb", "a\x00", "\x1f", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "\ud800"]
_NO_NAMES: list[Any] = ["", None, 1, b"a", ["a"]]


@pytest.mark.parametrize("name", [*STREAM_IDS.values(), "x" * 1_000, "a", "💥", "\ufeff"])
def test_printable_text_is_a_stream_id(name: str) -> None:
    """1 to 1,000 characters, whatever git and file systems think of them."""
    check_stream_id(name)


@pytest.mark.parametrize(
    "name", [*_NOT_PRINTABLE, *_NO_NAMES, "x" * 1_001, " a", "a ", "\u00a0a", "\u3000"], ids=ascii
)
def test_what_is_no_stream_id(name: Any) -> None:
    """Controls, line separators, white space at an end, too long, no text: ``InvalidEvent``."""
    with pytest.raises(InvalidEvent):
        check_stream_id(name)


@pytest.mark.parametrize("name", ["T", "TaskCreated", "a/b", "a@3", "-x", "%", "é", "x" * 200])
def test_a_word_is_a_type(name: str) -> None:
    """1 to 200 characters without white space or controls."""
    check_type(name)


@pytest.mark.parametrize(
    "name", [*_NOT_PRINTABLE, *_NO_NAMES, "x" * 201, "a b", " a", "a\t", "a\u00a0b"], ids=ascii
)
def test_what_is_no_type(name: Any) -> None:
    """It would break the subject line: ``InvalidEvent``."""
    with pytest.raises(InvalidEvent):
        check_type(name)


@pytest.mark.parametrize("event_id", ["x", "0", "a b", "<>&\"'\\", "~" * 200])
def test_printable_ascii_is_an_event_id(event_id: str) -> None:
    """1 to 200 characters."""
    check_event_id(event_id)


@pytest.mark.parametrize(
    "event_id", [*_NOT_PRINTABLE, *_NO_NAMES, "x" * 201, " a", "a ", "é", "a\n"], ids=ascii
)
def test_what_is_no_event_id(event_id: Any) -> None:
    """It could not stand in a trailer as it is: ``InvalidEvent``."""
    with pytest.raises(InvalidEvent):
        check_event_id(event_id)
