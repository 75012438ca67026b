"""The history of the workload ``million``, written in batches of 5,000."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.events import START, Plan, growing, history, take
from benchmarks.peers import load
from gitstore import DomainEvent

QUERIED = "TaskReviewed"
PER_STREAM = 50
_BATCH = 5_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Size:
    """How many events, how many of them a day, and one in how many has the type queried."""

    events: int
    per_day: int
    every: int

    def history(self) -> Iterator[DomainEvent]:
        """Every day has ``hits`` events of the type that is queried."""
        return history(
            Plan(
                growing(PER_STREAM),
                _DAY / self.per_day,
                lambda number: QUERIED if number % self.every == 7 else None,
            )
        )

    @property
    def last_day(self) -> datetime:
        """When the last day begins."""
        return START + _DAY * (self.events // self.per_day - 1)

    @property
    def hits(self) -> int:
        """How many events of the type queried a day has."""
        return self.per_day // self.every


def build(place: Path, peer_name: str, size: Size) -> float:
    """The seconds the batches and the close took, without the making of the events."""
    peer = load(peer_name)(place)
    events = size.history()
    seconds = 0.0
    for left in range(size.events, 0, -_BATCH):
        batch = take(events, min(_BATCH, left))
        begun = time.perf_counter()
        peer.append_many(batch)
        seconds += time.perf_counter() - begun
    begun = time.perf_counter()
    peer.close()
    return seconds + time.perf_counter() - begun


if __name__ == "__main__":
    place, peer_name, *numbers = sys.argv[1:]
    spent = build(Path(place), peer_name, Size(*map(int, numbers)))
    print(json.dumps({"seconds": spent}))
