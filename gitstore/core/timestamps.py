"""Times of events: aware UTC datetimes in Python, ``2026-11-23T08:00:00.123Z`` in text.

Three decimals, six where microseconds need them. A time without a zone is refused, because it
means another moment on every machine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gitstore.core.errors import InvalidEvent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = datetime(1970, 1, 1)  # noqa: DTZ001 - the faster to write
_MICROSECOND = timedelta(microseconds=1)
# RFC 3339: the seconds and the zone are required. fromisoformat alone takes a bare date, week
# dates and "20261123", and cuts nanoseconds off without a word.
_FORM = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.(?P<fraction>\d+))?(?P<zone>[Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def to_utc(value: datetime) -> datetime:
    """``value`` in UTC; ``InvalidEvent`` without a zone, or where UTC leaves the years 1..9999."""
    if not isinstance(value, datetime):
        raise InvalidEvent(f"timestamp {value!r} is no datetime")
    if value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        raise InvalidEvent(
            f"timestamp {value.isoformat()} has no time zone",
            hint="Give an aware datetime, such as datetime.now(timezone.utc).",
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidEvent(
            f"timestamp {value.isoformat()} is outside the years 1 to 9999 in UTC"
        ) from None


def parse_timestamp(text: str) -> datetime:
    """The UTC datetime of an RFC 3339 text; ``InvalidEvent`` for anything else.

    A seventh or later decimal must be 0: microseconds are what can be held without loss.
    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidEvent(
            f"{text!r} is no timestamp", hint="Write times like 2026-11-23T08:00:00.123Z."
        )
    if match["zone"] is None:
        raise InvalidEvent(f"timestamp {text!r} has no time zone", hint="Add Z for UTC, or +02:00.")
    if (match["fraction"] or "")[6:].strip("0"):
        raise InvalidEvent(f"timestamp {text!r} is finer than a microsecond")
    try:
        return to_utc(datetime.fromisoformat(text.upper()))
    except ValueError as error:
        raise InvalidEvent(f"{text!r} is no timestamp: {error}") from None


def format_timestamp(value: datetime) -> str:
    """The text of a UTC datetime: three decimals, or six where microseconds need them."""
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.isoformat(timespec=precision)[:-6] + "Z"  # instead of +00:00


def format_microseconds(value: int) -> str:
    """``format_timestamp`` of that many microseconds after 1970-01-01, in half the time."""
    seconds, microseconds = divmod(value, 1_000_000)
    text = (_EPOCH_WITHOUT_ZONE + timedelta(0, seconds)).isoformat()
    milliseconds, rest = divmod(microseconds, 1_000)
    return f"{text}.{microseconds:06d}Z" if rest else f"{text}.{milliseconds:03d}Z"


def to_microseconds(value: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, negative before."""
    return (value - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The UTC datetime that many microseconds after 1970-01-01; ``InvalidEvent`` where none is."""
    seconds, microseconds = divmod(value, 1_000_000)
    try:
        return EPOCH + timedelta(0, seconds, microseconds)
    except OverflowError:
        raise InvalidEvent(f"{value} microseconds are outside the years 1 to 9999") from None
