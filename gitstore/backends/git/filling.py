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
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.indexlists import TypedRow
from gitstore.backends.git.layout import FEED, STREAMS
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
    with ThreadPoolExecutor(1) as other:
        filled = other.submit(parts.index.fill, arrivals.files)
        goal = _list(parts, arrivals, tips, state.feed)
        typeindex.begin(parts, arrivals.numbered(), goal)
        filled.result()
    parts.index.add([], goal.position, goal.feed, after={state.feed})
    parts.journal.restart(goal.position, goal.feed, state.store_id, renumber=False)
    parts.journal.note_refs(parts.refs.signature())


def _list(parts: Parts, arrivals: Arrivals, tips: Mapping[str, str], base: str) -> typeindex.Goal:
    """Make the feed's commits and move the refs; gives the feed's tip and its last position."""
    commits = list(_feed_commits(arrivals.numbered(), base, typeindex.now(parts)))
    keep = parts.objects.add(commit for commit, _ in commits)
    tip, last = commits[-1]
    updates = [
        RefUpdate(STREAMS + encode_name(stream), commit, frozenset({None}))
        for stream, commit in tips.items()
    ]
    failures = parts.refs.move([*updates, RefUpdate(FEED, tip.id, frozenset({base}))])
    if failures:
        raise StoreUnavailable(
            f"{len(failures)} refs could not be made, "
            f"the first {failures[0].update.name}: {failures[0].why}"
        )
    keep.unlink()
    return typeindex.Goal(tip.id, last)


def _feed_commits(
    rows: Iterator[TypedRow], parent: str, date: int
) -> Iterator[tuple[GitObject, int]]:
    """The commits that list all rows, each with the last position it lists."""
    while some := list(itertools.islice(rows, AT_ONCE)):
        lines = [
            feed.line_of(position, kind, stream, version, commit.hex())
            for position, _, kind, stream, version, commit in some
        ]
        last = some[-1][0]
        made = feed.encode_lines(parent, date, some[0][0], last, lines)
        parent = made.id
        yield made, last
