"""Canonical JSON: one value, one sequence of bytes, on every machine and in every release.

The bytes decide commit ids, so FORMAT.md fixes them: UTF-8, no spaces, keys sorted by code point at
every depth, integers from -2**63 to 2**64-1, floats as the shortest digits that round-trip with
``.0`` kept and an exponent only below 1e-5 or from 1e16, written ``1e+16`` and ``1e-7``.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from gitstore.core.errors import InvalidEvent

JSON = Any
"""Any JSON value: None, bool, int, float, str, or lists and string-keyed dicts of them."""

_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
MAX_DEPTH = 250
"""Most objects and arrays inside each other. orjson writes 254 (in some releases 255), and an event
that carries the value is one more."""
_WRITES_ONE_FORM = orjson.dumps([1e16, 1.5e300, 1e-7]) == b"[1e+16,1.5e+300,1e-7]"
"""Whether this release of orjson writes floats as FORMAT.md has them."""
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
# A number ends before a comma, a bracket or the end, which most of the "1e5" in UUIDs do not.
_MAY_HOLD_EXPONENT = re.compile(rb"\d[eE][+-]?\d++(?:[,}\]]|\Z)").search
# Possessive: a repeated group that may go back keeps a mark for every round (1.2 GB at 10 MB).
_STRING_OR_EXPONENT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(-?[\d.]+)[eE]([+-]?)0*(\d+)')
# orjson turns an integer of more than 64 bits into a float without a word.
_MAY_HOLD_BIG_INTEGER = re.compile(rb"\d{19}").search


def encode(value: JSON, what: str = "data", max_depth: int = MAX_DEPTH) -> bytes:
    """The canonical bytes of ``value``; see ``encode_with_copy``."""
    return encode_with_copy(value, what, max_depth)[0]


def encode_with_copy(
    value: JSON, what: str = "data", max_depth: int = MAX_DEPTH
) -> tuple[bytes, JSON]:
    """The canonical bytes of ``value``, and a copy of it that nobody shares.

    Raises ``InvalidEvent`` where JSON cannot hold it unchanged.

    ``what`` names the value in the error. Refused rather than changed: NaN and infinities, tuples,
    sets, keys that are no strings, dates, integers over 64 bits, lone surrogates, and more than
    ``max_depth`` objects and arrays inside each other.
    """
    try:
        text = encode_own(value)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise InvalidEvent(f"{what} is no JSON value: {error}") from None
    # orjson writes NaN as null, tuples as lists and UUIDs as strings: reading back shows it.
    copy = orjson.loads(text)
    if copy != value:
        raise InvalidEvent(
            f"{what} would be changed by JSON",
            hint="Use only None, bool, int, finite float, str, list, and dict with string keys.",
        )
    _check_depth(text, copy, what, max_depth)
    return text, copy


def read_canonical(text: bytes) -> JSON:
    """The value of ``text``; ``InvalidEvent`` unless ``encode(decode(text))`` gives ``text`` again.

    A fifth of their time, for what is canonical.
    """
    try:
        value = orjson.loads(text)
        # An integer that orjson would make a float, or a key twice, is not written again alike.
        if (
            orjson.dumps(value, None, _OPTIONS) == text
            and (len(text) < 2 * MAX_DEPTH or text.count(b"[") + text.count(b"{") <= MAX_DEPTH)
            and (_WRITES_ONE_FORM or not _MAY_HOLD_EXPONENT(text))
        ):
            return value
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # said below, in our own words
    value = decode(text)
    if encode(value) != text:
        raise InvalidEvent("JSON that is not in canonical form")
    return value


def encode_own(value: JSON) -> bytes:
    """The canonical bytes of a value that was read from JSON; ``encode`` without its checks."""
    text = orjson.dumps(value, None, _OPTIONS)
    if _WRITES_ONE_FORM or not _MAY_HOLD_EXPONENT(text):
        return text
    return _STRING_OR_EXPONENT.sub(_one_form, text)


def same(one: JSON, other: JSON) -> bool:
    """Whether two values that were read from JSON have equal canonical bytes.

    To Python, ``1`` and ``1.0`` and ``True`` are equal too.
    """
    return orjson.dumps(one, None, _OPTIONS) == orjson.dumps(other, None, _OPTIONS)


def _check_depth(text: bytes, value: JSON, what: str, most: int) -> None:
    # Each is two bytes of the text at least; its brackets are soon counted, and at most as many can
    # be inside each other.
    if len(text) > 2 * most and text.count(b"[") + text.count(b"{") > most and _depth(value) > most:
        raise InvalidEvent(f"{what} has more than {most} objects and arrays inside each other")


def _depth(value: JSON) -> int:
    """How many objects and arrays stand inside each other, at the deepest place."""
    if not isinstance(value, dict | list):
        return 0
    inside = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inside), default=0)


def decode(text: bytes) -> JSON:
    """The value of JSON text from outside; ``InvalidEvent`` where reading it would lose something.

    Refused: what is no JSON, integers over 64 bits, numbers too large for a float, keys that stand
    twice in one object, more than ``MAX_DEPTH + 1`` objects and arrays inside each other.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(f"no JSON: {error}") from None
    try:
        again = orjson.dumps(value)
    except orjson.JSONEncodeError:
        # orjson reads 1,024 levels, and writes 254.
        raise InvalidEvent("JSON is nested too deeply") from None
    _check_depth(again, value, "JSON", MAX_DEPTH + 1)
    # A text that is written again as it was has no key twice; for any other the slower reader
    # decides.
    if _MAY_HOLD_BIG_INTEGER(text) or again != text:
        _read_strictly(text)
    return value


decode_own = orjson.loads
"""The value of canonical bytes that ``encode`` made; no checks, and no call more than it takes."""


def _one_form(match: re.Match[bytes]) -> bytes:
    """A float in FORMAT.md's form; orjson 3.11.6 wrote ``1e16`` where 3.11.7 writes ``1e+16``."""
    digits, sign, exponent = match.groups()
    if digits is None:
        return match[0]
    return b"%be%b%b" % (digits, sign or b"+", exponent)


def _read_strictly(text: bytes) -> None:
    try:
        json.loads(
            text,
            object_pairs_hook=_refuse_twins,
            parse_int=_refuse_big,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise InvalidEvent("JSON is nested too deeply") from None
    except ValueError as error:
        raise InvalidEvent(f"no JSON: {error}") from None


def _refuse_twins(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise InvalidEvent(f"key {twin!r} stands twice in one object")
    return value


def _refuse_big(digits: str) -> int:
    # int() itself refuses over 4,300 digits, so length decides first.
    if len(digits) > 20 or not _MIN_INT <= int(digits) <= _MAX_INT:
        raise InvalidEvent(
            f"integer {digits[:24]} has more than 64 bits",
            hint="Write large numbers as strings.",
        )
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidEvent(f"{name} is no JSON number")
