"""Readers that keep the rules of ``follow``: nothing is counted twice, no projection is wrong."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import Checkpoint, RecordedEvent, StaleCheckpoint
from gitstore.core.base import BaseEventStore
from tests.sync.rebased import Sides, two_sides

READ = st.one_of(
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.tuples(st.just("restart"), st.integers(0, 4)),
)
RECORD = st.tuples(st.sampled_from(["here", "there", "diverge"]), st.sampled_from("ab"))
STEPS = st.lists(
    st.one_of(RECORD, READ, st.sampled_from([("diverge", "a"), ("rebase",), ("give",)])),
    min_size=12,
    max_size=30,
)


class Counting:
    """Counts events: all that was superseded too, and passes over what has a second place."""

    def __init__(self, store: BaseEventStore) -> None:
        self._store = store
        self.counted: Counter[str | None] = Counter()
        self.kept = json.dumps(store.checkpoint().to_dict())
        self._reading: Iterator[RecordedEvent] = iter(())

    def restart(self) -> None:
        """Go on, after the position that was kept."""
        checkpoint = Checkpoint.from_dict(json.loads(self.kept))
        checkpoint = self._store.resume(checkpoint, superseded=True)
        self._reading = self._store.read_all(checkpoint.position, superseded=True)

    def read(self, most: int) -> None:
        """Handle some events of what was begun."""
        for recorded in islice(self._reading, most):
            checkpoint = Checkpoint.from_dict(json.loads(self.kept))
            if recorded.replaces is None:
                self.counted[recorded.event.id] += 1
            self.kept = json.dumps(checkpoint.after(recorded, superseded=True).to_dict())


class Projection:
    """What each stream's events are, in order; begins again where its checkpoint is stale."""

    def __init__(self, store: BaseEventStore) -> None:
        self._store = store
        self._begin()

    def _begin(self) -> None:
        self.streams: dict[str, list[str | None]] = {}
        self.checkpoint = self._store.checkpoint()
        self._reading = self._store.read_all()

    def restart(self) -> None:
        """Go on from the checkpoint."""
        try:
            self.checkpoint = self._store.resume(self.checkpoint)
        except StaleCheckpoint:
            self._begin()
        self._reading = self._store.read_all(self.checkpoint.position)

    def read(self, most: int) -> None:
        """Handle some events of what was begun."""
        for recorded in islice(self._reading, most):
            try:
                self.checkpoint = self.checkpoint.after(recorded)
            except StaleCheckpoint:
                self._begin()
                return
            stream = self.streams.setdefault(recorded.stream_id, [])
            stream.append(recorded.event.id)


def _play(sides: Sides, steps: list[tuple[object, ...]]) -> None:
    readers = Counting(sides.ours), Projection(sides.ours)
    for what, *more in steps:
        if what not in {"read", "restart"}:
            getattr(sides, str(what))(*more)
            continue
        for reader in readers:
            if what == "restart":
                reader.restart()
            reader.read(*more)  # type: ignore[arg-type]
    _finish(sides, *readers)


def _finish(sides: Sides, counting: Counting, projection: Projection) -> None:
    counting.restart()
    counting.read(10_000)
    live = list(sides.ours.read_all())
    assert counting.counted == Counter(event.event.id for event in live)
    before = None
    while before != projection.checkpoint:
        before = projection.checkpoint
        projection.restart()
        projection.read(10_000)
    expected: dict[str, list[str | None]] = {}
    for event in live:
        expected.setdefault(event.stream_id, []).append(event.event.id)
    assert projection.streams == expected


@settings(max_examples=25)
@given(steps=STEPS)
def test_readers_that_keep_the_rules_agree_with_a_fold_from_zero(
    steps: list[tuple[object, ...]],
) -> None:
    """Wherever they are stopped, and whenever a rebase comes: between two events, or while off."""
    with tempfile.TemporaryDirectory() as folder, two_sides(Path(folder)) as sides:
        _play(sides, steps)


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    """Two stores that have the same three events of a stream."""
    with two_sides(tmp_path) as sides:
        sides.here("a", "a", "a")
        sides.give()
        yield sides


def test_a_rebase_between_an_event_and_its_checkpoint_is_not_hidden(sides: Sides) -> None:
    """The epoch of that moment would say that the reader knew of it."""
    sides.here("a", "a")
    store = sides.ours
    checkpoint = store.checkpoint()
    for recorded in store.read_all():
        if recorded.position == 4:
            sides.there("a")
            assert sides.rebase()
        checkpoint = checkpoint.after(recorded)
    assert (checkpoint.position, checkpoint.epoch) == (5, 0)
    assert store.epoch == 8
    with pytest.raises(StaleCheckpoint) as caught:
        store.resume(checkpoint)
    assert caught.value.position in {4, 5}


def test_only_what_the_reader_has_handled_makes_its_checkpoint_stale(sides: Sides) -> None:
    """Events that came and were moved while it was away are new to it, in their last place."""
    store = sides.ours
    checkpoint = store.checkpoint()
    for recorded in store.read_all():
        checkpoint = checkpoint.after(recorded)
    sides.diverge("a")
    checkpoint = store.resume(checkpoint)
    assert checkpoint == Checkpoint(store.store_id, 6, 3)
    for recorded in store.read_all(checkpoint.position):
        checkpoint = checkpoint.after(recorded)
    assert checkpoint.position == 6


def test_who_begins_after_a_rebase_is_not_sent_back(sides: Sides) -> None:
    """An event with ``replaces`` that was moved before the beginning is like any other."""
    sides.diverge("a", "a")
    checkpoint = sides.ours.checkpoint()
    moved = 0
    for recorded in sides.ours.read_all():
        checkpoint = checkpoint.after(recorded)
        moved += recorded.replaces is not None
    assert moved == 2
    assert sides.ours.resume(checkpoint) == checkpoint
