"""Ids and times for events that come without: the one place that asks a clock or for randomness."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitstore.core.timestamps import EPOCH

_MILLISECOND = timedelta(milliseconds=1)

Clock = Callable[[], datetime]
"""Gives the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    """The present moment in UTC, cut to milliseconds, the precision of the interface."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def uuid7(now: datetime) -> str:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    time = f"{max((now - EPOCH) // _MILLISECOND, 0):012x}"
    random = os.urandom(10).hex()
    variant = "89ab"[int(random[3], 16) & 3]
    return f"{time[:8]}-{time[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"


@dataclass(frozen=True, slots=True)
class Stamper:
    """Where a store takes ids and times from. Tests put fakes here."""

    clock: Clock = utc_now
    new_id: Callable[[datetime], str] = uuid7
