"""Ids and times for events that come without."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import example, given

from gitstore.backends.stamping import utc_now, uuid7
from gitstore.core.names import check_event_id
from gitstore.core.timestamps import to_microseconds
from gitstore.testing.strategies import utc_datetimes


@given(utc_datetimes)
def test_law_an_id_is_a_uuid7(moment: datetime) -> None:
    """Version and variant of RFC 9562 at any time, and a legal event id."""
    given_id = uuid7(moment)
    parsed = uuid.UUID(given_id)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert str(parsed) == given_id
    check_event_id(given_id)


@given(utc_datetimes.filter(lambda moment: moment.year >= 1970))
@example(datetime(2038, 8, 8, 18, 4, 28, 22_000, UTC))
def test_law_an_id_holds_its_millisecond(moment: datetime) -> None:
    """Exactly: a float of seconds is a millisecond off now and then."""
    milliseconds = int(uuid7(moment).replace("-", "")[:12], 16)
    assert milliseconds == to_microseconds(moment) // 1000


def test_ids_of_later_milliseconds_sort_later() -> None:
    """Ids made one after another are sorted as they were made, to the millisecond."""
    moments = [datetime(2038, 8, 8, tzinfo=UTC) + timedelta(milliseconds=n) for n in range(1_000)]
    made = [uuid7(moment) for moment in moments]
    assert made == sorted(made)


def test_ids_of_one_moment_differ() -> None:
    """74 random bits each."""
    moment = utc_now()
    assert len({uuid7(moment) for _ in range(1_000)}) == 1_000


def test_now_is_utc_in_milliseconds() -> None:
    """The precision of the interface: three decimals, no more."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    now = utc_now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC
    assert now.microsecond % 1_000 == 0
