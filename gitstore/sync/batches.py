"""Runs of events that are appended at once: long enough to be fast, short enough to be held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

CHUNK = 5000
"""Events appended at once: from here on longer batches cost an event no less, and more memory."""
_CHUNK_BYTES = 8 * 1024 * 1024


def batches(events: Iterable[tuple[T, int]], most: int = CHUNK) -> Iterator[list[T]]:
    """Runs of at most ``most`` events, each given with its bytes, that have 8 MiB together.

    An event that is longer is a run by itself.
    """
    held: list[T] = []
    size = 0
    for event, length in events:
        if held and (len(held) == most or size + length > _CHUNK_BYTES):
            yield held
            held, size = [], 0
        held.append(event)
        size += length
    if held:
        yield held
