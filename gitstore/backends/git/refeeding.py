"""The feed from what is left: another tip of it, else the index's positions, else new ones.

Positions of events that left no trace stay empty. New positions stand under a new store id, so that
nobody takes them for the old. Needs the flush lock. The journal takes the new feed over before its
ref moves, so that a death between the two leaves a journal whose feed can be read.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gitstore.backends.git import feed
from gitstore.backends.git.checking_refs import RefsFound
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.journalschema import JournalRow, JournalState
from gitstore.backends.git.layout import FEED, STREAMS, SUPERSEDED
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.recovery import is_journal_sound
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.repository import store_id
from gitstore.backends.git.restoring import FAULTS, index_rows
from gitstore.backends.git.retracing import (
    Link,
    Step,
    Unlikely,
    chain_of,
    retrace,
    superseded_tips,
)
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
    """An event and where it stands; in the order in which positions are given anew.

    ``joins``: it is of a rebase that the place before is of too, which one feed commit must list.
    """

    date: int
    stream: str
    order: int
    version: int
    commit: str
    type: str
    position: int = 0
    joins: bool = False
    is_superseded: bool = False


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
        found = _write_feed(parts, identity, places)
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
    in_git = list(_reachable(parts, refs))
    if places and known.issuperset(place.commit for place in in_git):
        _LOG.warning("%d events left no trace: their positions stay empty", _empty(places, least))
        return places, False
    reached = held.union(place.commit for place in in_git)
    lost = [p for p in places if p.commit not in reached and not p.is_superseded]
    # What waits comes after them all.
    return _numbered([*(p for p in in_git if p.commit not in held), *lost]), True


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
    for place in _indexed_places(parts):
        for position in sorted(p for p in left if p < place.position):
            yield _place_of(left.pop(position))
        left.pop(place.position, None)
        yield place


def _indexed_places(parts: Parts) -> Iterator[_Place]:
    ends: dict[str, int] = {}
    last: dict[str, int] = {}
    until = 0
    for row, superseded_by in index_rows(parts, lost=True):
        joins = row.position <= until
        if row.version <= ends.get(row.stream, 0):  # all that this rebase replaced has been seen
            until = max(until, last.get(row.stream, 0))
        ends[row.stream] = row.version
        last[row.stream] = max(last.get(row.stream, 0), superseded_by or 0)
        yield _place_of(row)._replace(joins=joins, is_superseded=superseded_by is not None)


def _reachable(parts: Parts, refs: RefsFound) -> Iterator[_Place]:
    """Every event of the streams that git has, and what rebases superseded, where that is whole."""
    kept = superseded_tips(refs.under(SUPERSEDED))
    for name, tip in refs.under(STREAMS).items():
        chain = list(_chain(parts, name, tip))
        tips = kept.get(name.removeprefix(STREAMS))
        if not (tips and chain):
            for link in chain:
                yield _place_of_link(link, link.event.date, link.event.version)
            continue
        for order, step in enumerate(_retraced(parts, chain[::-1], tips)):
            yield _place_of_link(step.link, step.date, order)._replace(joins=step.joins)


def _chain(parts: Parts, name: str, tip: str) -> Iterator[Link]:
    """What can be read of a stream, the last event first."""
    at: str | None = tip
    while at is not None:
        try:
            event = parts.objects.read_event(at)
        except EventStoreError:
            break  # what lies below is lost, and named by verify
        if STREAMS + encode_name(event.stream_id) != name:
            break
        yield Link(at, event)
        at = event.parent


def _retraced(parts: Parts, chain: list[Link], tips: list[str]) -> list[Step]:
    """A stream with what rebases superseded, or without where its chains are not what they left."""
    try:
        if chain[0].event.parent is not None:
            raise Unlikely("its beginning is lost")
        return retrace([*(chain_of(parts.objects, tip) for tip in tips), chain])
    except Unlikely as error:
        stream = chain[0].event.stream_id
        _LOG.warning("what was superseded of %s gets no positions: %s", stream, error)
        return retrace([chain])


def _chunks(places: Iterable[_Place]) -> Iterator[list[_Place]]:
    chunk: list[_Place] = []
    for place in places:
        if len(chunk) >= _AT_ONCE and not place.joins:
            yield chunk
            chunk = []
        chunk.append(place)
    if chunk:
        yield chunk


def _write_feed(parts: Parts, identity: str, places: list[_Place]) -> Feed:
    now = to_microseconds(parts.stamper.clock()) // 1_000_000
    commits = [feed.encode_beginning(None, now, identity)]
    for chunk in _chunks(places):
        commits.append(feed.encode_feed(commits[-1].id, now, list(map(_entry_of, chunk))))
    write_objects(parts.layout, commits)
    return Feed(commits[-1].id, places[-1].position if places else 0, identity)


def _place_of(row: JournalRow) -> _Place:
    commit = row.commit_id.hex()
    return _Place(row.date, row.stream, row.version, row.version, commit, row.type, row.position)


def _place_of_link(link: Link, date: int, order: int) -> _Place:
    event = link.event
    return _Place(date, event.stream_id, order, event.version, link.commit, event.type)


def _entry_of(place: _Place) -> FeedEntry:
    return FeedEntry(place.position, place.type, place.stream, place.version, place.commit)
