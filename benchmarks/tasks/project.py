"""Four projections over a store: from its first event on, or on from a saved checkpoint."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.events import Plan, bare, growing, history, sessions
from gitstore import open_store
from gitstore.projections import BUILT_IN, ProjectionManager

_BATCH = 5_000
PER_STREAM = 50


def build(place: str, events: int) -> None:
    """A history of tasks, and of the sessions that work on them."""
    given = sessions(history(Plan(growing(PER_STREAM))))
    with open_store(place) as store:
        for left in range(events, 0, -_BATCH):
            store.append_many([next(given) for _ in range(min(_BATCH, left))])


def project(place: str) -> dict[str, object]:
    """Seconds from an open store to current states, all saved; what came of it, to compare."""
    with open_store(place, create=False) as store:
        last = store.last_position()
        begun = time.perf_counter()
        manager = ProjectionManager(store, BUILT_IN)
        known = min(manager.position(name) for name in manager)
        position = manager.catch_up()
        seconds = time.perf_counter() - begun
        assert position == last
        sizes = {path.stem: path.stat().st_size for path in _states(place)}
    return {"seconds": seconds, "events": position - known, "states": sizes}


def more(place: str, events: int) -> None:
    """Some events more."""
    given = history(Plan(growing(PER_STREAM)), prefix="task-more-")
    with open_store(place, create=False) as store:
        store.append_many([bare(next(given)) for _ in range(events)])


def _states(place: str) -> list[Path]:
    return sorted(Path(place, "gitstore", "projections").glob("*.json"))


if __name__ == "__main__":
    how, place, *rest = sys.argv[1:]
    numbers = list(map(int, rest))
    print(json.dumps({"build": build, "project": project, "more": more}[how](place, *numbers)))
