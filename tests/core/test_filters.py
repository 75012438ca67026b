"""Filters: what passes; how backends use them is the contract's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.filters import EventFilter
from gitstore.testing.support import T0, at

_NAMES = ["", "ann", "bob", "task", "task-1", "-x"]
_names = st.none() | st.sampled_from(_NAMES) | st.lists(st.sampled_from(_NAMES), max_size=3)
_times = st.none() | st.integers(-2, 2).map(at)
_filters = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("types", "streams", "categories", "users", "correlations"), _names),
        **dict.fromkeys(("since", "until"), _times),
    },
)
_words = st.sampled_from(["ann", "bob", "task", "task-1", "-x"])
_values = st.sampled_from(["", "ann", "bob", None, 5, ["ann"]])


def _recorded(stream_id: str, what: str, user: Any, correlation: Any, time: datetime) -> Any:
    metadata = {"userId": user, "correlationId": correlation}
    return RecordedEvent(DomainEvent(stream_id, what, None, metadata, "id", time, 1), 1)


@given(_filters, _words, _words, _values, _values, st.integers(-2, 2).map(at))
def test_law_a_filter_is_the_conjunction_of_its_parts(
    wanted: dict[str, Any], stream_id: str, what: str, user: Any, correlation: Any, time: datetime
) -> None:
    """An event passes exactly when it passes each field alone."""
    recorded = _recorded(stream_id, what, user, correlation, time)
    alone = [EventFilter.of(**{name: value}).matches(recorded) for name, value in wanted.items()]
    assert EventFilter.of(**wanted).matches(recorded) == all(alone)


@pytest.mark.parametrize("names", ["ann", ["ann"], ("ann",), {"ann"}, iter(["ann"]), {"ann": 1}])
def test_names_come_one_or_several(names: Any) -> None:
    """A text is one name, not its letters; an iterator is read once and kept."""
    wanted = EventFilter.of(users=names)
    for _ in range(2):
        assert wanted.matches(_recorded("s", "T", "ann", None, T0))
        assert not wanted.matches(_recorded("s", "T", "a", None, T0))


@pytest.mark.parametrize("bound", ["since", "until"])
def test_a_bound_needs_a_zone(bound: str) -> None:
    """``ValueError``: a programmer's slip, not an event's."""
    with pytest.raises(ValueError, match="time zone"):
        EventFilter.of(**{bound: datetime(2026, 11, 23)})  # type: ignore[arg-type]  # noqa: DTZ001
