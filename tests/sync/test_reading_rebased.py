"""Reading across a rebase: a read is as of its end, and superseded events are there where asked."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gitstore import RecordedEvent, StaleCheckpoint, StoreUnavailable
from gitstore.backends.git.journal import Journal
from gitstore.backends.git.journalschema import JournalRow
from gitstore.core.filters import EventFilter
from gitstore.testing.support import Follower, ids, positions, versions
from tests.sync.rebased import Sides, known, two_sides
from tests.sync.servers import git

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
STREAMS = [f"s-{n % 3}" for n in range(150)]
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "types": {"types": "Noted"},
    "stream": {"streams": "s-1"},
    "category": {"categories": "s"},
    "since": {"since": LONG_AGO},
    "user": {"users": "u1"},
    "correlation": {"correlations": ["c0", "c2"]},
    "several": {"streams": ["s-0", "s-2"], "since": LONG_AGO, "types": "Moved"},
}
both_ways = pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    """Three streams of 160 events and more that both have; then each side went on."""
    with two_sides(tmp_path) as sides:
        sides.here(*STREAMS, *STREAMS, *STREAMS)
        sides.give()
        sides.there(*STREAMS)
        sides.here(*STREAMS)
        yield sides


@pytest.mark.parametrize("flushed", [True, False], ids=["in git", "waiting"])
@pytest.mark.parametrize("superseded", [False, True], ids=["live", "all"])
@both_ways
def test_a_rebase_in_the_middle_of_a_read_is_not_seen(
    sides: Sides, backwards: bool, superseded: bool, flushed: bool
) -> None:
    """What the read would have given without it, each once, whatever its pages had reached."""
    if flushed:
        sides.ours.flush()
    for taken in (1, 70, 140):
        before, reads = {}, []
        for name, filters in FILTERS.items():
            wanted = {**filters, "backwards": backwards, "superseded": superseded}
            before[name] = known(sides.ours.read_all(**wanted))
            reading = sides.ours.read_all(**wanted)
            reads.append((name, list(itertools.islice(reading, taken)), reading))
        assert sides.rebase() == 3
        for name, begun, reading in reads:
            assert known(iter([*begun, *reading])) == before[name], name
        sides.give()
        sides.there(*STREAMS)
        sides.here(*STREAMS)


@both_ways
def test_a_limit_counts_what_was_live(sides: Sides, backwards: bool) -> None:
    """Also where a rebase took events out of the index after they had been looked up."""
    before, reads = {}, []
    for name, filters in FILTERS.items():
        before[name] = known(sides.ours.read_all(**filters, backwards=backwards))[:-20]
        limit = len(before[name])
        reading = sides.ours.read_all(**filters, backwards=backwards, limit=limit)
        reads.append((name, next(reading), reading))
    sides.rebase()
    for name, begun, reading in reads:
        assert known(iter([begun, *reading])) == before[name], name


@both_ways
@pytest.mark.parametrize("taken", [1, 64, 100, 199])
def test_a_stream_that_is_half_read_stays_one_history(
    sides: Sides, taken: int, backwards: bool
) -> None:
    """Never the begin of one and the end of another."""
    before = known(sides.ours.read_stream("s-0", backwards=backwards))
    reading = sides.ours.read_stream("s-0", backwards=backwards)
    begun = list(itertools.islice(reading, taken))
    sides.rebase()
    assert known(iter([*begun, *reading])) == before
    after = list(sides.ours.read_stream("s-0", backwards=backwards))
    assert sorted(versions(after)) == list(range(1, 251))
    assert len(set(ids(after))) == 250


@pytest.fixture
def half_done(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> Sides:
    """The index has a rebase, and the journal does not say so: its process died in between."""
    finish = Journal.finish

    def die(journal: Journal, gone: Sequence[JournalRow], *rest: Any, **more: Any) -> None:
        if any(row.origin for row in gone):
            raise StoreUnavailable("killed")
        finish(journal, gone, *rest, **more)

    sides.ours.flush()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "finish", die)
        with pytest.raises(StoreUnavailable, match="killed"):
            sides.rebase()
    assert sides.ours.examine(lambda parts: parts.index.epoch()) == 900
    return sides


def test_a_rebase_that_is_half_done_is_not_seen_yet(half_done: Sides) -> None:
    """Reads give the old histories until it is finished, however long that takes; then the new."""
    store = half_done.ours
    every = list(store.read_all(superseded=True))
    assert positions(every) == list(range(1, 601))
    assert all(event.superseded_by is None for event in every)
    for filters in FILTERS.values():
        wanted = EventFilter.of(**filters)
        expected = [event for event in every if wanted.matches(event)]
        assert list(store.read_all(**filters)) == expected
        assert list(store.read_all(**filters, backwards=True)) == expected[::-1]
    stream = [event for event in every if event.stream_id == "s-1"]
    assert list(store.read_stream("s-1")) == stream
    assert list(store.read_stream("s-1", backwards=True)) == stream[::-1]
    assert (store.last_position(), store.epoch) == (600, 0)
    checkpoint = store.checkpoint().after(every[-1])
    assert store.resume(checkpoint) == checkpoint
    half_done.here("other")
    store.flush()
    assert (store.last_position(), store.epoch) == (901, 900)
    assert len(set(ids(store.read_all()))) == len(list(store.read_all())) == 751
    with pytest.raises(StaleCheckpoint):
        store.resume(checkpoint)


def test_what_follows_a_rebase(sides: Sides) -> None:
    """A follower gets theirs, and ours once more with the position before."""
    stop = threading.Event()
    follower = Follower(lambda: sides.ours.follow(450, stop=stop))
    every = Follower(lambda: sides.ours.follow(450, stop=stop, superseded=True))
    assert positions(follower.take(150)) == positions(every.take(150)) == list(range(451, 601))
    sides.rebase()
    for given in (follower.take(300), every.take(300)):
        assert positions(given) == list(range(601, 901))
        assert [e.replaces for e in given if e.replaces] == [
            *range(451, 601, 3), *range(452, 601, 3), *range(453, 601, 3)
        ]  # fmt: skip
        assert all(e.superseded_by is None for e in given)
    stop.set()
    assert follower.rest() == every.rest() == []


def test_a_follower_that_begins_later_is_given_what_is_live(sides: Sides) -> None:
    """And with ``superseded`` everything, in the order of its positions."""
    sides.rebase()
    stop = threading.Event()
    for superseded, filters in itertools.product((False, True), FILTERS.values()):
        expected = list(sides.ours.read_all(**filters, superseded=superseded))
        follower = Follower(
            lambda superseded=superseded, filters=filters: sides.ours.follow(
                **filters, stop=stop, superseded=superseded
            )
        )
        assert follower.take(len(expected)) == expected
    stop.set()


def _rebased_twice(sides: Sides) -> None:
    sides.rebase()
    sides.give()
    sides.diverge("s-0", "s-1", "s-0")
    sides.diverge("s-0", "new-1")
    sides.here("s-2")


def test_all_events_and_what_became_of_them(sides: Sides) -> None:
    """Every position once; each superseded event leads to its next place, and that back to it."""
    _rebased_twice(sides)
    every = list(sides.ours.read_all(superseded=True))
    at = {event.position: event for event in every}
    assert list(at) == list(range(1, sides.ours.last_position() + 1))
    for event in every:
        for other, back in ((event.superseded_by, "replaces"), (event.replaces, "superseded_by")):
            assert other is None or at[other].event.id == event.event.id
            assert other is None or getattr(at[other], back) == event.position
    live = [event for event in every if event.superseded_by is None]
    assert len({event.event.id for event in every}) == len(live) == 761
    past = [event for event in every if event.superseded_by]
    for filters in FILTERS.values():
        wanted = EventFilter.of(**filters)
        _check_reads(live, wanted, partial(sides.ours.read_all, **filters))
        _check_reads(every, wanted, partial(sides.ours.read_all, **filters, superseded=True))
        _check_reads(past, wanted, partial(sides.ours.superseded, wanted))


def _check_reads(
    events: list[RecordedEvent],
    wanted: EventFilter,
    read: Callable[..., Iterator[RecordedEvent]],
) -> None:
    expected = [event for event in events if wanted.matches(event)]
    assert list(read()) == expected
    assert list(read(backwards=True)) == expected[::-1]
    assert list(read(limit=7)) == expected[:7]
    assert list(read(limit=150, backwards=True)) == expected[::-1][:150]
    assert list(read(after_position=600)) == [e for e in expected if e.position > 600]


def test_an_event_is_found_where_it_is_and_where_it_was(sides: Sides) -> None:
    """By id the live one, by commit each; and all places with the refs that keep them."""
    _rebased_twice(sides)
    store = sides.ours
    every = list(store.read_all(superseded=True))
    for event in every[440:470] + every[-20:]:
        assert store.find_commit(event.commit or "") == event
        now = store.find_event(event.event.id or "")
        assert now is not None
        assert now.superseded_by is None
        places = store.places(event.event.id or "")
        assert places is not None
        assert places.now == now
        assert places.was == tuple(e for e in every if e.event.id == now.event.id and e != now)
        assert set(places.refs) == {was.commit for was in places.was}
        first = (*places.was, now)[0]
        assert places.origin in ({first.commit} if places.was else {None})
    for event in every:
        if event.superseded_by:
            held = store.places(event.event.id or "")
            assert held is not None
            ref = held.refs[event.commit or ""]
            chain = _history(sides, ref)
            assert chain[event.version - 1] == event.commit
            break
    assert store.places("nobody") is None


def _history(sides: Sides, ref: str) -> list[str]:
    return git(sides.ours.status().where, "rev-list", "--reverse", ref).split()


def test_an_event_that_waits_has_one_place(sides: Sides) -> None:
    """It is in no commit of git yet, and no rebase had it."""
    sides.here("s-0")
    (event,) = sides.ours.read_all(limit=1, backwards=True)
    assert sides.ours.places(event.event.id or "") == (event, (), {}, None)
