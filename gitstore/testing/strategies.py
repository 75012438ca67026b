"""Hypothesis strategies for events and their parts: hostile names and values among them.

Needs the extra ``testing``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from gitstore.core.event import DomainEvent
from gitstore.core.names import category_of

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise ImportError(
        "gitstore.testing.strategies needs hypothesis: pip install 'scopecraft-events[testing]'"
    ) from error

text = st.text(st.characters(exclude_categories=["Cs"]))
"""Any text that UTF-8 can hold, controls and all."""

integers = st.integers(-(2**63), 2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | text

json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
)
"""Any value that ``data`` may have."""

json_objects = st.dictionaries(text, json_values, max_size=4)

_PRINTABLE = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
# Characters with a meaning for git or a file system, so that they meet each other often.
_HOSTILE = st.sampled_from("./@{}-%~^:?*[\\ aAlockLOCK2Fh")

stream_ids = (
    st.text(_PRINTABLE | _HOSTILE, min_size=1, max_size=300)
    .map(str.strip)
    .filter(lambda name: name != "")
)
"""Any stream id, hostile ones often."""

types = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=200
)

event_ids = (
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200)
    .map(str.strip)
    .filter(lambda event_id: event_id != "")
)

utc_datetimes = st.datetimes(timezones=st.just(UTC))

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
zoned_datetimes = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=zones,
)
"""Aware datetimes of any zone whose UTC is within the years 1 to 9999."""

whole_events = st.builds(
    DomainEvent,
    stream_ids,
    types,
    json_values,
    json_objects,
    event_ids,
    zoned_datetimes,
    st.integers(1, 2**63 - 1),
)
"""Events with everything a store fills in."""

events = st.builds(
    DomainEvent,
    stream_ids,
    types,
    json_values,
    json_objects,
    st.none() | event_ids,
    st.none() | zoned_datetimes,
    st.none() | st.integers(1, 2**63 - 1),
)
"""Events as callers give them: with or without id, timestamp and version."""

_FEW_STREAMS = st.sampled_from(["task-1", "task-2", "task", "session-1", "a/b", "\u00e9-\u0301"])
_FEW_TYPES = st.sampled_from(["Created", "Moved", "moved", "a/b"])
_FEW_NAMES = st.sampled_from(["ann", "bob", "", 5, None])
_TIMES = st.builds(
    lambda minutes, microseconds, zone: (
        datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=minutes, microseconds=microseconds)
    ).astimezone(zone),
    st.integers(-3, 3),
    st.sampled_from([0, 0, 1, 1_000]),
    zones,
)
_FLAT = scalars | st.lists(scalars, max_size=2) | st.dictionaries(text, scalars, max_size=2)

few_events = st.builds(
    DomainEvent,
    _FEW_STREAMS,
    _FEW_TYPES,
    _FLAT,
    st.fixed_dictionaries({}, optional={"userId": _FEW_NAMES, "correlationId": _FEW_NAMES}),
    event_ids,
    _TIMES,
)
"""Events of a few streams, types, users and moments, with id and timestamp, so that they meet."""

histories = st.lists(few_events, max_size=12, unique_by=lambda event: event.id)
"""What might be recorded in a store, in order; no version is named."""

_SOME = {
    "types": _FEW_TYPES,
    "streams": _FEW_STREAMS,
    "categories": _FEW_STREAMS.map(category_of),
    "users": st.sampled_from(["ann", "bob", "", "5"]),
    "correlations": st.sampled_from(["ann", "bob", ""]),
}

filters: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={name: one | st.lists(one, max_size=3) for name, one in _SOME.items()}
    | {"since": _TIMES, "until": _TIMES},
)
"""Filters of ``read_all`` and ``follow`` that some of ``few_events`` pass, as keyword arguments."""
