"""Ids and times for events that come without: the one place that asks a clock or for randomness."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gitstore.core.timestamps import to_microseconds

Clock = Callable[[], datetime]
"""Gives the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    """The present moment in UTC, cut to milliseconds, the precision of the interface."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def uuid7(now: datetime) -> str:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = max(to_microseconds(now) // 1000, 0)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | (0x7 << 76) | ((random >> 68) << 64)
    value |= (0b10 << 62) | (random & (2**62 - 1))
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True, slots=True)
class Stamper:
    """Where a store takes ids and times from. Tests put fakes here."""

    clock: Clock = utc_now
    new_id: Callable[[datetime], str] = uuid7
