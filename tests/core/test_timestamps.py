"""Times: UTC, to the microsecond, in one form; refused where a moment would be unclear."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.core.errors import InvalidEvent
from gitstore.core.timestamps import (
    format_microseconds,
    format_timestamp,
    from_microseconds,
    parse_timestamp,
    to_microseconds,
    to_utc,
)
from gitstore.testing.strategies import utc_datetimes, zoned_datetimes


@given(utc_datetimes)
def test_law_format_then_parse_is_the_same(moment: datetime) -> None:
    """Every UTC moment of the years 1 to 9999 has a text that means it and no other."""
    text = format_timestamp(moment)
    assert parse_timestamp(text) == moment
    assert parse_timestamp(text).tzinfo is UTC
    assert format_timestamp(parse_timestamp(text)) == text


@given(utc_datetimes, utc_datetimes)
def test_law_texts_of_one_length_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    """Sorting lines of text by time is sorting by time."""
    texts = [format_timestamp(moment) for moment in (one, other)]
    if len(texts[0]) == len(texts[1]):
        assert (texts[0] < texts[1]) == (one < other)


@given(utc_datetimes)
def test_law_both_ways_to_a_text_agree(moment: datetime) -> None:
    """From a datetime, and from its microseconds."""
    assert format_microseconds(to_microseconds(moment)) == format_timestamp(moment)


@given(utc_datetimes)
def test_law_microseconds_round_trip(moment: datetime) -> None:
    """Exact at any distance from 1970, where floats are not."""
    assert from_microseconds(to_microseconds(moment)) == moment


@given(zoned_datetimes)
def test_law_utc_is_the_same_moment(moment: datetime) -> None:
    """The moment stays, the zone goes."""
    assert to_utc(moment) == moment
    assert to_utc(moment).tzinfo is UTC
    assert parse_timestamp(moment.isoformat()) == moment


@given(st.text("0123456789-+:.TZz ", max_size=30))
def test_law_any_text_is_a_moment_or_invalid(text: str) -> None:
    """No text raises anything but ``InvalidEvent``."""
    with contextlib.suppress(InvalidEvent):
        assert parse_timestamp(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 23, 8, tzinfo=UTC), "2026-11-23T08:00:00.000Z"),
        (datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC), "2026-11-23T08:00:00.123Z"),
        (datetime(2026, 11, 23, 8, 0, 0, 123_400, UTC), "2026-11-23T08:00:00.123400Z"),
        (datetime(2026, 11, 23, 8, 0, 0, 1, UTC), "2026-11-23T08:00:00.000001Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_the_form_of_a_time(moment: datetime, text: str) -> None:
    """Three decimals, six where microseconds need them, four digits of the year."""
    assert format_timestamp(moment) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T08:00:00Z", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23t08:00:00z", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23 08:00:00Z", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23T08:00:00.5Z", datetime(2026, 11, 23, 8, 0, 0, 500_000, UTC)),
        ("2026-11-23T08:00:00.1234567000Z".replace("7", "0"),
         datetime(2026, 11, 23, 8, 0, 0, 123_456, UTC)),
        ("2026-11-23T10:00:00+02:00", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23T10:00:00+0200", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23T08:00:00-00:00", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-22T22:30:00-09:30", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_rfc_3339_is_read(text: str, moment: datetime) -> None:
    """The interface's own form and its relatives."""
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-11-23", "20261123T080000Z", "2026-W48-1T08:00:00Z", "2026-11-23T08:00Z",
        "2026-11-23T08:00:00", "2026-11-23T08:00:00.123", "2026-11-23T08:00:00.1234567Z",
        "2026-11-23T08:00:00.Z", "2026-11-23T08:00:00,5Z", "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2026-11-23T25:00:00Z", "2026-11-23T08:00:60Z",
        "2026-11-23T08:00:00+25:00", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00", "+2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z\n",
        " 2026-11-23T08:00:00Z", "٢٠٢٦-11-23T08:00:00Z", "1795420800", "2026-11-23T08:00:00 UTC",
    ],
)  # fmt: skip
def test_text_that_is_no_moment_is_refused(text: str) -> None:
    """``InvalidEvent``: no zone, finer than a microsecond, no such day, another form."""
    with pytest.raises(InvalidEvent):
        parse_timestamp(text)


@pytest.mark.parametrize("value", [None, 1795420800, b"2026-11-23T08:00:00Z", ["x"]], ids=repr)
def test_what_is_no_text_is_no_timestamp(value: Any) -> None:
    """``InvalidEvent`` also for a number: nobody says whether of seconds or milliseconds."""
    with pytest.raises(InvalidEvent):
        parse_timestamp(value)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 23),  # noqa: DTZ001
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
        "2026-11-23T08:00:00Z",
        1795420800,
        date(2026, 11, 23),
    ],
    ids=repr,
)
def test_what_has_no_utc_is_refused(value: Any) -> None:
    """Naive, outside the years 1 to 9999 in UTC, or no datetime: ``InvalidEvent``."""
    with pytest.raises(InvalidEvent):
        to_utc(value)


def test_microseconds_count_from_1970() -> None:
    """Negative before, and exact at the ends."""
    assert to_microseconds(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_microseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)) == -1
    assert from_microseconds(to_microseconds(datetime.max.replace(tzinfo=UTC))).year == 9999
