"""Moments for people: in the local time zone."""

from __future__ import annotations

from datetime import datetime

from gitstore.core.timestamps import format_timestamp


def local_seconds(moment: datetime) -> str:
    """``2026-11-23 09:00:00``, local; in UTC with a Z where the zone cannot hold it."""
    try:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    except (OverflowError, ValueError, OSError):  # at the ends of the calendar
        return format_timestamp(moment)[:19].replace("T", " ") + "Z"


def local_and_utc(moment: datetime) -> str:
    """``2026-11-23 09:00:00.123 +01:00 (2026-11-23T08:00:00.123Z)``."""
    utc = format_timestamp(moment)
    try:
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):
        return utc
    fraction = utc[19:-1]
    return f"{local.replace(tzinfo=None, microsecond=0)}{fraction} {local.isoformat()[-6:]} ({utc})"
