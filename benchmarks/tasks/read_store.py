"""Everything through ``read_all``, by a new store object."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import gitstore.backends.git.store
from benchmarks.tasks.consume import Row, consume


def rows(path: str) -> Iterator[Row]:
    """Opening the store is part of what is timed, importing it (done above) is not."""
    with gitstore.open_store(path, create=False) as store:
        for recorded in store.read_all():
            event = recorded.event
            yield recorded.version, event.data


if __name__ == "__main__":
    consume(rows(sys.argv[1]))
