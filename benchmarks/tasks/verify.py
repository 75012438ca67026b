"""``verify`` of a store, by a new store object."""

from __future__ import annotations

import json
import sys
import time

import gitstore.backends.git.store
from gitstore.backends.git.store import GitEventStore


def verify(path: str) -> dict[str, object]:
    """Opening the store is part of what is timed, importing it (done above) is not."""
    begun, processor = time.perf_counter(), time.process_time()
    with gitstore.open_store(path, create=False) as store:
        assert isinstance(store, GitEventStore)
        report = store.verify()
    return {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - processor,
        "events": report.events,
        "findings": len(report.findings),
    }


if __name__ == "__main__":
    print(json.dumps(verify(sys.argv[1])))
