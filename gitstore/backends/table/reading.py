"""Reads of a table of events: page by page, as of the last position when they began.

No statement stays open across a ``yield``: a half-read iterator must not keep the log from being
folded. What is appended meanwhile has later positions, so all pages of a read are of one moment,
and a batch is in it whole or not at all.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

from gitstore.backends.table.query import Query
from gitstore.backends.table.table import EventTable, Page
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import StoreUnavailable
from gitstore.core.event import RecordedEvent
from gitstore.core.filters import EventFilter

PAGE = 256
"""Events a page."""
_FIRST_PAGE = 64
_POLL_SECONDS = 0.05
_NO_END = 2**63 - 1


class Reader:
    """Reads of one table; every method is safe for threads.

    ``before_look`` is called before each look at the table, by the thread that reads: it may bring
    the table up to date, and what it raises ends the read.
    """

    def __init__(self, table: EventTable, before_look: Callable[[], None] | None = None) -> None:
        self._table = table
        self._look = before_look or (lambda: None)

    def by_id(self, event_id: str) -> RecordedEvent | None:
        """The event of this id."""
        self._look()
        return next(iter(self._table.by_ids([event_id])), None)

    def streams(self, category: str | None = None) -> Iterator[str]:
        """The streams, or those of a category, sorted by code point."""
        self._look()
        return iter(self._table.streams(category))

    def last_position(self) -> int:
        """The highest position, 0 without any."""
        self._look()
        return self._table.last_position()

    def stream(
        self, stream_id: str, after: int, to: int | None, limit: int | None, *, backwards: bool
    ) -> Iterator[RecordedEvent]:
        """Events of one stream with ``after < version <= to``, by version."""
        low, high = max(after, 0), _NO_END if to is None else min(to, _NO_END)
        left = _NO_END if limit is None else limit
        size = _FIRST_PAGE
        self._look()
        is_first = True
        while left > 0 and low < high:
            page = self._table.stream_page(
                stream_id, low, high, min(size, left), backwards=backwards
            )
            if is_first and page.more:
                high = min(high, self._table.head(stream_id))
            is_first = False
            yield from page.events
            left -= len(page.events)
            if not page.more:
                return
            edge = page.events[-1].version
            low, high = (low, edge - 1) if backwards else (edge, high)
            size = PAGE
            self._look()

    def all(
        self, wanted: EventFilter, after: int, limit: int | None, *, backwards: bool
    ) -> Iterator[RecordedEvent]:
        """Events with ``position > after`` that are wanted, by position."""
        left = _NO_END if limit is None else limit
        if left <= 0:
            return
        end = self.last_position()
        for events in self._pages(wanted, after, end, left, backwards=backwards):
            yield from events[:left]
            left -= len(events)
            if left <= 0:
                return

    def encoded(self, after: int) -> Iterator[EncodedEvent]:
        """``all``, forward and unfiltered, with data and metadata as bytes."""
        end = self.last_position()
        while after < end:
            page = self._table.encoded_page(after, end, PAGE)
            if not page:
                return
            yield from page
            after = page[-1].position
            self._look()

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
            end = self.last_position()
            for events in self._pages(wanted, after, end, _NO_END, backwards=False):
                for event in events:
                    if stop.is_set() or closed.is_set():
                        return
                    yield event
            after = max(after, end)
            while not (stop.is_set() or closed.is_set() or self.last_position() > after):
                stop.wait(_POLL_SECONDS)

    def _pages(
        self, wanted: EventFilter, after: int, end: int, most: int, *, backwards: bool
    ) -> Iterator[list[RecordedEvent]]:
        """Lists of events with ``after < position <= end`` that are wanted; ``most`` are."""
        after = max(after, 0)
        if after >= end:
            return
        query = self._table.plan(wanted, end - after, most)
        if query.lead:
            pages = self._looked_up(query, after, end, most, backwards=backwards)
        else:
            pages = self._walked(query, after, end, most, backwards=backwards)
        for page in pages:
            yield page.events if query.exact else [e for e in page.events if wanted.matches(e)]

    def _walked(
        self, query: Query, low: int, high: int, most: int, *, backwards: bool
    ) -> Iterator[Page]:
        size = min(_FIRST_PAGE, most)
        while True:
            page = self._table.page(query, low, high, size, backwards=backwards)
            yield page
            if not page.more:
                return
            edge = page.events[-1].position
            low, high = (low, edge - 1) if backwards else (edge, high)
            size = PAGE
            self._look()

    def _looked_up(
        self, query: Query, low: int, high: int, most: int, *, backwards: bool
    ) -> Iterator[Page]:
        positions = self._table.positions(query, low, high)
        first, last = 0, len(positions)
        size = min(_FIRST_PAGE, most)
        while first < last:
            start, stop = (max(last - size, 0), last) if backwards else (first, first + size)
            some = positions[max(start, first) : min(stop, last)]
            page = self._table.page_at(some, backwards=backwards)
            yield page
            # A page that grew too large has ended before its last position.
            edge = page.events[-1].position if page.events else some[0 if backwards else -1]
            if backwards:
                last = bisect_left(positions, edge)
            else:
                first = bisect_right(positions, edge)
            size = PAGE
            self._look()
