"""Times as people write them: ISO, ``2h`` ago, ``yesterday``; a day is a day of the local zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from gitstore.core.timestamps import EPOCH

FORMS = (
    "2026-11-23, 2026-11-23T08:00 (local), 2026-11-23T08:00:00Z, 30m, 2h, 3d, 1w (ago), "
    "today, yesterday, now"
)
"""The forms, for messages and help."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII | re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class NotATime(ValueError):
    """The text is none of the forms; its message says which there are."""


def since(text: str, now: datetime) -> datetime:
    """The first moment that is meant, inclusive: of a day its start."""
    day = _day(text, now)
    return _moment(text, now) if day is None else _start_of(day, text)


def until(text: str, now: datetime) -> datetime:
    """The first moment that is no longer meant: of a day the start of the next one."""
    day = _day(text, now)
    if day is None:
        return _moment(text, now)
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return _start_of(day + timedelta(days=1), text)


def moment(text: str, now: datetime) -> datetime:
    """One moment; a day is refused."""
    if _day(text, now) is not None:
        raise NotATime(f"{text!r} is a whole day; give a time as well, such as 2026-11-23T08:00")
    return _moment(text, now)


def _day(text: str, now: datetime) -> date | None:
    word = text.strip().lower()
    if word in ("today", "yesterday"):
        today = now.astimezone().date()
        return today if word == "today" else today - timedelta(days=1)
    if not _DATE.fullmatch(word):
        return None
    try:
        return date.fromisoformat(word)
    except ValueError as error:
        raise NotATime(f"{text!r} is no date: {error}") from None


def _start_of(day: date, text: str) -> datetime:
    # Through the zone's own rules, so that a day on which clocks change has 23 or 25 hours.
    return _in_utc(datetime.combine(day, time.min), text)


def _moment(text: str, now: datetime) -> datetime:
    word = text.strip()
    if word.lower() == "now":
        return now.astimezone(UTC)
    ago = _AGO.fullmatch(word)
    try:
        if ago:
            return now.astimezone(UTC) - timedelta(**{_UNITS[ago[2].lower()]: int(ago[1])})
        if _MOMENT.fullmatch(word):
            return _in_utc(datetime.fromisoformat(word.upper()), text)
    except (ValueError, OverflowError) as error:
        raise NotATime(f"{text!r} is no time: {error}") from None
    raise NotATime(f"{text!r} is no time; the forms are {FORMS}")


def _in_utc(value: datetime, text: str) -> datetime:
    try:
        if value.tzinfo is not None:
            return value.astimezone(UTC)
        # Not astimezone(): of a time the clocks skip it makes one on the day before.
        seconds = int(value.replace(microsecond=0).timestamp())
        return EPOCH + timedelta(seconds=seconds, microseconds=value.microsecond)
    except (ValueError, OverflowError, OSError) as error:
        raise NotATime(f"{text!r} cannot be held in UTC: {error}") from None
