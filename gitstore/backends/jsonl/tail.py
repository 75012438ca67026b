"""The tail: events of the layout that ``index.db`` may not have yet, in memory.

An append leaves ``index.db`` alone. The process that appended keeps the rows here; whoever reads
first, in any process, brings ``index.db`` up, from here where it has them and from the files
where it has not. Use it under the layout's lock.

Invariants: ``rows`` have the positions ``through + 1 … last`` without holes; ``index.db`` has
everything up to ``through``, and may have more by now; ``last`` is the last position of the
layout, as long as no other process has written since this one left the lock. ``heads`` are right
under the same condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitstore.backends.jsonl.entries import Entry

MOST = 1_000
"""Events after which the appender brings ``index.db`` up by itself."""
_MOST_HEADS = 50_000


class Tail:
    """Events after those that ``index.db`` is known to have."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.last = 0
        self.is_behind = False
        """Whether files could not be brought to where the journal is."""
        self.heads: dict[str, int] = {}
        """The version of each stream that was asked for or written lately."""
        self._by_id: dict[str, Entry] = {}

    @property
    def is_full(self) -> bool:
        """Whether ``index.db`` should be brought up."""
        return len(self.entries) >= MOST

    def add(self, entries: Sequence[Entry]) -> None:
        """Take in entries whose positions go on after ``last``."""
        for entry in entries:
            row = entry.row
            self.heads[row.stream_id] = row.version
            self._by_id[row.event_id] = entry
        self.entries += entries
        self.last = entries[-1].row.position

    def by_id(self, event_id: str) -> Entry | None:
        """The entry of this event id."""
        return self._by_id.get(event_id)

    def settle(self) -> None:
        """``index.db`` has everything up to ``last``."""
        self.entries = []
        self._by_id = {}
        if len(self.heads) > _MOST_HEADS:
            self.heads.clear()

    def restart(self, last: int) -> None:
        """Know nothing but that ``last`` is the last position, and that ``index.db`` has it."""
        self.settle()
        self.heads.clear()
        self.last = last
