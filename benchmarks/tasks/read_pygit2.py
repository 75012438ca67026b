"""Every stream walked by pygit2, the data line of each commit decoded."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import orjson
import pygit2

from benchmarks.tasks.consume import Row, consume


def rows(path: str) -> Iterator[Row]:
    """Stream by stream, newest event first."""
    repository = pygit2.Repository(path)
    for name in repository.references:
        if name.startswith("refs/streams/"):
            for commit in repository.walk(repository.references[name].target):
                subject, _, rest = commit.message.partition("\n\n")
                yield int(subject.rpartition("@")[2]), orjson.loads(rest.partition("\n\n")[0])


if __name__ == "__main__":
    consume(rows(sys.argv[1]))
