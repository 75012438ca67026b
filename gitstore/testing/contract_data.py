"""The contract of data and time: an exact round trip or ``InvalidEvent``, never a change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.canonical import MAX_DEPTH
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.testing.support import MakeStore, happened, nothing_recorded, read_anew, same


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


_ENDLESS: list[Any] = []
_ENDLESS.append(_ENDLESS)

DATA: dict[str, Any] = {
    "null": None,
    "false": False,
    "true": True,
    "zero": 0,
    "one": 1,
    "one-as-float": 1.0,
    "minus-zero": -0.0,
    "zero-as-float": 0.0,
    "2**64-1": 2**64 - 1,
    "2**63": 2**63,
    "-2**63": -(2**63),
    "2**53+1": 2**53 + 1,
    "1e16": 1e16,
    "1e15": 1e15,
    "1e-5": 1e-5,
    "1e-7": 1e-7,
    "1e22": 1e22,
    "0.1": 0.1,
    "1/3": 1 / 3,
    "5e-324": 5e-324,
    "largest": 1.7976931348623157e308,
    "2**63-as-float": float(2**63),
    "text-like-a-float": "1e16 and 1E+16, 5e-7",
    "empty-text": "",
    "empty-list": [],
    "empty-object": {},
    "empty-key": {"": {"": []}},
    "spaces": "  a  ",
    "line-ends": "a\nb\r\nc\rd\n",
    "nul": "a\x00b",
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x85\x9b",
    "separators": "a\u2028b\u2029c",
    "emoji": "\U0001f600 e\u0301 \u00e9 \ufeff \uffff",
    "quotes": "'\"\\ \\u0041 \\n",
    "trailers": "x\n\nEvent-Id: forged\nUser-Id: forged\nEvent-Time: 1999-01-01T00:00:00.000Z\n",
    "one-trailer": "Event-Id: forged",
    "trailer-keys": {"Event-Id": "forged", "a\n\nUser-Id": "forged"},
    "like-a-spill": "data.json 20000 bytes sha256:" + "0" * 64,
    "like-an-event": {"id": "x", "streamId": "y", "type": "z", "version": 9, "data": {}},
    "like-an-object": "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 0\n\n",
    "key-order": {"b": 1, "a": 2, "\uffff": 3, "\U0001f600": 4, "A": 5},
    "mixed": [None, True, 1, 1.0, "1", [1], {"1": 1}],
    "nested-deepest": _nested(MAX_DEPTH),
    "8191": "x" * 8_189,
    "8192": "x" * 8_190,  # its quotes make it the spill limit exactly
    "8193": "x" * 8_191,
    "20 KB": {"text": "line\n" * 4_000, "n": -0.0},
    "20 KB of text": "Event-Id: forged\n" * 1_200,
    "20 KB of numbers": [n / 7 for n in range(1_200)],
    "10 MB": "0123456789abcde1e5\n" * 550_000,
}

REFUSED: dict[str, Any] = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus-infinity": [float("-inf")],
    "nan-within": {"a": [1, {"b": float("nan")}]},
    "1e400": float("1e400"),
    "2**64": 2**64,
    "below--2**63": -(2**63) - 1,
    "huge": 10**5000,
    "tuple": (1, 2),
    "tuple-within": {"a": [()]},
    "set": {1},
    "bytes": b"x",
    "surrogate": "a\ud800",
    "surrogate-key": {"\udfff": 1},
    "surrogate-pair": "\ud83d\ude00",
    "int-key": {1: 2},
    "none-key": {None: 1},
    "datetime": datetime(2026, 11, 23, tzinfo=UTC),
    "date": [date(2026, 11, 23)],
    "decimal": Decimal("1.5"),
    "complex": 1j,
    "uuid": UUID(int=1),
    "object": object(),
    "nested-too-deep": _nested(MAX_DEPTH + 1),
    "nested-1000": _nested(1_000),
    "endless": _ENDLESS,
}

_TIMES = {
    "milliseconds": datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC),
    "microseconds": datetime(2026, 11, 23, 8, 0, 0, 123_456, UTC),
    "one-microsecond": datetime(2026, 11, 23, 8, 0, 0, 1, UTC),
    "whole": datetime(2026, 11, 23, 8, tzinfo=UTC),
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "just-before-1970": datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    "1815": datetime(1815, 12, 10, tzinfo=UTC),
    "year-1": datetime(1, 1, 1, tzinfo=UTC),
    "2038": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    "2514": datetime(2514, 6, 1, tzinfo=UTC),
    "year-9999": datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    "east": datetime(2026, 11, 23, 8, tzinfo=timezone(timedelta(hours=14))),
    "west": datetime(2026, 11, 23, 8, tzinfo=timezone(-timedelta(hours=9, minutes=30))),
    "odd-zone": datetime(2026, 11, 23, 8, tzinfo=timezone(timedelta(hours=1, seconds=7))),
}


class DataContract:
    """What events carry comes back exactly, or is refused."""

    @pytest.mark.parametrize("data", DATA.values(), ids=DATA)
    def test_data_is_kept_exactly(
        self, store: BaseEventStore, make_store: MakeStore, data: Any
    ) -> None:
        """Any JSON value: types, signs, digits and characters, as another process reads it too."""
        recorded = store.append(happened(data=data, id="true-id"))
        assert same(recorded.event.data, data)
        (read,) = read_anew(store, make_store)
        assert same(read.event.data, data)
        assert (read.event.id, read.event.metadata) == ("true-id", {})
        exported = DomainEvent.from_json(read.event.to_json())
        assert same(exported.data, data)

    def test_hostile_data_is_kept_in_a_batch(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """The same through ``append_many``, one stream, one batch."""
        values = list(DATA.values())
        store.append_many(happened(data=value) for value in values)
        read = read_anew(store, make_store)
        assert same([recorded.event.data for recorded in read], values)

    @pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
    def test_data_that_json_cannot_hold_is_refused(self, store: BaseEventStore, data: Any) -> None:
        """``InvalidEvent``, and nothing is recorded, of the event or of its batch."""
        store.append(happened())
        with nothing_recorded(store):
            with pytest.raises(InvalidEvent):
                store.append(happened(data=data))
            with pytest.raises(InvalidEvent):
                store.append_many([happened("task-2"), happened(data={"deep": [data]})])
        assert store.append(happened()).version == 2

    @pytest.mark.parametrize("given", _TIMES.values(), ids=_TIMES)
    def test_a_timestamp_is_kept_exactly_in_utc(
        self, store: BaseEventStore, make_store: MakeStore, given: datetime
    ) -> None:
        """The same moment to the microsecond, in UTC, before 1970 and in the year 9999 too."""
        store.append(happened("before"))  # of now: times need not rise
        recorded = store.append(happened(timestamp=given))
        assert recorded in list(store.read_all(since=given))
        assert recorded not in list(store.read_all(until=given))
        read = read_anew(store, make_store)[1].event.timestamp
        assert read is not None
        assert (read, read.utcoffset()) == (given, timedelta(0))

    def test_a_timestamp_without_a_zone_is_refused(self, store: BaseEventStore) -> None:
        """It would mean another moment on every machine."""
        with nothing_recorded(store), pytest.raises(InvalidEvent):
            store.append(happened(timestamp=datetime(2026, 11, 23)))  # noqa: DTZ001
