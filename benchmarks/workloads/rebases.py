"""Diverged streams: rebasing many of them, beside appending the same events; finding a fork."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks.commands import sc_events
from benchmarks.events import START
from benchmarks.measure import paired_ratio, percentile
from benchmarks.report import Outcome, Target, at_most
from benchmarks.workloads.base import Context
from gitstore import DomainEvent
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.relating import Relation, relate
from gitstore.backends.git.store import GitEventStore
from gitstore.sync import pull

_BATCH = 5_000
_COMMON, _OWN = 10, 10
"""Events of each stream before the fork, and of ours after it; theirs has one."""


def run(context: Context) -> Outcome:
    """Each round from copies of the same two stores; then two streams that are very long."""
    outcome = Outcome()
    streams, rounds = (50, 2) if context.quick else (1_000, 5)
    context.say(f"rebases: {streams} diverged streams, {rounds} rounds")
    trial = _Trial(context.directory, streams)
    seconds: dict[str, list[float]] = {name: [] for name in trial.steps}
    for number in range(rounds + 1):
        for name, step in trial.steps.items():
            spent = trial.timed(step)
            if number:
                seconds[name].append(spent)
    _show_rebases(outcome, seconds, streams * _OWN, None if context.quick else at_most(2))
    depth = 1_000 if context.quick else 100_000
    for where, fork in (("near the tips", depth - 1), ("in the middle", depth // 2)):
        context.say(f"rebases: a fork {where} of {depth} events")
        _show_fork(outcome, context, where, depth, fork)
    return outcome


def _show_rebases(
    outcome: Outcome, seconds: dict[str, list[float]], events: int, target: Target | None
) -> None:
    outcome.raw["rebases"] = {"events": events, "seconds": seconds}
    for name, times in seconds.items():
        outcome.show(name, percentile(times, 0.5), "s")
    names = list(seconds)
    for rebase in names[:2]:
        for append in names[2:]:
            ratio = paired_ratio(seconds[rebase], seconds[append])
            outcome.show(f"{rebase} / {append}", ratio, "×", target)
    outcome.notes.append(f"{events:,} events of ours, each until it is in git; opening is timed")


class _Trial:
    """Two stores of the same streams that went on differently, and what is done to copies."""

    def __init__(self, directory: Path, streams: int) -> None:
        self._names = [f"task-{number:04}" for number in range(streams)]
        self._ours, self._theirs = directory / "ours.git", directory / "theirs.git"
        self._copy = directory / "copy.git"
        with GitEventStore.open(self._ours) as store:
            store.append_many(self._events("common", _COMMON))
        shutil.copytree(self._ours, self._theirs)
        with GitEventStore.open(self._ours) as store:
            store.append_many(self._events("ours", _OWN))
        with GitEventStore.open(self._theirs) as store:
            store.append_many(self._events("theirs", 1))

    @property
    def steps(self) -> dict[str, tuple[Path, Callable[[], None]]]:
        """What is timed, by name, each with the store whose copy it is done to."""
        return {
            "rebase": (self._ours, self._rebase),
            "rebase, whole command": (self._ours, self._command),
            "append one by one": (self._theirs, self._append),
            f"append_many of {_OWN}": (self._theirs, self._append_many),
        }

    def timed(self, step: tuple[Path, Callable[[], None]]) -> float:
        """Seconds of a step in a fresh copy."""
        source, act = step
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(source, self._copy)
        begun = time.perf_counter()
        act()
        return time.perf_counter() - begun

    def _rebase(self) -> None:
        with GitEventStore.open(self._copy) as store:
            report = pull(store, str(self._theirs), rebase=True)
            assert len(report.adoption.rebased) == len(self._names), "not all were rebased"

    def _command(self) -> None:
        command = sc_events("pull", self._theirs, "--rebase", "--store", self._copy)
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    def _append(self) -> None:
        with GitEventStore.open(self._copy) as store:
            for event in self._events("ours", _OWN):
                store.append(event)

    def _append_many(self) -> None:
        with GitEventStore.open(self._copy) as store:
            events = self._events("ours", _OWN)
            while batch := [event for _, event in zip(range(_OWN), events, strict=False)]:
                store.append_many(batch)

    def _events(self, side: str, count: int) -> Iterator[DomainEvent]:
        for name in self._names:
            yield from _tail(name, side, 0, count)


def _tail(stream: str, side: str, first: int, count: int) -> Iterator[DomainEvent]:
    """Events of one stream, the same at each call."""
    for number in range(first, first + count):
        yield DomainEvent(
            stream,
            "SectionNoted",
            {"section": "log", "text": f"what {side} wrote as number {number} of it"},
            {"userId": side},
            f"{stream}-{side}-{number}",
            START + timedelta(seconds=number),
        )


def _show_fork(outcome: Outcome, context: Context, where: str, depth: int, fork: int) -> None:
    ours, theirs = (context.directory / f"{side}-{fork}.git" for side in ("deep", "other"))
    with GitEventStore.open(ours) as store:
        _fill(store, "common", 0, fork)
    shutil.copytree(ours, theirs)
    with GitEventStore.open(theirs) as store:
        _fill(store, "theirs", fork, depth)
        tip = next(store.read_stream("task-deep", backwards=True, limit=1)).commit
        store.flush()
    objects = Objects(StoreLayout(theirs))
    milliseconds = []
    with GitEventStore.open(ours) as store:
        _fill(store, "ours", fork, depth)
        for _ in range(6):
            begun = time.perf_counter()
            found = store.examine(lambda parts: relate(parts, "task-deep", tip, objects.read))
            milliseconds.append((time.perf_counter() - begun) * 1_000)
            assert found == Relation.of(depth, depth, fork)
    objects.close()
    outcome.raw[f"fork {where}"] = {"depth": depth, "milliseconds": milliseconds}
    outcome.show(f"fork {where}", percentile(milliseconds[1:], 0.5), "ms", at_most(50))


def _fill(store: GitEventStore, side: str, begin: int, end: int) -> None:
    for first in range(begin, end, _BATCH):
        store.append_many(_tail("task-deep", side, first, min(_BATCH, end - first)))
