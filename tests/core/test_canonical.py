"""Canonical JSON: the bytes FORMAT.md fixes, and what is refused rather than changed."""

from __future__ import annotations

import enum
import json
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitstore.core import canonical
from gitstore.core.errors import InvalidEvent
from gitstore.testing.strategies import floats, json_values
from gitstore.testing.support import same


def reference(value: Any) -> str:
    """FORMAT.md's words, slowly, with nothing but the standard library."""
    if isinstance(value, dict):
        members = (f"{reference(key)}:{reference(value[key])}" for key in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(reference, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value)


def _float(value: float) -> str:
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, first = "".join(map(str, digits)), len(digits) + int(exponent) - 1
    if value == 0:
        body = "0.0"
    elif not -5 <= first < 16:  # below 1e-5, or from 1e16
        body = text[0] + ("." + text[1:] if text[1:] else "") + f"e{first:+d}".replace("e+0", "e+")
    elif first < 0:
        body = "0." + "0" * (-first - 1) + text
    else:
        body = text[: first + 1].ljust(first + 1, "0") + "." + (text[first + 1 :] or "0")
    return "-" * sign + body


@given(json_values)
@example([1e16, 1e-5, 9.999e-6, 1e-7, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789e8])
@example({"\uffff": 1, "\U0001f600": 2, "é": 3, "": 4, "a": 5, "Z": 6})
@example(['1e5"', "\\", '\\"1e16', "2E5", {"1e9": 1e99}])
def test_law_encode_is_the_reference(value: Any) -> None:
    """The bytes are those of an independent, plain writer of the same rules."""
    assert canonical.encode(value) == reference(value).encode()


@given(floats)
def test_law_floats_are_the_reference(value: float) -> None:
    """Every finite float has the one form FORMAT.md gives it, and is read back to the last bit."""
    encoded = canonical.encode(value)
    assert encoded == reference(value).encode()
    assert same(canonical.decode(encoded), value)


@given(json_values)
def test_law_encode_then_decode_is_the_same(value: Any) -> None:
    """Nothing is lost: types, signs of zero, digits, every character."""
    encoded = canonical.encode(value)
    assert same(canonical.decode(encoded), value)
    assert same(canonical.decode_own(encoded), value)
    assert same(json.loads(encoded), value)


@given(json_values)
def test_law_encode_is_idempotent(value: Any) -> None:
    """Canonical bytes, read and written again, are the same bytes."""
    encoded = canonical.encode(value)
    assert canonical.encode(canonical.decode(encoded)) == encoded


@given(json_values, json_values)
@example(1, 1.0)
@example(0.0, -0.0)
@example([True], [1])
@example(1e16, 10**16)
@example("1", 1)
@example({"a": None}, {})
def test_law_encode_is_injective(one: Any, other: Any) -> None:
    """Equal bytes exactly for values that are the same."""
    assert (canonical.encode(one) == canonical.encode(other)) == same(one, other)


@given(json_values, st.sampled_from([None, 1, 4]), st.booleans())
def test_law_decode_reads_any_layout(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Spaces, line ends, escapes and the order of keys are no part of a value."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert same(canonical.decode(text.encode()), value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e16, b"1e+16"),
        (9999999999999998.0, b"9999999999999998.0"),
        (1e-5, b"0.00001"),
        (9.9e-6, b"9.9e-6"),
        (1e-7, b"1e-7"),
        (-1.5e300, b"-1.5e+300"),
        (5e-324, b"5e-324"),
        (-0.0, b"-0.0"),
        (1.0, b"1.0"),
        (2**64 - 1, b"18446744073709551615"),
        ("1e5 and 1E5\u2028", '"1e5 and 1E5\u2028"'.encode()),
        ('\x00\x1f\x7f\b\t\n\f\r"\\/', b'"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r\\"\\\\/"'),
        ({"b": [{"d": 1, "c": 2}], "a": {}}, b'{"a":{},"b":[{"c":2,"d":1}]}'),
    ],
)
def test_the_bytes_of_the_format(value: Any, expected: bytes) -> None:
    """Golden bytes: they decide commit ids and never change."""
    assert canonical.encode(value) == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b"1e16", b"1e+16"),
        (b"1e+16", b"1e+16"),
        (b"[1.5e-07,2E+007]", b"[1.5e-7,2e+7]"),
        (b'{"a":-1.25e10,"1e6":"1e7"}', b'{"a":-1.25e+10,"1e6":"1e7"}'),
        (b'["\\"1e5",1e5,"\\\\",1e5]', b'["\\"1e5",1e+5,"\\\\",1e+5]'),
    ],
)
def test_every_form_of_an_exponent_becomes_one(text: bytes, form: bytes) -> None:
    """Releases of orjson differ (``1e16`` until 3.11.6, then ``1e+16``); our bytes do not."""
    assert canonical._STRING_OR_EXPONENT.sub(canonical._one_form, text) == form


