"""Times as people write them; days are days of the local zone, also when clocks change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from gitstore_cli.render.moments import local_and_utc, local_seconds
from gitstore_cli.times import NotATime, moment, since, until

from tests.cli.conftest import BERLIN

NOW = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-20", utc(2026, 11, 19, 23), utc(2026, 11, 20, 23)),
        ("today", utc(2026, 11, 22, 23), utc(2026, 11, 23, 23)),
        ("yesterday", utc(2026, 11, 21, 23), utc(2026, 11, 22, 23)),
        ("Yesterday", utc(2026, 11, 21, 23), utc(2026, 11, 22, 23)),
        ("2026-03-29", utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        ("2026-10-25", utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
        ("2026-12-31", utc(2026, 12, 30, 23), utc(2026, 12, 31, 23)),
    ],
)
def test_a_day_is_meant_whole(local_zone: None, text: str, start: datetime, end: datetime) -> None:
    """From its first moment to the first of the next, 23 and 25 hours when clocks change."""
    assert (since(text, NOW), until(text, NOW)) == (start, end)


def test_today_is_the_local_day(zone: Callable[[str], None]) -> None:
    """Half past twelve in London is tomorrow in Auckland."""
    zone("NZST-13")
    assert since("today", NOW) == utc(2026, 11, 23, 11)


def test_a_day_without_midnight_begins_when_it_begins(zone: Callable[[str], None]) -> None:
    """Where clocks are put forward at midnight, the day begins at one o'clock."""
    zone("BRT3BRST,M11.1.0/0,M2.3.0/0")
    assert since("2018-11-04", NOW) == utc(2018, 11, 4, 3)
    assert until("2018-11-03", NOW) == utc(2018, 11, 4, 3)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW),
        ("30s", NOW - timedelta(seconds=30)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(hours=72)),
        ("1W", NOW - timedelta(days=7)),
        ("2026-11-23T08:00:00Z", utc(2026, 11, 23, 8)),
        ("2026-11-23t08:00:00.123456z", utc(2026, 11, 23, 8, 0, 0, 123456)),
        ("2026-11-23T08:00+02:00", utc(2026, 11, 23, 6)),
        ("2026-11-23 08:00:00-0530", utc(2026, 11, 23, 13, 30)),
        ("2026-11-23T08:00", utc(2026, 11, 23, 7)),
        ("2026-07-01T08:00:00", utc(2026, 7, 1, 6)),
    ],
)
def test_a_moment_is_the_same_as_either_bound(local_zone: None, text: str, meant: datetime) -> None:
    """With an offset as it says; without one in local time; the answer is in UTC."""
    assert since(text, NOW) == until(text, NOW) == moment(text, NOW) == meant
    assert moment(text, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2", "2x", "-2h", "20261123", "2026-13-01", "2026-02-30", "2026-11-23T25:00",
     "2026-11-23T08:00:00.1234567Z", "2026-W10-1", "999999999w", "0001-01-01T00:00:00+01:00",
     "²h", "2026-11-2３"],
)  # fmt: skip
def test_anything_else_is_refused(local_zone: None, text: str) -> None:
    """With the text in the message, and nothing cut off in silence."""
    for read in (since, until, moment):
        with pytest.raises(NotATime, match=r"no time|no date|UTC"):
            read(text, NOW)


def test_a_day_is_no_moment() -> None:
    """Where one moment is wanted, a day is refused rather than guessed."""
    for day in ("today", "2026-11-23"):
        with pytest.raises(NotATime, match="whole day"):
            moment(day, NOW)


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    """Year 9999 is the last one a datetime can hold."""
    assert until("9999-12-31", NOW) > utc(9999, 12, 31, 23)


@pytest.mark.parametrize("rule", [BERLIN, "UTC0", "XXX14", "YYY-14"])
def test_the_ends_of_the_calendar_can_be_shown(zone: Callable[[str], None], rule: str) -> None:
    """Local where the zone can hold it, else in UTC; never an error."""
    zone(rule)
    for shown in (utc(1, 1, 1), utc(9999, 12, 31, 23, 59, 59, 999_999)):
        assert len(local_seconds(shown)) in (19, 20)
        assert local_and_utc(shown)


def test_people_see_local_time(local_zone: None) -> None:
    """In summer and in winter, with the offset where there is room for it."""
    assert local_seconds(utc(2026, 11, 23, 8)) == "2026-11-23 09:00:00"
    assert local_seconds(utc(2026, 7, 1, 8)) == "2026-07-01 10:00:00"
    assert local_and_utc(utc(2026, 11, 23, 8, 0, 0, 123000)) == (
        "2026-11-23 09:00:00.123 +01:00 (2026-11-23T08:00:00.123Z)"
    )
