"""The type index of a store: made anew, held against the events, and brought up share by share."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from gitstore import DomainEvent
from gitstore.backends.git import typechecks, typeindex
from gitstore.backends.git.store import GitEventStore

_SHARES = 5
_BATCH = 1_000
_TYPES = ("TaskSectionUpdated", "TaskSectionUpdated", "TaskStatusChanged", "TaskMoved")


def all_at_once(path: Path) -> dict[str, object]:
    """Seconds of a rebuild and of a check."""
    with GitEventStore.open(path) as store:
        parts = store._parts  # noqa: SLF001 - a whole rebuild is not for everyday
        with parts.flush_lock.held():
            begun = time.perf_counter()
            typeindex.rebuild(parts)
            rebuild = time.perf_counter() - begun
            begun = time.perf_counter()
            wrong = list(typechecks.check_types(parts))
            check = time.perf_counter() - begun
    assert not wrong, wrong
    return {"rebuild": rebuild, "check": check}


def in_shares(path: Path) -> dict[str, object]:
    """Seconds of updates, each after 1 % of the events the store had."""
    with GitEventStore.open(path) as store:
        events = store.last_position() // 100
        return {"events": events, "shares": [_share(store, events) for _ in range(_SHARES)]}


def _share(store: GitEventStore, events: int) -> float:
    for first in range(0, events, _BATCH):
        store.append_many(
            DomainEvent(f"task-SHARE-{number % 50}", _TYPES[number % len(_TYPES)])
            for number in range(first, min(first + _BATCH, events))
        )
    store.flush()
    begun = time.perf_counter()
    store.index_types()
    return time.perf_counter() - begun


if __name__ == "__main__":
    how, path = sys.argv[1:]
    print(json.dumps({"all": all_at_once, "shares": in_shares}[how](Path(path))))
