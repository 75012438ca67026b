"""The feed from what is left: another tip of it, else the index's positions, else new ones.

Positions of events that left no trace stay empty. New positions stand under a new store id, so that
nobody takes them for the old. Needs the flush lock. The journal takes the new feed over before its
ref moves, so that a death between the two leaves a journal whose feed can be read.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gitstore.backends.git import feed
from gitstore.backends.git.checking_refs import RefsFound
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.journalschema import JournalRow, JournalState
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.recovery import is_journal_sound
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.repository import store_id
from gitstore.backends.git.restoring import FAULTS, index_rows
from gitstore.backends.git.salvaging import write_objects
from gitstore.core.errors import EventStoreError
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds

_LOG = logging.getLogger("gitstore.repair")
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that can be read from its tip to its first commit."""

    tip: str
    last: int
    """The highest position it lists."""
    store_id: str


class _Place(NamedTuple):
    """An event and where it stands; in the order in which positions are given anew."""

    date: int
    stream: str
    version: int
    commit: str
    type: str
    position: int = 0


def mend_feed(parts: Parts, refs: RefsFound) -> None:
    """See to it that the feed can be read, from ref and journal; where it is lost, make it anew."""
    state = _journal_state(parts)
    through, indexed = _index_state(parts)
    least = through or (state.flushed if state else 0)
    found = _longest(parts, state, (refs.ids.get(FEED, ""), indexed))
    renumber = False
    if found is None or found.last < least:
        places, renumber = _places(parts, refs, state, least)
        # Below `least` positions will be given that somebody may know as another event's.
        keeps = state is not None and not renumber and places[-1].position >= least
        identity = state.store_id if state is not None and keeps else str(uuid.uuid4())
        found = _write_feed(parts, identity, list(map(_entry_of, places)))
    if state is not None and not _agrees(parts, state, found):
        with parts.write_lock.held():
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


def _places(
    parts: Parts, refs: RefsFound, state: JournalState | None, least: int
) -> tuple[list[_Place], bool]:
    """Every event by position, and whether the positions are new.

    They are where git has an event that the index does not know: nobody knows what it had.
    """
    waiting = {} if state is None else {r.position: r for r in parts.journal.pending(1 << 40)}
    held = {row.commit_id.hex() for row in waiting.values()}
    places = list(_positions(parts, waiting))
    if len(places) >= max(least, 1) and _are_contiguous(places):
        return places, False
    known = held.union(place.commit for place in places)
    more = [place for place in _reachable(parts, refs) if place.commit not in known]
    if places and not more:
        _LOG.warning("%d events left no trace: their positions stay empty", _empty(places, least))
        return places, False
    # What waits comes after them all.
    return _numbered([*more, *(p for p in places if p.commit not in held)]), True


def _are_contiguous(places: list[_Place]) -> bool:
    return all(place.position == n for n, place in enumerate(places, 1))


def _empty(places: list[_Place], least: int) -> int:
    """How many positions none of the events has."""
    return max(least, places[-1].position) - len(places)


def _numbered(places: list[_Place]) -> list[_Place]:
    return [place._replace(position=n) for n, place in enumerate(sorted(places), 1)]


def _journal_state(parts: Parts) -> JournalState | None:
    """What the journal says has left it; ``None`` where it is damaged and will be salvaged."""
    if not parts.layout.journal.exists():
        return None
    try:
        usable = parts.journal.exists() and is_journal_sound(parts)
        return parts.journal.state() if usable else None
    except (*FAULTS, AssertionError):
        return None


def _index_state(parts: Parts) -> tuple[int, str]:
    try:
        return parts.index.state() if parts.layout.index.exists() else (0, "")
    except FAULTS:
        return 0, ""


def _whole(parts: Parts, tip: str) -> Feed | None:
    """The feed of this tip, where all of it can be read and its positions rise."""
    last = below = 0
    try:
        for commit in feed.read_back(parts.objects, tip):
            for entry in reversed(commit.entries):
                last = last or entry.position
                if below and entry.position >= below:
                    return None
                below = entry.position
        return Feed(tip, last, store_id(parts.objects, tip))
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


def _positions(parts: Parts, waiting: dict[int, JournalRow]) -> Iterator[_Place]:
    """Every event by position, as the index has it, and the journal where it could not leave."""
    left = dict(waiting)
    for row in index_rows(parts, lost=True):
        for position in sorted(p for p in left if p < row.position):
            yield _place_of(left.pop(position))
        left.pop(row.position, None)
        yield _place_of(row)


def _reachable(parts: Parts, refs: RefsFound) -> Iterator[_Place]:
    """Every event of the streams that git has."""
    for name, tip in refs.under(STREAMS).items():
        at: str | None = tip
        while at is not None:
            try:
                event = parts.objects.read_event(at)
            except EventStoreError:
                break  # what lies below is lost, and named by verify
            if STREAMS + encode_name(event.stream_id) != name:
                break
            yield _Place(event.date, event.stream_id, event.version, at, event.type)
            at = event.parent


def _write_feed(parts: Parts, identity: str, entries: list[FeedEntry]) -> Feed:
    now = to_microseconds(parts.stamper.clock()) // 1_000_000
    commits = [feed.encode_beginning(None, now, identity)]
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        commits.append(feed.encode_feed(commits[-1].id, now, some))
    write_objects(parts.layout, commits)
    return Feed(commits[-1].id, entries[-1].position if entries else 0, identity)


def _place_of(row: JournalRow) -> _Place:
    commit = row.commit_id.hex()
    return _Place(row.date, row.stream, row.version, commit, row.type, row.position)


def _entry_of(place: _Place) -> FeedEntry:
    return FeedEntry(place.position, place.type, place.stream, place.version, place.commit)
