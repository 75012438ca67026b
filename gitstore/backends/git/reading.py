"""Reads: the journal first, then the index, page by page, twins dropped by position.

A reader looks at the journal before the index, and a flush fills the index before it empties the
journal; so what was in neither was not there. A page never goes beyond the highest position its
look at the journal showed, so no event that is still on its way can be jumped over. No statement
stays open across a ``yield``: a half-read iterator must not keep the log from being checkpointed.

The highest position of the first look is the read's *end*: it gives what was live then. So a rebase
that comes meanwhile, or is in the index and not yet in the journal's state, neither hides an event
nor shows it twice.
"""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexside import IndexSide
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import recorded
from gitstore.core.encoded import EncodedEvent
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
        """The event of the one commit whose id begins so; ``ValueError`` where there are more.

        A superseded one says by which position it was.
        """
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
        index = self._parts.index
        live = index.by_place(event.stream_id, event.version)
        past = index.superseded_at(event.stream_id, event.version)
        return next((found for found in (live, *past) if found and found.commit == commit), None)

    def _mend(self, error: IndexDamaged, attempt: int) -> int:
        """Repair the index, the second time by a rebuild; give up when that did not help either."""
        if self._repair is None or attempt > 1:
            raise error
        self._repair(attempt > 0)
        return attempt + 1

    def stream(
        self, stream: str, after: int, to: int | None, limit: int | None, *, backwards: bool
    ) -> Iterator[RecordedEvent]:
        """Events with ``after < version <= to``, by version: of one chain, also over a rebase."""
        low, high = max(after, 0), _NO_END if to is None else min(to, _NO_END)
        left = _NO_END if limit is None else limit
        size = _FIRST_PAGE
        attempt = 0
        end: int | None = None
        while left > 0 and low < high:
            size = min(size, left)
            self._look()
            try:
                page = self._stream_page(stream, low, high, size, end, backwards=backwards)
            except IndexDamaged as error:
                attempt = self._mend(error, attempt)
                continue
            if page is None or (end is None and size == len(page) < left):
                # All pages must be of one chain: read as of now, this one too. One page is anyway.
                end = self._parts.journal.highest()[1]
                continue
            yield from page
            if len(page) < size:
                return
            edge = page[-1].version
            low, high = (low, edge - 1) if backwards else (edge, high)
            left -= size
            size = PAGE

    def _stream_page(
        self, stream: str, low: int, high: int, size: int, end: int | None, *, backwards: bool
    ) -> list[RecordedEvent] | None:
        """The next events of a stream, as of ``end``.

        Without an end ``None`` where a rebase came between the looks at journal and index.
        """
        through = _NO_END if end is None else end
        waiting = self._parts.journal.stream_page(stream, low, high, size, backwards=backwards)
        flushed = self._parts.index.stream_page(
            stream, low, high, size, backwards=backwards, end=through
        )
        if not waiting:
            return flushed
        found = {event.version: event for event in flushed}
        fresh = [recorded(row) for row in waiting if row.position <= through]
        if end is None and any(found.get(e.version, e).commit != e.commit for e in fresh):
            return None
        found.update((event.version, event) for event in fresh)
        return [found[version] for version in sorted(found, reverse=backwards)][:size]

    def all(
        self,
        wanted: EventFilter,
        after: int,
        limit: int | None,
        *,
        backwards: bool,
        superseded: bool = False,
    ) -> Iterator[RecordedEvent]:
        """Events with ``position > after`` that are wanted, by position.

        Those that are live; ``superseded``: all of them.
        """
        left = _NO_END if limit is None else limit
        if left <= 0:
            return
        if backwards:
            pages = self._backwards(wanted, after, limit, every=superseded)
        else:
            pages = self._pages(wanted, after, every=superseded)
        for page, _ in pages:
            yield from page[:left]
            left -= len(page)
            if left <= 0:
                return

    def encoded(self, after: int, *, superseded: bool) -> Iterator[EncodedEvent]:
        """``all``, forward and unfiltered, with data and metadata as bytes."""
        for page, _ in self._pages(EventFilter(), after, every=superseded, encoded=True):
            for found in page:
                yield found if type(found) is EncodedEvent else EncodedEvent.of(found)

    def follow(
        self,
        wanted: EventFilter,
        after: int,
        stop: threading.Event,
        closed: threading.Event,
        *,
        superseded: bool = False,
    ) -> Iterator[RecordedEvent]:
        """``all``, then what comes; ends when ``stop`` or ``closed`` is set.

        Each round is as of its own end.
        """
        try:
            yield from self._follow(wanted, after, stop, closed, every=superseded)
        except StoreUnavailable:
            if not closed.is_set():  # else: closed by another thread while this one was reading
                raise

    def _follow(
        self,
        wanted: EventFilter,
        after: int,
        stop: threading.Event,
        closed: threading.Event,
        *,
        every: bool,
    ) -> Iterator[RecordedEvent]:
        while not (stop.is_set() or closed.is_set()):
            for page, seen in self._pages(wanted, after, every=every):
                for event in page:
                    if stop.is_set() or closed.is_set():
                        return
                    yield event
                after = max(after, seen)
            while not (stop.is_set() or closed.is_set() or self._highest() > after):
                stop.wait(_POLL_SECONDS)

    def epoch(self) -> int:
        """The last position visible here whose event took another's place, 0 without any."""
        return self._parts.index.epoch(self._highest())

    def _highest(self) -> int:
        self._look()
        return self._parts.journal.highest()[1]

    def _pages(
        self, wanted: EventFilter, after: int, *, every: bool, encoded: bool = False
    ) -> Iterator[tuple[list[Any], int]]:
        """Pages forward, each with the position up to which everything has been given.

        ``encoded``: see ``IndexSide``; what waits in the journal is not.
        """
        size = _FIRST_PAGE
        end: int | None = None
        attempt = 0
        found: IndexSide | None = None
        while True:
            before = None if end is None else end + 1
            self._look()
            flushed, last, waiting = self._parts.journal.page(after, before, size, backwards=False)
            if end is None:
                end = last  # what comes later is not for this read: it may be half a batch
            top = waiting[-1].position if len(waiting) == size else end
            rows: list[Any] = []
            if after < flushed:
                try:
                    if found is None or found.through < min(flushed, top):
                        found = IndexSide.of(
                            *(self._parts.index, wanted, after, top + 1, end),
                            backwards=False,
                            every=every,
                            encoded=encoded,
                        )
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
        self, wanted: EventFilter, after: int, limit: int | None, *, every: bool
    ) -> Iterator[tuple[list[RecordedEvent], int]]:
        before: int | None = None
        size = _FIRST_PAGE
        found: IndexSide | None = None
        waited = False
        attempt = 0
        end = 0
        while True:
            self._look()
            _, last, waiting = self._parts.journal.page(after, before, size, backwards=True)
            if before is None:
                before, end = last + 1, last
            low = waiting[-1].position if len(waiting) == size else after + 1
            try:
                if found is None or waited:  # what waited may have been flushed since
                    found = IndexSide.of(
                        *(self._parts.index, wanted, after, before, end, limit),
                        backwards=True,
                        every=every,
                    )
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
        rows: list[Any],
        wanted: EventFilter,
        after: int,
        to: int,
        *,
        backwards: bool,
    ) -> list[Any]:
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
