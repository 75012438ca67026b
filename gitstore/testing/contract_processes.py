"""The contract between processes: what one records the others have, and a kill takes nothing back.

With real processes, where the backend declares ``multi_process``; durability over a kill where it
declares ``durable`` too. A power cut is for the backend's own tests: no suite can pull the plug.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import DuplicateEventId, WrongExpectedVersion
from gitstore.core.event import RecordedEvent
from gitstore.testing.elsewhere import Elsewhere, compete, told_of
from gitstore.testing.support import (
    Follower,
    MakeStore,
    fill,
    happened,
    named,
    need,
    positions,
    versions,
)

_BATCH = 7


class ProcessContract:
    """One history, whoever writes it."""

    @pytest.fixture
    def opening(self, make_store: MakeStore) -> str:
        """Python that binds ``store`` to the same place in another process.

        Give another one for a store that ``gitstore.open_store`` does not know.
        """
        with make_store() as store:
            need(store.capabilities.multi_process, "for several processes")
            where = store.status().where
        return f"import gitstore; store = gitstore.open_store({where!r})"

    @pytest.fixture
    def elsewhere(self, opening: str) -> Iterator[Elsewhere]:
        """Another process that has the place of ``store`` open."""
        with Elsewhere(opening) as process:
            assert process.told() == "ready"
            yield process

    def test_processes_see_each_others_events_at_once(
        self, store: BaseEventStore, elsewhere: Elsewhere
    ) -> None:
        """An event is there for all readers when its append has returned; one row of places."""
        told = []
        for n in range(3):
            told.append(told_of(store.append(happened("a", id=f"h{n}"))))
            assert elsewhere.ask("read") == told
            told.append(elsewhere.ask("append", "a", f"t{n}", 2 * n + 1))
            assert list(map(told_of, store.read_all())) == told
            assert store.stream_version("a") == store.last_position() == 2 * n + 2
        assert [each[0] for each in told] == [each[2] for each in told] == list(range(1, 7))

    def test_ids_and_versions_hold_between_processes(
        self, store: BaseEventStore, elsewhere: Elsewhere
    ) -> None:
        """Retries, taken ids and wrong expectations are known from other processes' appends."""
        theirs = elsewhere.ask("append", "a", "x", 0)
        assert told_of(store.append(happened("a", id="x"), 0)) == theirs
        with pytest.raises(DuplicateEventId):
            store.append(happened("b", id="x"))
        with pytest.raises(WrongExpectedVersion) as caught:
            store.append(happened("a"), 0)
        assert caught.value.actual == 1
        ours = store.append(named("b", "y"))
        assert elsewhere.ask("append", "a", "y", None) == "DuplicateEventId"
        assert elsewhere.ask("append", "b", "z", 0) == "WrongExpectedVersion"
        assert list(map(told_of, store.read_all())) == [theirs, told_of(ours)]

    def test_exactly_one_process_wins_each_round(
        self, store: BaseEventStore, opening: str, elsewhere: Elsewhere
    ) -> None:
        """Three processes with the same exact expectations: one event a version."""
        rounds = 30
        with Elsewhere(opening) as third:
            assert third.told() == "ready"
            for process in (elsewhere, third):
                process.begin("compete", "a", rounds)
            mine = compete(store, "a", rounds)
            won = [*mine, *elsewhere.told(), *third.told()]
        assert sorted(won) == list(range(1, rounds + 1))
        assert versions(store.read_stream("a")) == positions(store.read_all()) == sorted(won)

    def test_followers_hear_every_process_once_and_in_order(
        self, store: BaseEventStore, opening: str, elsewhere: Elsewhere
    ) -> None:
        """Here and elsewhere, beside writers in two processes: every position, none twice."""
        each, seen = 40, list[RecordedEvent]()
        store.subscribe(seen.append)
        before = store.append(happened("a"))
        here = Follower(lambda: store.follow(before.position))
        with Elsewhere(opening) as there:
            assert there.told() == "ready"
            there.begin("follow", before.position, 2 * each)
            elsewhere.begin("fill", "theirs", each)
            ours = fill(store, "ours", each)
            theirs = elsewhere.told()
            followed = here.take(2 * each)
            assert [there.told() for _ in followed] == list(map(told_of, followed))
        assert positions(followed) == list(range(2, 2 * each + 2))
        assert sorted(map(told_of, followed)) == sorted([*map(told_of, ours), *theirs])
        assert seen == [before, *ours], "subscribe is for this store object's appends alone"
        store.close()
        assert here.rest() == []

    def test_a_killed_writer_takes_nothing_back(
        self, store: BaseEventStore, elsewhere: Elsewhere
    ) -> None:
        """What was returned is there; every batch is whole or not there; the store goes on."""
        need(store.capabilities.durable, "durable")
        elsewhere.begin("batches", _BATCH)
        told = [elsewhere.told() for _ in range(5)] + elsewhere.kill()
        there = list(map(told_of, store.read_all()))
        assert there[: _BATCH * len(told)] == list(itertools.chain(*told))
        assert len(there) % _BATCH == 0
        assert len(there) <= _BATCH * (len(told) + 1)
        recorded = store.append(happened("a"))
        assert recorded.position == len(there) + 1
        report = store.verify()
        assert report.ok, report.findings
