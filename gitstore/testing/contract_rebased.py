"""The contract of stores in which a rebase gives events other places.

For backends that declare ``rebases``: their test gives the fixture ``rebased``, a store in which
some events were rebased, one of them twice, and some never; nothing in it is lost.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import islice

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.errors import StaleCheckpoint
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.testing.support import ids, positions, versions


def _content(recorded: RecordedEvent) -> DomainEvent:
    return replace(recorded.event, version=None)


class RebasedContract:
    """What reads, followers and checkpoints say of events that have stood elsewhere before."""

    @pytest.fixture
    def rebased(self) -> BaseEventStore:
        """A store with rebased events."""
        raise NotImplementedError("a backend that rebases gives the fixture rebased")

    def test_the_history_has_rebases(self, rebased: BaseEventStore) -> None:
        """What these tests stand on: events that replace, one of them twice, and others."""
        replaced = {r.position for r in rebased.read_all(superseded=True) if r.superseded_by}
        replacing = [r.replaces for r in rebased.read_all() if r.replaces]
        assert rebased.capabilities.rebases
        assert len(replaced) > len(replacing) > 0
        assert any(recorded.replaces is None for recorded in rebased.read_all())

    def test_a_read_gives_what_is_live(self, rebased: BaseEventStore) -> None:
        """Every event once, at its last place; positions rise, with holes where places went."""
        live = list(rebased.read_all())
        everything = list(rebased.read_all(superseded=True))
        assert live == [r for r in everything if r.superseded_by is None]
        assert positions(live) == sorted(set(positions(live)))
        assert len(set(ids(live))) == len(live)
        assert list(rebased.read_all(backwards=True)) == live[::-1]

    def test_superseded_reads_have_every_position(self, rebased: BaseEventStore) -> None:
        """Each former place names the next one of the same event, and that one names it."""
        everything = {r.position: r for r in rebased.read_all(superseded=True)}
        assert list(everything) == list(range(1, rebased.last_position() + 1))
        for position, recorded in everything.items():
            if recorded.superseded_by is not None:
                later = everything[recorded.superseded_by]
                assert (later.replaces, later.position > position) == (position, True)
                assert _content(later) == _content(recorded)
            if recorded.replaces is not None:
                assert everything[recorded.replaces].superseded_by == position

    def test_a_stream_is_one_history(self, rebased: BaseEventStore) -> None:
        """Versions from 1 without a gap, of live events alone; the head is the last of them."""
        for stream in rebased.streams():
            own = list(rebased.read_stream(stream))
            assert versions(own) == list(range(1, len(own) + 1))
            assert own == [r for r in rebased.read_all(streams=stream) if r.stream_id == stream]
            assert rebased.stream_version(stream) == len(own)

    @pytest.mark.parametrize("superseded", [False, True])
    def test_follow_gives_what_read_all_gives(
        self, rebased: BaseEventStore, superseded: bool
    ) -> None:
        """Then what comes, at the position after the last."""
        there = list(rebased.read_all(superseded=superseded))
        stop = threading.Event()
        following = rebased.follow(superseded=superseded, stop=stop)
        assert list(islice(following, len(there))) == there
        news = rebased.append(DomainEvent("after", "Happened"))
        assert (next(following), news.position) == (news, there[-1].position + 1)
        stop.set()

    def test_who_passes_over_replaces_sees_each_event_once(self, rebased: BaseEventStore) -> None:
        """Stopped at any event, and gone on after its position: still exactly once."""
        seen: list[RecordedEvent] = []
        position = 0
        while page := list(rebased.read_all(position, limit=1, superseded=True)):
            position = page[0].position
            seen += [recorded for recorded in page if recorded.replaces is None]
        assert sorted(map(str, ids(seen))) == sorted(map(str, ids(rebased.read_all())))

    def test_the_epoch_is_the_last_place_that_was_taken(self, rebased: BaseEventStore) -> None:
        """The highest position of an event that replaces."""
        everything = rebased.read_all(superseded=True)
        assert rebased.epoch == max(r.position for r in everything if r.replaces)
        assert rebased.checkpoint() == Checkpoint(rebased.store_id, rebased.epoch, 0)

    def test_a_checkpoint_from_before_a_rebase_is_stale(self, rebased: BaseEventStore) -> None:
        """Once an event up to its position was moved after its epoch; else it goes on, by today's.

        Never for who passes over events with ``replaces``.
        """
        former = [r for r in rebased.read_all(superseded=True) if r.superseded_by]
        for position in range(rebased.last_position() + 1):
            checkpoint = Checkpoint(rebased.store_id, 0, position)
            resumed = replace(checkpoint, epoch=rebased.epoch)
            moved = {(r.position, r.superseded_by) for r in former if r.position <= position}
            assert rebased.resume(checkpoint, superseded=True) == resumed
            assert rebased.resume(resumed) == resumed
            if not moved:
                assert rebased.resume(checkpoint) == resumed
                continue
            with pytest.raises(StaleCheckpoint) as caught:
                rebased.resume(checkpoint)
            assert (caught.value.position, caught.value.superseded_by) in moved

    def test_a_reader_on_its_way_is_told_of_a_second_place(self, rebased: BaseEventStore) -> None:
        """``Checkpoint.after`` refuses it where the reader began before the rebase."""
        moved = next(recorded for recorded in rebased.read_all() if recorded.replaces)
        began = Checkpoint(rebased.store_id, moved.position - 1, moved.position - 1)
        with pytest.raises(StaleCheckpoint) as caught:
            began.after(moved)
        assert caught.value.superseded_by == moved.position
        assert began.after(moved, superseded=True).position == moved.position
        assert rebased.checkpoint().after(moved).position == moved.position

    def test_status_and_verify_count_former_places_apart(self, rebased: BaseEventStore) -> None:
        """``events`` are those that reads give; ``superseded`` the places they had before."""
        live = list(rebased.read_all())
        former = [r for r in rebased.read_all(superseded=True) if r.superseded_by]
        status, report = rebased.status(), rebased.verify()
        assert (status.events, status.superseded) == (len(live), len(former))
        assert status.rebased == len({recorded.stream_id for recorded in former})
        assert (report.findings, report.events, report.superseded) == ((), len(live), len(former))
