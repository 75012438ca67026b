"""The contract between threads: none lost, none doubled, and exactly one wins."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from itertools import chain

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import WrongExpectedVersion
from gitstore.core.event import RecordedEvent
from gitstore.core.expected import NO_STREAM
from gitstore.testing.support import (
    PATIENCE,
    fill,
    happened,
    positions,
    run_together,
    versions,
)

_THREADS = 8
_ROUNDS = 12


class ConcurrencyContract:
    """Several writers and readers at once: nothing lost, nothing doubled."""

    def test_exactly_one_wins_each_round(self, store: BaseEventStore) -> None:
        """Eight threads with one exact expectation: one event, seven true refusals, each round."""
        barrier = threading.Barrier(_THREADS)
        refused: list[tuple[object, int]] = []

        def compete(name: int) -> list[int]:
            won = []
            for version in range(_ROUNDS):
                barrier.wait(PATIENCE)
                try:
                    won.append(store.append(happened("a", data=name), version).version)
                except WrongExpectedVersion as error:
                    refused.append((error.expected, error.actual))
            return won

        won = run_together(partial(compete, n) for n in range(_THREADS))
        assert sorted(chain(*won)) == list(range(1, _ROUNDS + 1))
        assert sorted(refused) == [(n, n + 1) for n in range(_ROUNDS) for _ in range(_THREADS - 1)]
        winners = {version: name for name, mine in enumerate(won) for version in mine}
        assert {r.version: r.event.data for r in store.read_stream("a")} == winners

    def test_exactly_one_creates_a_stream(self, store: BaseEventStore) -> None:
        """``NO_STREAM`` from eight threads: one stream of one event, for batches too."""

        def create(stream: str) -> int:
            try:
                batch = [happened(stream), happened(stream)]
                return len(store.append_many(batch, {stream: NO_STREAM}))
            except WrongExpectedVersion:
                return 0

        for number in range(5):
            assert sum(run_together([partial(create, f"s-{number}")] * _THREADS)) == 2
        assert positions(store.read_all()) == list(range(1, 11))

    def test_many_threads_on_many_streams(self, store: BaseEventStore) -> None:
        """Each thread's exact expectations hold on its own stream; positions stay contiguous."""

        def write(name: int) -> list[RecordedEvent]:
            return [store.append(happened(f"own-{name}", data=n), n) for n in range(25)]

        written = run_together(partial(write, n) for n in range(_THREADS))
        read = list(store.read_all())
        assert positions(read) == list(range(1, _THREADS * 25 + 1))
        for name, mine in enumerate(written):
            assert versions(mine) == list(range(1, 26))
            assert [r for r in read if r.stream_id == f"own-{name}"] == mine

    def test_many_threads_on_one_stream(self, store: BaseEventStore) -> None:
        """Without expectations nobody is refused, and no event is lost or doubled."""
        written = run_together([partial(fill, store, "a", 25)] * _THREADS)
        read = list(store.read_stream("a"))
        assert versions(read) == positions(read) == list(range(1, _THREADS * 25 + 1))
        assert sorted(chain(*written), key=lambda r: r.version) == read
        assert Counter(r.event.data for r in read) == Counter(list(range(1, 26)) * _THREADS)

    def test_batches_do_not_mingle(self, store: BaseEventStore) -> None:
        """The positions of a batch are contiguous, whoever else appends."""

        def write(name: int) -> None:
            for _ in range(5):
                recorded = store.append_many(happened(f"s-{n % 3}", data=name) for n in range(9))
                first = recorded[0].position
                assert positions(recorded) == list(range(first, first + 9))

        run_together(partial(write, n) for n in range(4))
        writers = [r.event.data for r in store.read_all()]
        assert all(len(set(writers[n : n + 9])) == 1 for n in range(0, 180, 9))
        assert len(writers) == 180

    def test_readers_see_whole_batches_in_order(self, store: BaseEventStore) -> None:
        """A reader beside writers sees contiguous positions and never half a batch."""
        done = threading.Event()

        def write() -> None:
            try:
                for n in range(20):
                    store.append_many(happened(f"s-{n}-{m % 2}") for m in range(10))
            finally:
                done.set()

        def read() -> None:
            while not done.is_set():
                seen = positions(store.read_all())
                assert seen == list(range(1, len(seen) + 1))
                assert len(seen) % 10 == 0
                assert len(list(store.streams())) % 2 == 0

        run_together([write, read, read])
        assert store.last_position() == 200
