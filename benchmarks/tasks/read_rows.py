"""Everything out of the plain SQLite table, each row's JSON decoded by orjson."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator

import orjson

from benchmarks.tasks.consume import Row, consume

_QUERY = (
    "SELECT position, stream, version, type, time, id, data, metadata FROM events ORDER BY position"
)


def rows(path: str) -> Iterator[Row]:
    """A tuple an event, data and metadata decoded, the other columns as SQLite gives them."""
    for *columns, data, metadata in sqlite3.connect(path).execute(_QUERY):
        event = (columns, orjson.loads(data), orjson.loads(metadata))
        yield columns[2], event[1]


if __name__ == "__main__":
    consume(rows(sys.argv[1]))
