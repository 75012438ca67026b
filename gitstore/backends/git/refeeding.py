"""The feed from what is left: another tip of it, else the index's positions, else new ones.

New positions stand under a new store id, so that nobody takes them for the old. Needs the flush
lock. The journal takes the new feed over before its ref moves, so that a death between the two
leaves a journal whose feed can be read.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from gitstore.backends.git import feed
from gitstore.backends.git.checking_refs import RefsFound
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.journal import JournalRow, JournalState
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.repository import store_id
from gitstore.backends.git.restoring import FAULTS, index_rows
from gitstore.backends.git.salvaging import write_objects
from gitstore.core.errors import EventStoreError
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that can be read from its tip to its first commit."""

    tip: str
    last: int
    """The highest position it lists."""
    store_id: str


def mend_feed(parts: Parts, refs: RefsFound) -> None:
    """See to it that the feed can be read, from ref and journal; where it is lost, make it anew."""
    state = _journal_state(parts)
    through, indexed = _index_state(parts)
    least = through or (state.flushed if state else 0)
    found = _longest(parts, state, (refs.ids.get(FEED, ""), indexed))
    renumber = False
    if found is None or found.last < least:
        entries = list(_positions(parts, state))
        identity = state.store_id if state else ""
        if len(entries) < max(least, 1) or not _are_contiguous(entries):
            entries, identity, renumber = _renumbered(parts, refs), "", True
        found = _write_feed(parts, identity or str(uuid.uuid4()), entries)
    if state is not None and not _agrees(parts, state, found):
        parts.journal.restart(found.last, found.tip, found.store_id, renumber=renumber)
    at = refs.ids.get(FEED)
    if at != found.tip:
        parts.refs.move([RefUpdate(FEED, found.tip, frozenset({at, None}))])


def _longest(parts: Parts, state: JournalState | None, others: tuple[str, ...]) -> Feed | None:
    """Of the tips that journal, ref and index know, the one that lists most and can be read."""
    tips = dict.fromkeys((state.feed if state else "", *others))
    whole = [found for tip in tips if tip and (found := _whole(parts, tip))]
    ours = [found for found in whole if state and found.store_id == state.store_id]
    return max(ours or whole, key=lambda found: found.last, default=None)


def _are_contiguous(entries: list[FeedEntry]) -> bool:
    return all(entry.position == n for n, entry in enumerate(entries, 1))


def _journal_state(parts: Parts) -> JournalState | None:
    """What the journal says has left it; ``None`` where it cannot be read."""
    if not parts.layout.journal.exists():
        return None
    try:
        return parts.journal.state() if parts.journal.exists() else None
    except (*FAULTS, AssertionError):
        return None


def _index_state(parts: Parts) -> tuple[int, str]:
    try:
        return parts.index.state() if parts.layout.index.exists() else (0, "")
    except FAULTS:
        return 0, ""


def _whole(parts: Parts, tip: str) -> Feed | None:
    """The feed of this tip, where all of it can be read and its positions rise by one."""
    last = below = 0
    try:
        for commit in feed.read_back(parts.objects, tip):
            for entry in reversed(commit.entries):
                last = last or entry.position
                if below and entry.position != below - 1:
                    return None
                below = entry.position
        return Feed(tip, last, store_id(parts.objects, tip)) if below in (0, 1) else None
    except FAULTS:
        return None


def _agrees(parts: Parts, state: JournalState, best: Feed) -> bool:
    """Whether the journal's state fits the feed, a flush that was cut short included."""
    if state.store_id != best.store_id:
        return False
    if state.feed == best.tip:
        left = state.flushed == best.last or parts.journal.count() > 0
        return left and state.flushed <= best.last == state.listed
    ahead = feed.span_of(parts.objects.read(best.tip)).parent
    return ahead == state.feed and parts.journal.count() > 0


def _positions(parts: Parts, state: JournalState | None) -> Iterator[FeedEntry]:
    """Every event by position, as the index has it, and the journal where it could not leave."""
    waiting: dict[int, JournalRow] = {}
    if state is not None:
        waiting = {r.position: r for r in parts.journal.pending(1 << 40)}
    for row in index_rows(parts, lost=True):
        for position in sorted(p for p in waiting if p < row.position):
            yield _entry_of(waiting.pop(position))
        waiting.pop(row.position, None)
        yield _entry_of(row)


def _renumbered(parts: Parts, refs: RefsFound) -> list[FeedEntry]:
    """Every event of the streams, by committer date, then stream, then version."""
    found: list[tuple[int, str, int, str, str]] = []
    for name, tip in refs.under(STREAMS).items():
        at: str | None = tip
        while at is not None:
            try:
                event = parts.objects.read_event(at)
            except EventStoreError:
                break  # what lies below is lost, and named by verify
            if STREAMS + encode_name(event.stream_id) != name:
                break
            found.append((event.date, event.stream_id, event.version, at, event.type))
            at = event.parent
    found.sort()
    return [
        FeedEntry(position, kind, stream, version, commit)
        for position, (_, stream, version, commit, kind) in enumerate(found, 1)
    ]


def _write_feed(parts: Parts, identity: str, entries: list[FeedEntry]) -> Feed:
    now = to_microseconds(parts.stamper.clock()) // 1_000_000
    commits = [feed.encode_beginning(None, now, identity)]
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        commits.append(feed.encode_feed(commits[-1].id, now, some))
    write_objects(parts.layout, commits)
    return Feed(commits[-1].id, len(entries), identity)


def _entry_of(row: JournalRow) -> FeedEntry:
    return FeedEntry(row.position, row.type, row.stream, row.version, row.commit_id.hex())
