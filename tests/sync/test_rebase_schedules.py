"""Real stores and a real hub do what the rules of a rebase say, over random schedules."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.store import GitEventStore
from gitstore.sync.pulling import PullReport, pull
from gitstore.sync.pushing import push
from tests.backends.git.witness import git
from tests.sync.peers import machine, stream_refs
from tests.sync.rebasing_model import History, World, fork_of, ids, tip_of
from tests.sync.servers import bare

STREAMS = ("task-1", "task-2")
machines = st.integers(0, 2)
several = st.lists(st.sampled_from(STREAMS), min_size=1, max_size=3)


class Schedules(RuleBasedStateMachine):
    """Three machines and a hub, beside a ``World`` for each stream."""

    @initialize(count=st.integers(2, 3))
    def begin(self, count: int) -> None:
        """Some machines that know the hub, and nothing else."""
        self.folder = Path(tempfile.mkdtemp(prefix="schedule-", dir=os.environ["HOME"]))
        self.hub = bare(self.folder / "hub.git")
        self.places = [self.folder / f"machine-{n}.git" for n in range(count)]
        self.stores = [machine(place, self.hub) for place in self.places]
        self.worlds = {stream: World(count) for stream in STREAMS}
        self.commits: dict[str, str] = {}
        """Stream and the model's commit → the real one."""

    def teardown(self) -> None:
        """Let all settle, and look at everything there is."""
        if not hasattr(self, "stores"):
            return
        try:
            self._settle()
            self._check_the_end()
        finally:
            for store in self.stores:
                store.close()
            shutil.rmtree(self.folder)

    @rule(here=machines, streams=several)
    def append(self, here: int, streams: list[str]) -> None:
        """Record events."""
        here %= len(self.stores)
        new = [DomainEvent(s, "Noted", {}, id=self.worlds[s].append(here) + s) for s in streams]
        self.stores[here].append_many(new)
        self._check(here)

    @rule(here=machines)
    def push(self, here: int) -> None:
        """Bring the hub what continues it."""
        here %= len(self.stores)
        push(self.stores[here], "hub")
        for world in self.worlds.values():
            world.push(here)

    @rule(here=machines)
    def fetch(self, here: int) -> None:
        """Pull from the hub."""
        here %= len(self.stores)
        self._pull(here, None, "hub")

    @rule(here=machines, there=machines)
    def pull(self, here: int, there: int) -> None:
        """Pull from another machine."""
        here, there = here % len(self.stores), there % len(self.stores)
        if here != there:
            self._pull(here, there, str(self.places[there]))

    @rule(here=machines, there=machines)
    def swap(self, here: int, there: int) -> None:
        """Two machines pull at once: the second gets what the first had before."""
        here, there = here % len(self.stores), there % len(self.stores)
        if here == there:
            return
        self.stores[here].flush()
        old = self.folder / "old.git"
        shutil.copytree(self.places[here], old)
        before = [world.machines[here] for world in self.worlds.values()]
        self._pull(here, there, str(self.places[there]))
        now = [world.machines[here] for world in self.worlds.values()]
        self._set_histories(here, before)
        self._pull(there, here, str(old))
        self._set_histories(here, now)
        shutil.rmtree(old)

    def _set_histories(self, here: int, histories: list[History]) -> None:
        for world, history in zip(self.worlds.values(), histories, strict=True):
            world.machines[here] = history

    def _pull(self, here: int, there: int | None, source: str) -> None:
        before = {stream: world.machines[here] for stream, world in self.worlds.items()}
        if there is not None:
            self.stores[there].flush()
        report = pull(self.stores[here], source, rebase=True)
        assert report.ok, report
        for stream, world in self.worlds.items():
            theirs = world.hub if there is None else world.machines[there]
            world.pull(here, there, tip=lambda h, stream=stream: self.commits[stream + tip_of(h)])
            self._check_report(report, stream, before[stream], theirs, world.machines[here])
        self._check(here)

    def _check_report(
        self, report: PullReport, stream: str, ours: History, theirs: History, now: History
    ) -> None:
        """The report names what became of a stream."""
        fork = fork_of(ours, theirs)
        if fork < min(len(ours), len(theirs)):
            said = report.adoption.rebased[stream]
            assert (said.fork, said.theirs) == (fork, len(theirs) - fork)
            assert (said.before, said.after, said.kept) == (len(ours), len(now), now == ours)
            if now != ours:
                assert said.replayed + said.dropped == len(ours) - fork
                assert said.replayed == len(now) - len(theirs)
        else:
            assert stream not in report.adoption.rebased
            moved = {stream: (len(ours), len(now))} if len(now) > len(ours) else {}
            assert moved.items() <= report.adoption.adopted.items()

    def _check(self, here: int) -> None:
        """The store has what the model says, and equal histories have equal commits."""
        for stream, world in self.worlds.items():
            history = world.machines[here]
            found = list(self.stores[here].read_stream(stream))
            assert [e.version for e in found] == list(range(1, len(found) + 1))
            assert [e.event.id for e in found] == [event + stream for event in ids(history)]
            for event, one in zip(found, history, strict=True):
                key = stream + one.commit
                assert self.commits.setdefault(key, event.commit or "") == event.commit
        assert len({*self.commits.values()}) == len(self.commits), "one commit for two histories"

    def _settle(self) -> None:
        for _ in range(2):
            for here in range(len(self.stores)):
                self.fetch(here)
                self.push(here)

    def _check_the_end(self) -> None:
        refs = stream_refs(self.hub)
        for here, (store, place) in enumerate(zip(self.stores, self.places, strict=True)):
            assert stream_refs(place) == refs
            self._check(here)
            check_positions(store)
            report = store.verify()
            assert report.ok, report.findings
        for world in self.worlds.values():
            assert {*ids(world.hub)} == {*world.before}
        assert git(self.hub, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


def check_positions(store: GitEventStore) -> None:
    """Every position is there, and every superseded event is live, at the end of its way."""
    every = list(store.read_all(superseded=True))
    assert [e.position for e in every] == list(range(1, len(every) + 1))
    live = list(store.read_all())
    assert [e for e in every if e.superseded_by is None] == live
    counted = Counter(e.event.id for e in live)
    assert set(counted.values()) <= {1}
    assert counted.keys() == {e.event.id for e in every if e.replaces is None}
    check_ways(every)


def check_ways(every: list[RecordedEvent]) -> None:
    """``replaces`` and ``superseded_by`` name each other, and the same event."""
    at = {e.position: e for e in every}
    for event in every:
        if event.superseded_by is not None:
            later = at[event.superseded_by]
            assert (later.event.id, later.replaces) == (event.event.id, event.position)
            assert later.stream_id == event.stream_id
        if event.replaces is not None:
            assert at[event.replaces].superseded_by == event.position


def run(examples: int, steps: int) -> None:
    """Run so many schedules."""
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Schedules,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, suppress_health_check=quiet
        ),
    )


def test_machines_do_what_the_rules_say() -> None:
    """Over random schedules each step comes to what the model says, and all agree in the end."""
    run(examples=5, steps=10)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_machines_do_what_the_rules_say_for_long() -> None:
    """The same, longer, and many times."""
    run(examples=200, steps=40)