class _Text(str):
    __slots__ = ()


class _Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), -float("inf"), 2**64, -(2**63) - 1, (1,), {1}, b"x", {1: 1},
        {None: 1}, "\ud800", {"\ud800": 1}, Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), object(),
        _Text("x"), {_Text("x"): 1}, _Color.RED, 1j, range(3), [[float("nan")]],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_json_would_change_is_refused(value: Any) -> None:
    """``InvalidEvent`` names what it speaks of; at any depth."""
    for given_value in (value, [value], {"deep": [{"er": value}]}):
        with pytest.raises(InvalidEvent, match="the field"):
            canonical.encode(given_value, "the field")


@pytest.mark.parametrize("levels", [255, 1_000, 100_000])
def test_deep_nesting_is_refused_both_ways(levels: int) -> None:
    """``InvalidEvent``, not a crash of the reader or the writer."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    with pytest.raises(InvalidEvent):
        canonical.encode(value)
    with pytest.raises(InvalidEvent):
        canonical.decode(b"[" * levels + b"]" * levels)
    with pytest.raises(InvalidEvent):
        canonical.decode(b'{"a":' * levels + b"1" + b"}" * levels)


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"{", b"{]", b"01", b"+1", b".5", b"1.", b"NaN", b"Infinity", b"-Infinity",
        b"1e400", b"-1e400", b"'a'", b'"a', b'"\n"', b'"\\x"', b'"\\ud800"', b'"\\udc00\\ud800"',
        b"\xff", b'"\xff"', b"\xef\xbb\xbf1", b"1 2", b"[1,]", b'{"a":1,}', b"{1:2}", b"tRue",
        b"//c\n1", b"\x001", b"18446744073709551616", b"-9223372036854775809",
        b"[123456789012345678901234567890]", b"9" * 5_000,
        b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'{"b":{"a":1,"a":2}}', b'{"a":1, "b":2, "a":3}',
    ],
    ids=lambda text: repr(text[:40]),
)  # fmt: skip
def test_text_that_loses_something_is_refused(text: bytes) -> None:
    """No JSON, too large for 64 bits or a float, or one key twice: ``InvalidEvent``."""
    with pytest.raises(InvalidEvent):
        canonical.decode(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b" 1 ", 1),
        (b"-0.0", -0.0),
        (b"1E5", 100000.0),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b'"123456789012345678901234567890"', "123456789012345678901234567890"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    ],
)
def test_text_that_loses_nothing_is_read(text: bytes, value: Any) -> None:
    """What looks like trouble and is none."""
    assert same(canonical.decode(text), value)


@pytest.mark.parametrize("filling", ["x", "\x00", '"', "1e5"], ids=repr)
def test_large_texts_cost_little(filling: str) -> None:
    """Ten million characters beside an exponent: a few copies of the text, and no more."""
    value = {"number": 1e300, "text": filling * (10_000_000 // len(canonical.encode(filling)))}
    tracemalloc.start()
    try:
        encoded = canonical.encode(value)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 40 * len(encoded)


@given(json_values)
def test_law_what_was_encoded_is_read_as_canonical(value: Any) -> None:
    """``read_canonical`` gives back what ``encode`` wrote, to the type of each number."""
    assert same(canonical.read_canonical(canonical.encode(value)), value)


@pytest.mark.parametrize("nan", [False, True])
@given(value=json_values)
def test_law_other_texts_of_a_value_are_refused(nan: bool, value: Any) -> None:
    """A text is read exactly where encoding its value gives it again."""
    text = json.dumps([value, float("nan")] if nan else value).encode()
    try:
        canonical.read_canonical(text)
    except InvalidEvent:
        return
    assert canonical.encode(canonical.decode(text)) == text


OTHER_FORMS = [
    b" 1", b"1 ", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a": 1}', b"1e16", b"1E+16", b"1.50",
    b"-0", b"1e5", b'"\\u0041"', b"18446744073709551616", b"[" * 251 + b"]" * 251, b"", b"{",
    b"NaN", b"\xff", b"1e999",
]  # fmt: skip


@pytest.mark.parametrize("text", OTHER_FORMS, ids=range(len(OTHER_FORMS)))
def test_what_is_not_canonical_is_refused(text: bytes) -> None:
    """Spaces, another order, a key twice, another form of a number, too deep, no JSON."""
    with pytest.raises(InvalidEvent):
        canonical.read_canonical(text)
