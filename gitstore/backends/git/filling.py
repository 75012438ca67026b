"""Filling a store that is being made, and that nobody else can know yet, with checked history.

The outcome is what ``Adopter.record`` gives, chunk by chunk, in a third of the time: index, feed
and type index are made side by side, and the refs are moved once. There is no way back from a
crash in between: who makes the store throws it away.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from gitstore.backends.git import feed, typeindex
from gitstore.backends.git.arrivals import AT_ONCE, Arrivals
from gitstore.backends.git.indexlists import TypedRow
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.packs import PackBuilder
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.core.errors import StoreUnavailable
from gitstore.core.names import encode_name


def fill(parts: Parts, arrivals: Arrivals, tips: Mapping[str, str]) -> None:
    """Record all ``arrivals``, which are in files, in an empty store; both locks are held.

    ``tips``: streams and their last commits. Raises ``StoreUnavailable`` where refs cannot be
    moved.
    """
    arrivals.finish()
    state = parts.journal.state()
    listing = _Feed(state.feed, typeindex.now(parts))
    with ThreadPoolExecutor(1) as other:
        filled = other.submit(parts.index.fill, arrivals.files)
        # One pass for both: sorting the rows takes as long as listing them.
        typeindex.begin(
            parts, listing.listed(arrivals.numbered()), lambda: _move_refs(parts, tips, listing)
        )
        filled.result()
    parts.index.add([], listing.last, listing.tip, after={state.feed})
    parts.journal.restart(listing.last, listing.tip, state.store_id, renumber=False)
    parts.journal.note_refs(parts.refs.signature())


class _Feed:
    """The commits that list rows, after the feed's commit ``base``; ``last``: a position."""

    def __init__(self, base: str, date: int) -> None:
        self.base = self.tip = base
        self.last = 0
        self.pack = PackBuilder()
        self._date = date

    def listed(self, rows: Iterator[TypedRow]) -> Iterator[TypedRow]:
        """Gives the rows on, when they are listed."""
        while some := list(itertools.islice(rows, AT_ONCE)):
            lines = [
                feed.line_of(position, kind, stream, version, commit.hex())
                for position, _, kind, stream, version, commit in some
            ]
            first, self.last = some[0][0], some[-1][0]
            commit = feed.encode_lines(self.tip, self._date, first, self.last, lines)
            self.pack.add([commit])
            self.tip = commit.id
            yield from some


def _move_refs(parts: Parts, tips: Mapping[str, str], listing: _Feed) -> typeindex.Goal:
    keep = listing.pack.write(parts.layout.packs)
    updates = [
        RefUpdate(STREAMS + encode_name(stream), commit, frozenset({None}))
        for stream, commit in tips.items()
    ]
    move_feed = RefUpdate(FEED, listing.tip, frozenset({listing.base}))
    failures = parts.refs.move([*updates, move_feed])
    if failures:
        raise StoreUnavailable(
            f"{len(failures)} refs could not be made, "
            f"the first {failures[0].update.name}: {failures[0].why}"
        )
    keep.unlink()
    return typeindex.Goal(listing.tip, listing.last)
