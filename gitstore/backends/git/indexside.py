"""The index's side of a read: pages by position, as of the read's end."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any

from gitstore.backends.git.index import Index
from gitstore.backends.git.indexquery import Query
from gitstore.core.filters import EventFilter


class IndexSide:
    """Pages of a query, by the way its plan chose, with the superseded events that belong to them.

    ``end``: what was superseded by a later position counts as live. ``every``: what was superseded
    before belongs to the read too. ``through``: up to which position the pages are whole.
    ``encoded``: rows are given as ``EncodedEvent``, but superseded ones; else all as
    ``RecordedEvent``.
    """

    def __init__(
        self,
        index: Index,
        wanted: EventFilter,
        query: Query,
        found: array[int] | None,
        end: int,
        *,
        every: bool,
        encoded: bool,
    ) -> None:
        self._index = index
        self._wanted = wanted
        self._query = query
        self._found = found
        self._end = end
        self._every = every
        self._page: Callable[[Query, int], list[Any]] = (
            index.encoded_page if encoded else index.page
        )
        self.through = query.before - 1

    @classmethod
    def of(
        cls,
        index: Index,
        wanted: EventFilter,
        after: int,
        before: int,
        end: int,
        limit: int | None = None,
        *,
        backwards: bool,
        every: bool,
        encoded: bool = False,
    ) -> IndexSide:
        """The side of a read of ``after < position < before``."""
        query = index.plan(wanted, after, before, backwards=backwards)
        if not wanted.types_decide:
            limit = None
        # A limit may stop the look-up too: the journal, and what was superseded, only add events.
        found = index.positions(query, limit) if query.looks_up else None
        return cls(index, wanted, query, found, end, every=every, encoded=encoded)

    def forward(self, after: int, top: int, size: int) -> tuple[list[Any], int]:
        """Rows with ``after < position <= top``, and the position up to which they are all."""
        rows, reached = self._rows(after, top + 1, size)
        return self._wanted_of(rows), top if reached is None else reached

    def backward(self, low: int, before: int, size: int) -> tuple[list[Any], int]:
        """Rows with ``low <= position < before``, and the position down to which they are all."""
        rows, reached = self._rows(low - 1, before, size)
        return self._wanted_of(rows), low if reached is None else reached

    def _wanted_of(self, rows: list[Any]) -> list[Any]:
        """The query has held everything against the rows, but for what an alias stands for."""
        return rows if self._wanted.types_decide else list(filter(self._wanted.matches, rows))

    def _rows(self, after: int, before: int, size: int) -> tuple[list[Any], int | None]:
        """Rows in order, and the position of the last where there may be more."""
        rows, reached = self._live(after, before, size)
        after, before = self._up_to(reached, after, before)
        past = self._index.superseded_page(
            self._query, after, before, self._end, size, every=self._every
        )
        if not past:
            return rows, reached
        if len(past) == size:
            reached = past[-1].position
            after, before = self._up_to(reached, after, before)
        merged = {row.position: row for row in (*rows, *past) if after < row.position < before}
        return [merged[at] for at in sorted(merged, reverse=self._query.backwards)], reached

    def _up_to(self, reached: int | None, after: int, before: int) -> tuple[int, int]:
        if reached is None:
            return after, before
        return (reached - 1, before) if self._query.backwards else (after, reached + 1)

    def _live(self, after: int, before: int, size: int) -> tuple[list[Any], int | None]:
        if self._found is None:
            self._query.after, self._query.before = after, before
            rows = self._page(self._query, size)
            return rows, rows[-1].position if len(rows) == size else None
        start = self._start(self._found, after, before)
        chunk = self._found[start : start + size]
        some = list(itertools.takewhile(lambda position: after < position < before, chunk))
        # Those that were superseded since they were looked up are no longer among the live rows.
        rows = self._index.rows_at(sorted(some))
        reached = some[-1] if len(some) == size else None
        return rows[::-1] if self._query.backwards else rows, reached

    def _start(self, found: array[int], after: int, before: int) -> int:
        if self._query.backwards:
            return bisect_left(found, 1 - before, key=lambda position: -position)
        return bisect_right(found, after)
