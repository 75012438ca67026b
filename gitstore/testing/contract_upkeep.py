"""The contract of what a store says of itself: its id, checkpoints, status, verify, maintain.

- ``epoch``, ``checkpoint``, ``resume``: ``test_a_checkpoint_…``; after a rebase:
  ``contract_rebased``.
- ``status``: ``test_status_…``. ``verify``: ``test_verify_…``. ``maintain``: ``test_maintain_…``.
- ``close``: ``test_close_gives_back_threads_and_files``, ``test_a_closed_store_has_…``.
"""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.errors import ForeignCheckpoint
from gitstore.testing.support import (
    PATIENCE,
    Follower,
    MakeStore,
    fill,
    happened,
    need,
    nothing_recorded,
    positions,
)

_DESCRIPTORS = Path("/dev/fd")
_REPORTED = 2_500  # events; more than go by between two reports of progress


def _descriptors() -> int:
    return sum(1 for _ in _DESCRIPTORS.iterdir())


class UpkeepContract:
    """What a store says of itself is true, and looking after it changes no event."""

    def test_a_checkpoint_of_the_beginning(self, store: BaseEventStore) -> None:
        """``checkpoint()``: this store, its epoch, no event handled, however many there are."""
        fill(store, "a", 2)
        assert store.checkpoint() == Checkpoint(store.store_id, store.epoch, 0)
        assert store.epoch == 0

    def test_a_checkpoint_says_where_to_go_on(self, store: BaseEventStore) -> None:
        """``resume`` gives it back: at the beginning, half way, and at the very last position."""
        start = store.checkpoint()
        assert store.resume(start) == start
        fill(store, "a", 3)
        for position in range(4):
            checkpoint = replace(start, position=position)
            assert store.resume(checkpoint) == checkpoint
            assert store.resume(checkpoint, superseded=True) == checkpoint
            assert positions(store.read_all(position)) == list(range(position + 1, 4))

    @pytest.mark.parametrize("superseded", [False, True])
    def test_a_checkpoint_of_elsewhere_is_refused(
        self, store: BaseEventStore, superseded: bool
    ) -> None:
        """``ForeignCheckpoint``, with both ids: of another store, or beyond the last position."""
        fill(store, "a", 2)
        checkpoint = store.checkpoint()
        for wrong in (replace(checkpoint, store_id="other"), replace(checkpoint, position=3)):
            with pytest.raises(ForeignCheckpoint) as caught:
                store.resume(wrong, superseded=superseded)
            assert (caught.value.store_id, caught.value.given) == (store.store_id, wrong.store_id)

    def test_a_checkpoint_outlives_the_store_object(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """Kept as JSON, it says another day where to go on."""
        need(store.capabilities.durable, "durable")
        checkpoint = store.checkpoint().after(fill(store, "a", 2)[0])
        store.close()
        with make_store() as again:
            kept = again.resume(Checkpoint.from_dict(checkpoint.to_dict()))
            assert kept == checkpoint
            assert positions(again.read_all(kept.position)) == [2]

    def test_status_counts_what_reads_give(self, store: BaseEventStore) -> None:
        """Events, streams and the store's id; nothing superseded without a rebase."""
        empty = store.status()
        assert (empty.events, empty.streams, empty.unflushed) == (0, 0, 0)
        store.append_many(map(happened, ("a", "b", "a")))
        fill(store, "c", 2)
        status = store.status()
        assert (status.events, status.streams, status.store_id) == (5, 3, store.store_id)
        assert (status.superseded, status.rebased, status.notes) == (0, 0, ())
        assert 0 <= status.unflushed <= 5
        assert status.format

    def test_status_changes_nothing(self, store: BaseEventStore) -> None:
        """Asked twice it says the same, and no read gives anything else."""
        fill(store, "a", 2)
        with nothing_recorded(store):
            first, second = store.status(), store.status()
        # A flush in the background may come between the two.
        assert replace(first, size=0, unflushed=0) == replace(second, size=0, unflushed=0)

    def test_status_tells_the_bytes_on_disk(self, store: BaseEventStore) -> None:
        """More for 100 KB more, and none of a store that has no disk."""
        before = store.status().size
        store.append_many(happened("a", data=f"ab{n}" * 1_000) for n in range(25))
        after = store.status().size
        assert (after > before) == store.capabilities.durable
        assert (before > 0) == store.capabilities.durable

    def test_a_closed_store_has_everything_in_its_last_place(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """After ``close`` nothing is waiting to be moved."""
        need(store.capabilities.durable, "durable")
        fill(store, "a", 3)
        store.close()
        with make_store() as again:
            status = again.status()
            assert (status.events, status.unflushed) == (3, 0)

    def test_close_gives_back_threads_and_files(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """Whatever was open, half read or followed: opening and closing for days leaks nothing."""
        store.close()
        threads, files = threading.active_count(), _descriptors()
        for _ in range(3):
            with make_store() as opened:
                fill(opened, "a", 2)
                half_read = opened.read_all()
                next(half_read)
                follower = Follower(opened.follow)
                follower.take(1)
            follower.rest()
        half_read.close()  # type: ignore[attr-defined]
        deadline = time.monotonic() + PATIENCE
        while threading.active_count() > threads and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() <= threads
        gc.collect()  # what a follower's thread had open goes with its last frame
        assert _descriptors() <= files

    @pytest.mark.parametrize("deep", [False, True])
    def test_verify_finds_a_sound_store_sound(self, store: BaseEventStore, deep: bool) -> None:
        """No findings, and how many events and streams it looked at; reads stay as they are."""
        assert (store.verify(deep=deep).events, store.verify(deep=deep).streams) == (0, 0)
        store.append_many(map(happened, "abca"))
        with nothing_recorded(store):
            report = store.verify(deep=deep)
        assert report.ok
        assert (report.findings, report.repaired, report.superseded) == ((), (), 0)
        assert (report.events, report.streams) == (4, 3)

    def test_verify_has_nothing_to_mend_in_a_sound_store(self, store: BaseEventStore) -> None:
        """``repair`` changes no event, says nothing, and the store goes on."""
        fill(store, "a", 3)
        with nothing_recorded(store):
            report = store.verify(repair=True)
        assert (report.ok, report.findings, report.repaired) == (True, (), ())
        assert store.append(happened("a")).position == 4

    def test_verify_tells_how_far_it_is(self, store: BaseEventStore) -> None:
        """``progress`` hears what is done, how much, and of how much: never more than that."""
        store.append_many(happened("a") for _ in range(_REPORTED))
        heard: list[tuple[str, int, int]] = []
        assert store.verify(progress=lambda *told: heard.append(told)).events == _REPORTED
        assert heard
        assert all(what and (0 <= done <= total or not total) for what, done, total in heard)

    @pytest.mark.parametrize("trim", [False, True])
    def test_maintain_drops_and_moves_nothing(self, store: BaseEventStore, trim: bool) -> None:
        """Every read gives what it gave, retries are retries, the store goes on, and is sound."""
        recorded = [*fill(store, "a", 3), *store.append_many(map(happened, "bcb"))]
        checkpoint = store.checkpoint().after(recorded[3])
        report = store.maintain(trim=trim)
        assert list(store.read_all()) == recorded
        assert list(store.read_all(backwards=True)) == recorded[::-1]
        assert list(store.read_stream("b")) == [recorded[3], recorded[5]]
        assert store.append(recorded[1].event) == recorded[1]
        assert store.resume(checkpoint) == checkpoint
        assert store.append(happened("a"), 3).position == 7
        assert (report.before.size > 0) == (report.after.size > 0) == store.capabilities.durable
        assert all(seconds >= 0 for seconds in report.seconds.values())

    def test_maintain_may_come_at_any_time(self, store: BaseEventStore) -> None:
        """In an empty store, twice, and in the middle of a reading; it may be watched."""
        told: list[tuple[str, int, int]] = []
        store.maintain(progress=lambda *what: told.append(what))
        fill(store, "a", 4)
        reading = store.read_all()
        first = next(reading)
        for _ in range(2):
            store.maintain(progress=lambda *what: told.append(what))
        assert positions([first, *reading]) == [1, 2, 3, 4]
        assert all(what and done >= 0 <= total for what, done, total in told)
