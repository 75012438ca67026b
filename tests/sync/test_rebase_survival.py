"""Machines that append, push and rebase while they are killed: nothing is lost, and all agree."""

from __future__ import annotations

import json
import random
import select
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitstore.core.event import RecordedEvent
from tests.backends.git.witness import git, reopen
from tests.sync import servers, surviving
from tests.sync.peers import machine, stream_refs
from tests.sync.test_rebase_schedules import check_positions

Process = subprocess.Popen[str]
_EVER = 2**62


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A served bare repository, and its URL."""
    base = tmp_path / "served"
    servers.bare(base / "hub.git")
    with servers.daemon(base) as url:
        yield base / "hub.git", f"{url}/hub.git"


class Machine:
    """A store whose processes are killed, and what they promised."""

    def __init__(self, folder: Path, url: str, chance: random.Random) -> None:
        self.store = folder / "events.git"
        machine(self.store, url).close()
        self.notes, self.projection = folder / "notes", folder / "projection"
        self.acknowledged: list[str] = []
        self._chance = chance
        self._consumers: dict[str, Process] = {}

    def begin_round(self) -> list[Process]:
        """Start an exchange, a writer, or both."""
        how = self._chance.choice(("push", "pull", "pull", "nothing"))
        started = []
        if how != "nothing":
            started.append(surviving.start("exchange", self.store, how, "hub"))
        if how == "nothing" or self._chance.random() < 0.6:
            seed = self._chance.randrange(10**9)
            started.append(surviving.start("write", self.store, seed, 30))
        return started

    def listen(self, writer: Process) -> None:
        """Take in what a writer that has ended had acknowledged."""
        said, errors = writer.communicate(timeout=120)
        assert writer.returncode in {0, -9}, errors
        lines = [json.loads(line) for line in said.splitlines()]
        self.acknowledged += [line for line in lines if line not in ("ready", True, False)]

    def consume(self, until: int = _EVER) -> None:
        """Start the consumers that do not run."""
        for what, file in (("count", self.notes), ("project", self.projection)):
            if what not in self._consumers:
                self._consumers[what] = surviving.start(what, self.store, file, until)

    def kill_a_consumer(self) -> None:
        """Kill one of them."""
        self._end(self._chance.choice(list(self._consumers)))

    def end_consumers(self) -> None:
        """Kill all of them."""
        for what in list(self._consumers):
            self._end(what)

    def _end(self, what: str) -> None:
        consumer = self._consumers.pop(what)
        assert consumer.poll() is None, (what, consumer.communicate())
        consumer.kill()
        consumer.communicate()

    def await_consumers(self) -> None:
        """Let them come to the end of what there is."""
        with reopen(self.store) as store:
            last = max((e.position for e in store.read_all(backwards=True, limit=1)), default=0)
        self.consume(last)
        for what, consumer in self._consumers.items():
            _, errors = consumer.communicate(timeout=120)
            assert consumer.returncode == 0, (what, errors)
        self._consumers.clear()


def _let_live(machines: list[Machine], rounds: int, chance: random.Random) -> None:
    """Rounds in which every machine does something, and what it does may be killed."""
    for _ in range(rounds):
        started = [(one, process) for one in machines for process in one.begin_round()]
        for one in machines:
            one.consume()
        chance.shuffle(started)
        for _, process in started[: len(started) // 2 + 1]:
            _kill_in_the_middle(process, chance)
        if chance.random() < 0.3:
            chance.choice(machines).kill_a_consumer()
        for one, process in started:
            one.listen(process)


def _kill_in_the_middle(process: Process, chance: random.Random) -> None:
    """Kill what has begun its work, after a while in which it may or may not have ended."""
    assert process.stdout is not None
    select.select([process.stdout], [], [], 60)  # what it says comes to who listens afterwards
    time.sleep(chance.uniform(0, 0.4))
    process.kill()


def _settle(machines: list[Machine], hub: Path) -> None:
    """Without kills, push and pull until all are equal; that takes two rounds.

    A git that outlived its killed parent may still be at it in the first.
    """
    for _ in range(4):
        for one in machines:
            for how in ("pull", "push"):
                done = surviving.start("exchange", one.store, how, "hub")
                said, errors = done.communicate(timeout=120)
                assert done.returncode == 0, errors
                assert said.endswith("true\n") or how == "push", said
        refs = stream_refs(hub)
        if all(stream_refs(one.store) == refs for one in machines):
            return
    pytest.fail("the machines do not agree")


def _check(one: Machine, everybodys: list[str], refs: dict[str, str]) -> list[RecordedEvent]:
    """A machine has it all; gives its events."""
    assert stream_refs(one.store) == refs
    with reopen(one.store) as store:
        report = store.verify()
        assert report.ok, report.findings
        check_positions(store)
        events = list(store.read_all())
        versions: Counter[str] = Counter()
        for stream in store.streams():
            for event in store.read_stream(stream):
                versions[stream] += 1
                assert event.version == versions[stream]
    ids = [event.event.id for event in events]
    assert len(ids) == len({*ids}) == versions.total()
    lost = {*everybodys} - {*ids}
    assert not lost, f"{len(lost)} acknowledged events are lost"
    assert git(one.store, "fsck", "--strict", "--no-dangling", "--no-progress") == ""
    assert Counter(surviving.counted(one.notes)) == Counter(ids)
    assert surviving.projected(one.projection) == surviving.fold(events)
    return events


def _survives(tmp_path: Path, hub: tuple[Path, str], machines: int, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    served, url = hub
    folders = [tmp_path / f"machine-{n}" for n in range(machines)]
    for folder in folders:
        folder.mkdir()
    all_of_them = [Machine(folder, url, chance) for folder in folders]
    try:
        _let_live(all_of_them, rounds, chance)
        for one in all_of_them:
            one.end_consumers()
        _settle(all_of_them, served)
        for one in all_of_them:
            one.await_consumers()
    finally:
        for one in all_of_them:
            one.end_consumers()
    everybodys = [event for one in all_of_them for event in one.acknowledged]
    assert len(everybodys) == len({*everybodys})
    found = [_check(one, everybodys, stream_refs(served)) for one in all_of_them]
    assert all({e.commit for e in events} == {e.commit for e in found[0]} for events in found)
    assert git(served, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


@pytest.mark.parametrize("machines", [2, 3])
def test_nothing_is_lost_among_killed_machines(
    tmp_path: Path, hub: tuple[Path, str], machines: int
) -> None:
    """Kill -9 at random moments of appends, pushes, rebases and consumers; all agree at last."""
    _survives(tmp_path, hub, machines, rounds=3, seed=machines)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("machines", [2, 3])
def test_nothing_is_lost_in_hundreds_of_rounds(
    tmp_path: Path, hub: tuple[Path, str], machines: int, seed: int
) -> None:
    """The same, for hours of a machine's life."""
    _survives(tmp_path, hub, machines, rounds=200, seed=seed)
