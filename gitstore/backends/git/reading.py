"""Reads: the journal first, then the index, page by page, twins dropped by position.

A reader looks at the journal before the index, and a flush fills the index before it empties the
journal; so what was in neither was not there. A page never goes beyond the highest position its
look at the journal showed, so no event that is still on its way can be jumped over. No statement
stays open across a ``yield``: a half-read iterator must not keep the log from being checkpointed.
"""

from __future__ import annotations

import heapq
import itertools
import re
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence

from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexquery import Query
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import recorded
from gitstore.core.errors import StoreCorrupted, StoreUnavailable, UnsupportedFormat
from gitstore.core.event import RecordedEvent
from gitstore.core.filters import EventFilter

PAGE = 128
"""Events a page: more do not stay in the processor's caches and read slower."""
_FIRST_PAGE = 64
_POLL_SECONDS = 0.05
_NO_END = 2**63 - 1


class Reader:
    """Reads of one store; every method is safe for threads.

    ``repair`` makes a damaged index good again (``True``: by a rebuild); without it
    ``IndexDamaged`` is raised. ``look`` is called before each look at the journal, to open the one
    that has taken its place.
    """

    def __init__(
        self,
        parts: Parts,
        repair: Callable[[bool], None] | None = None,
        look: Callable[[], None] | None = None,
    ) -> None:
        self._parts = parts
        self._repair = repair
        self._look = look or (lambda: None)

    def by_id(self, event_id: str) -> RecordedEvent | None:
        """The event of this id."""
        self._look()
        rows = self._parts.journal.by_ids([event_id])
        found = [*map(recorded, rows), *self._parts.index.by_ids([event_id])]
        return found[0] if found else None

    def by_commit(self, prefix: str) -> RecordedEvent | None:
        """The event of the one commit whose id begins so; ``ValueError`` where there are more."""
        if not re.fullmatch("[0-9a-f]{4,40}", prefix):
            return None
        low, high = (bytes.fromhex(prefix.ljust(40, digit)) for digit in "0f")
        waiting = map(recorded, self._parts.journal.by_commit(low, high))
        flushed = map(self._indexed, self._parts.objects.with_prefix(prefix))
        found = {event.commit: event for event in (*waiting, *flushed) if event is not None}
        if len(found) > 1:
            raise ValueError(f"commit {prefix} is ambiguous: give more digits")
        return next(iter(found.values()), None)

    def _indexed(self, commit: str) -> RecordedEvent | None:
        try:
            event = self._parts.objects.read_event(commit)
        except (StoreCorrupted, UnsupportedFormat):
            return None  # a commit of the feed, a tree, a blob
        found = self._parts.index.by_place(event.stream_id, event.version)
        return found if found is not None and found.commit == commit else None

    def _mend(self, error: IndexDamaged, attempt: int) -> int:
        """Repair the index, the second time by a rebuild; give up when that did not help either."""
        if self._repair is None or attempt > 1:
            raise error
        self._repair(attempt > 0)
        return attempt + 1

    def stream(
        self, stream: str, after: int, to: int | None, limit: int | None, *, backwards: bool
    ) -> Iterator[RecordedEvent]:
        """Events with ``after < version <= to``, by version."""
        low, high = max(after, 0), _NO_END if to is None else min(to, _NO_END)
        left = _NO_END if limit is None else limit
        size = _FIRST_PAGE
        attempt = 0
        while left > 0 and low < high:
            size = min(size, left)
            self._look()
            waiting = self._parts.journal.stream_page(stream, low, high, size, backwards=backwards)
            try:
                flushed = self._parts.index.stream_page(
                    stream, low, high, size, backwards=backwards
                )
            except IndexDamaged as error:
                attempt = self._mend(error, attempt)
                continue
            found = {event.version: event for event in (*flushed, *map(recorded, waiting))}
            page = sorted(found, reverse=backwards)[:size]
            for version in page:
                yield found[version]
            if len(page) < size:
                return
            low, high = (low, page[-1] - 1) if backwards else (page[-1], high)
            left -= size
            size = PAGE

    def all(
        self, wanted: EventFilter, after: int, limit: int | None, *, backwards: bool
    ) -> Iterator[RecordedEvent]:
        """Events with ``position > after`` that are wanted, by position."""
        left = _NO_END if limit is None else limit
        if left <= 0:
            return
        pages = self._backwards(wanted, after, limit) if backwards else self._pages(wanted, after)
        for page, _ in pages:
            yield from page[:left]
            left -= len(page)
            if left <= 0:
                return

    def follow(
        self, wanted: EventFilter, after: int, stop: threading.Event, closed: threading.Event
    ) -> Iterator[RecordedEvent]:
        """``all``, then what comes; ends when ``stop`` or ``closed`` is set."""
        try:
            yield from self._follow(wanted, after, stop, closed)
        except StoreUnavailable:
            if not closed.is_set():  # else: closed by another thread while this one was reading
                raise

    def _follow(
        self, wanted: EventFilter, after: int, stop: threading.Event, closed: threading.Event
    ) -> Iterator[RecordedEvent]:
        while not (stop.is_set() or closed.is_set()):
            for page, seen in self._pages(wanted, after):
                for event in page:
                    if stop.is_set() or closed.is_set():
                        return
                    yield event
                after = max(after, seen)
            while not (stop.is_set() or closed.is_set() or self._highest() > after):
                stop.wait(_POLL_SECONDS)

    def _highest(self) -> int:
        self._look()
        return self._parts.journal.highest()[1]

    def _pages(self, wanted: EventFilter, after: int) -> Iterator[tuple[list[RecordedEvent], int]]:
        """Pages forward, each with the position up to which everything has been given."""
        size = _FIRST_PAGE
        end: int | None = None
        attempt = 0
        found: _Positions | None = None
        while True:
            before = None if end is None else end + 1
            self._look()
            flushed, last, waiting = self._parts.journal.page(after, before, size, backwards=False)
            if end is None:
                end = last  # what comes later is not for this read: it may be half a batch
            top = waiting[-1].position if len(waiting) == size else end
            rows: list[RecordedEvent] = []
            if after < flushed:
                try:
                    if found is None or found.through < min(flushed, top):
                        found = _Positions.of(self._parts, wanted, after, top + 1, backwards=False)
                        # What waits is not among them, and may be flushed before the next page.
                        sure = waiting[0].position - 1 if waiting else top
                        found.through = min(flushed, top, sure)
                    rows, top = found.forward(after, top, size)
                except IndexDamaged as error:
                    attempt = self._mend(error, attempt)
                    found = None
                    continue
            yield self._merge(waiting, rows, wanted, after, top, backwards=False), top
            after = max(after, top)
            if after >= end:
                return
            size = PAGE

    def _backwards(
        self, wanted: EventFilter, after: int, limit: int | None
    ) -> Iterator[tuple[list[RecordedEvent], int]]:
        before: int | None = None
        size = _FIRST_PAGE
        found: _Positions | None = None
        waited = False
        attempt = 0
        while True:
            self._look()
            _, last, waiting = self._parts.journal.page(after, before, size, backwards=True)
            before = last + 1 if before is None else before
            low = waiting[-1].position if len(waiting) == size else after + 1
            try:
                if found is None or waited:  # what waited may have been flushed since
                    found = _Positions.of(self._parts, wanted, after, before, limit, backwards=True)
                waited = bool(waiting)
                rows, low = found.backward(low, before, size)
            except IndexDamaged as error:
                attempt = self._mend(error, attempt)
                found = None
                continue
            yield self._merge(waiting, rows, wanted, low - 1, before - 1, backwards=True), low
            before = low
            if before <= after + 1:
                return
            size = PAGE

    def _merge(
        self,
        waiting: Sequence[JournalRow],
        rows: list[RecordedEvent],
        wanted: EventFilter,
        after: int,
        to: int,
        *,
        backwards: bool,
    ) -> list[RecordedEvent]:
        """Events of both with ``after < position <= to``, each once, in order."""
        if not waiting:
            return rows
        fresh = [recorded(row) for row in waiting if after < row.position <= to]
        taken = {row.position for row in waiting}
        merged = heapq.merge(
            filter(wanted.matches, fresh),
            (row for row in rows if row.position not in taken),
            key=lambda event: event.position,
            reverse=backwards,
        )
        return list(merged)


