"""Names and data that are meant to hurt: kept as they are, in the store's own place, or refused."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitstore import DomainEvent, InvalidEvent, open_store
from tests.backends.survival.witness import address, assert_sound, promise

NAMES = (
    *(
        "..",
        ".",
        "../../up",
        "/etc/passwd",
        "a/../b",
        "~",
        "-rf",
        "-",
        "a b",
        "a\\b",
        "C:x",
        "*?[x]",
    ),
    *("task-1", "Task-1", "TASK-1", "e\u0301", "é", "日本-語", "😀", "a\u00a0b", "\ufeffbom"),
    *("indexes", "by-stream.idx", "journal", "index.db", "x.jsonl", "x.lock", "2026-11-23", "CON"),
    *("%", "%2F", "%h", "a%00b", "a_b", "a'; DROP TABLE events; --", 'a"b', "a@3", "a@", "\\u0000"),
    *("x" * 1_000, "ü" * 1_000, "x" * 999 + "y", "l-" + "o" * 198, "a-", "a--", "a-\U0010ffff"),
)
TYPES = (
    *(
        "..",
        "/",
        "-x",
        "a/b",
        "%",
        "a'b",
        'a"b',
        "Über",
        "日本",
        "x" * 200,
        "ü" * 200,
        "typ",
        "Typ",
    ),
    *("type.idx", "A@1", "a%2Fb"),
)
IDS = ("x" * 200, "a b", "'; --", "../x", '"', "\\", "~", "%2F", "0", "-1", "null")
DATA: tuple[Any, ...] = (
    *(None, True, 0, -0.0, 1, 1.0, -(2**63), 2**63, 2**64 - 1, 1e16, 1e-7, 5e-324, 1.5e308),
    *("", "\0", "a\0b", "\u2028\u2029\u0085", "\r\n", "\n", "\ufeff", "\\", '"', "\U0010ffff"),
    *(
        [],
        {},
        {"": ""},
        {"b": 1, "a": 2, "é": 3},
        {"id": 1, "streamId": 2},
        "\x1b[31m",
        "x" * 300_000,
    ),
    *({"__proto__": 1, "a.b": 1, "$": 1}, [[[]]], "a\tb", "\x7f\x80\x9f"),
)
TIMES = (
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 11, 23, 8, 0, 0, 123_000, tzinfo=UTC),
    datetime(2026, 11, 23, 8, 0, 0, 123_456, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)


def nested(depth: int) -> Any:
    """Arrays and objects inside each other, so many."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


def metadata_of(value: Any) -> dict[str, Any]:
    """Metadata with this value wherever it may have one, short enough to be metadata."""
    short = value[:1_000] if isinstance(value, str) else value
    return {"v": short, "userId": short, "correlationId": short}


def hostile_events() -> list[DomainEvent]:
    """Every name, type, id, time and value at least once."""
    times = itertools.cycle(TIMES)
    types = itertools.cycle(TYPES)
    values = (*DATA, nested(250))
    events = [DomainEvent(name, next(types), name, timestamp=next(times)) for name in NAMES]
    events += [
        DomainEvent(f"task-{n % 5}", next(types), value, metadata_of(value), timestamp=next(times))
        for n, value in enumerate(DATA)
    ]
    events += [DomainEvent("deep", "Deep", nested(250)), DomainEvent("deep", "Deep", values[0])]
    events += [DomainEvent("ids", "Identified", {"id": name}, id=name) for name in IDS]
    return events


@pytest.mark.parametrize("how", ["single", "batch"])
def test_hostile_events_are_kept_as_they_are(place: Path, kind: str, how: str) -> None:
    """Every name and every value comes back bit for bit, and nothing is written elsewhere."""
    where, events = address(kind, place), hostile_events()
    with open_store(where) as store:
        if how == "batch":
            done = store.append_many(events)
        else:
            done = [store.append(event) for event in events]
    found = assert_sound(where, [promise(recorded) for recorded in done])
    for given, recorded in zip(events, found, strict=True):
        event = recorded.event
        assert (event.stream_id, event.type) == (given.stream_id, given.type)
        assert repr(event.data) == repr(_sorted(given.data))
        assert given.timestamp in (None, event.timestamp)
        assert given.id in (None, event.id)
    assert all(path.name.startswith("events") for path in place.iterdir())


def _sorted(value: Any) -> Any:
    """``value`` with the keys of its objects in the order canonical JSON has them in."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def test_hostile_categories_and_filters(place: Path, kind: str) -> None:
    """Filters take names as they are: no wildcard, no quote and no case means anything in them."""
    where, events = address(kind, place), hostile_events()
    with open_store(where) as store:
        done = store.append_many(events)
        for name in {event.category for event in events}:
            of_it = [r for r in done if r.event.category == name]
            assert list(store.read_all(categories=name)) == of_it
            assert list(store.streams(name)) == sorted({r.stream_id for r in of_it})
        for given in TIMES:
            since = [r for r in done if r.event.timestamp and r.event.timestamp >= given]
            assert list(store.read_all(since=given)) == since
            assert list(store.read_all(until=given)) == [r for r in done if r not in since]
        for name in IDS:
            found = store.find_event(name)
            assert found is not None
            assert found.event.id == name


REFUSED: tuple[Any, ...] = (
    *(math.nan, math.inf, 2**64, -(2**63) - 1, "\ud800", (1, 2), {1: 2}, b"x", {"a": {1, 2}}),
    nested(251),
)


def test_what_cannot_be_kept_is_refused(place: Path, kind: str) -> None:
    """A value that JSON would change is refused, alone and in a batch, and nothing is recorded."""
    where = address(kind, place)
    with open_store(where) as store:
        good = DomainEvent("task-1", "Good", {})
        for value in REFUSED:
            for bad in (
                DomainEvent("task-1", "Bad", value),
                DomainEvent("t", "B", {}, {"v": value}),
            ):
                with pytest.raises(InvalidEvent):
                    store.append(bad)
                with pytest.raises(InvalidEvent):
                    store.append_many([good, good, bad])
        acks = [promise(store.append(good))]
    assert len(assert_sound(where, acks)) == 1
