"""Hypothesis strategies for events and their parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from gitstore.core.event import DomainEvent

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