class _Positions:
    """The index's side of a read: pages of a query, by the way its plan chose."""

    def __init__(self, parts: Parts, query: Query, found: array[int] | None) -> None:
        self._parts = parts
        self._query = query
        self._found = found
        self._next = 0
        self.through = query.before - 1

    @classmethod
    def of(
        cls,
        parts: Parts,
        wanted: EventFilter,
        after: int,
        before: int,
        limit: int | None = None,
        *,
        backwards: bool,
    ) -> _Positions:
        query = parts.index.plan(wanted, after, before, backwards=backwards)
        # A limit may stop the look-up too: twins in the journal only ever add events.
        found = parts.index.positions(query, limit) if query.looks_up else None
        return cls(parts, query, found)

    def forward(self, after: int, top: int, size: int) -> tuple[list[RecordedEvent], int]:
        """Rows with ``after < position <= top``, and the position up to which they are all."""
        rows = self._some(after, top + 1, size)
        return rows, rows[-1].position if len(rows) == size else top

    def backward(self, low: int, before: int, size: int) -> tuple[list[RecordedEvent], int]:
        """Rows with ``low <= position < before``, and the position down to which they are all."""
        rows = self._some(low - 1, before, size)
        return rows, rows[-1].position if len(rows) == size else low

    def _some(self, after: int, before: int, size: int) -> list[RecordedEvent]:
        if self._found is None:
            self._query.after, self._query.before = after, before
            return self._parts.index.page(self._query, size)
        chunk = self._found[self._next : self._next + size]
        some = list(itertools.takewhile(lambda position: after < position < before, chunk))
        self._next += len(some)
        rows = self._parts.index.rows_at(sorted(some))
        return rows[::-1] if self._query.backwards else rows
