"""Many machines: push, pull, clone and compare, each beside plain git on the same refs."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import gitstore
from benchmarks.commands import sc_events
from benchmarks.daemon import served
from benchmarks.events import START, Plan, growing, history, take
from benchmarks.measure import percentile
from benchmarks.report import Outcome, Target, at_least, at_most
from benchmarks.workloads.base import Context
from gitstore import DomainEvent

_BATCH = 5_000
_ALLOWANCE = 0.4
"""Seconds that are ours to start and to look, whatever the size."""
_REFS = ("refs/heads/main", "refs/streams/*:refs/streams/*", "refs/notes/types",
         "refs/feed:refs/feeds/plain")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is, and how often each step is measured."""

    streams: int
    per_stream: int
    changed: int
    compared: int
    different: int
    rounds: int

    @property
    def events(self) -> int:
        """In the store that is pushed first."""
        return self.streams * self.per_stream


FULL = Size(10_000, 10, 1_000, 100_000, 100, 5)
QUICK = Size(100, 5, 10, 300, 5, 2)


@dataclass(slots=True)
class Pair:
    """One step: our seconds, and plain git's, of the same rounds."""

    ours: list[float] = field(default_factory=list)
    git: list[float] = field(default_factory=list)


def run(context: Context) -> Outcome:
    """A laptop and a desktop with one remote, and a remote of plain git's beside it."""
    size = QUICK if context.quick else FULL
    outcome = Outcome(raw={"streams": size.streams, "events": size.events})
    trial = _Trial(context, size)
    trial.fill()
    allowed = at_most(1.5)
    for name, pair in (
        ("first push", trial.first_push()),
        ("push of one changed stream", trial.push_one()),
        ("pull of nothing", trial.pull_nothing()),
        (f"pull of {size.changed:,} changed streams", trial.pull_changed()),
    ):
        _show(outcome, name, pair)
        over = (percentile(pair.ours, 0.5) - _ALLOWANCE) / percentile(pair.git, 0.5)
        outcome.show(f"{name}: (ours - {_ALLOWANCE} s) / git", max(over, 1e-3), "×", allowed)
    with served(context.directory) as url:
        for place, remote in (("by path", str(trial.remote)), ("by git daemon", f"{url}ours.git")):
            pair = trial.clone(remote)
            _show(outcome, f"clone {place}", pair)
            target = None if context.quick else at_least(25_000)
            events = trial.events / percentile(pair.ours, 0.5)
            outcome.show(f"clone {place}, index and all", events, "events/s", target)
    _compare(outcome, context, size)
    return outcome


def _show(outcome: Outcome, name: str, pair: Pair, target: Target | None = None) -> None:
    ours, git = (percentile(seconds, 0.5) for seconds in (pair.ours, pair.git))
    outcome.raw[name] = {"ours_s": pair.ours, "git_s": pair.git}
    outcome.show(name, ours, "s")
    outcome.show(f"{name}, plain git", git, "s")
    outcome.show(f"{name}: ours / git", ours / git, "×", target)


class _Trial:
    def __init__(self, context: Context, size: Size) -> None:
        self._context = context
        self._size = size
        self._at = context.directory
        self.laptop, self.desktop = self._at / "laptop.git", self._at / "desktop.git"
        self.remote, self._plain = self._at / "ours.git", self._at / "plain.git"
        self._mirror = self._at / "mirror.git"
        self.events = size.events

    def fill(self) -> None:
        """Record the laptop's events."""
        self._context.say(f"machines: {self._size.events} events, {self._size.streams} streams")
        events = history(Plan(growing(self._size.per_stream), timedelta(seconds=30)))
        with gitstore.open_store(self.laptop) as store:
            for left in range(self._size.events, 0, -_BATCH):
                store.append_many(take(events, min(_BATCH, left)))
        self._names = _streams(self.laptop)

    def first_push(self) -> Pair:
        """To an empty repository, again and again; the last ones stay."""
        pair = Pair()
        for number in range(self._size.rounds):
            self._context.say(f"machines: first push, round {number + 1}")
            for remote in (self.remote, self._plain):
                shutil.rmtree(remote, ignore_errors=True)
                _git("init", "--quiet", "--bare", str(remote))
            if number:
                _ours(self.laptop, "remote", "remove", "origin")
            _ours(self.laptop, "remote", "add", "origin", self.remote)
            pair.git.append(self._plain_push())
            pair.ours.append(_ours(self.laptop, "push", "origin"))
        return pair

    def push_one(self) -> Pair:
        """One event more in one stream."""
        return self._rounds(
            lambda number: self._change(self._names[number : number + 1], f"one-{number}"),
            lambda: _ours(self.laptop, "push", "origin"),
            self._plain_push,
        )

    def pull_nothing(self) -> Pair:
        """A desktop that has all, and a mirror of plain git's that has all."""
        _ours(self.laptop, "push", "origin")
        _ours(None, "clone", self.remote, self.desktop)
        _git("clone", "--quiet", "--mirror", str(self.remote), str(self._mirror))
        return self._rounds(lambda _: None, self._pull, self._fetch)

    def pull_changed(self) -> Pair:
        """One event more in each of many streams, pushed before."""

        def change(number: int) -> None:
            self._change(self._names[: self._size.changed], f"many-{number}")
            _ours(self.laptop, "push", "origin")

        return self._rounds(change, self._pull, self._fetch)

    def clone(self, url: str) -> Pair:
        """A new machine, and a new mirror."""
        self._context.say(f"machines: clone of {url}")
        new, mirror = self._at / "new.git", self._at / "new-mirror.git"

        def clear(_: int) -> None:
            for path in (new, mirror):
                shutil.rmtree(path, ignore_errors=True)

        pair = self._rounds(
            clear,
            lambda: _ours(None, "clone", url, new),
            lambda: _git("clone", "--quiet", "--mirror", url, str(mirror)),
        )
        clear(0)
        return pair

    def _rounds(
        self,
        prepare: Callable[[int], None],
        ours: Callable[[], float],
        git: Callable[[], float],
    ) -> Pair:
        """Each in turn, ours first in every other round; the first round is not counted."""
        pair = Pair()
        for number in range(self._size.rounds + 1):
            prepare(number)
            both = [(ours, pair.ours), (git, pair.git)]
            for act, seconds in both if number % 2 else both[::-1]:
                spent = act()
                if number:
                    seconds.append(spent)
        return pair

    def _change(self, streams: Sequence[str], mark: str) -> None:
        with gitstore.open_store(self.laptop) as store:
            store.append_many(
                DomainEvent(stream, "TaskMarked", {"to": mark}, timestamp=START)
                for stream in streams
            )
        self.events += len(streams)

    def _plain_push(self) -> float:
        return _git(f"--git-dir={self.laptop}", "push", "--quiet", str(self._plain), *_REFS)

    def _pull(self) -> float:
        return _ours(self.desktop, "pull", "origin")

    def _fetch(self) -> float:
        return _git(f"--git-dir={self._mirror}", "fetch", "--quiet", "origin")


def _compare(outcome: Outcome, context: Context, size: Size) -> None:
    context.say(f"machines: two stores of {size.compared} streams")
    one, other = context.directory / "one.git", context.directory / "other.git"
    events = history(Plan(growing(1), timedelta(seconds=1)))
    with gitstore.open_store(one) as store:
        for left in range(size.compared, 0, -_BATCH):
            store.append_many(take(events, min(_BATCH, left)))
    shutil.copytree(one, other)
    with gitstore.open_store(other) as store:
        store.append_many(
            DomainEvent(stream, "TaskMarked", timestamp=START)
            for stream in _streams(one)[: size.different]
        )
    pair = Pair()
    for number in range(size.rounds + 1):
        seconds = _ours(one, "compare", other, "--only-different", ends=(3,))
        plain = sum(_git(f"--git-dir={path}", "for-each-ref") for path in (one, other))
        if number:
            pair.ours.append(seconds)
            pair.git.append(plain)
    name = f"compare, {size.different:,} of {size.compared:,} streams differ"
    _show(outcome, name, pair, None if context.quick else at_most(3))


def _streams(store: Path) -> list[str]:
    with gitstore.open_store(store) as opened:
        return list(opened.streams())


def _ours(store: Path | None, *arguments: object, ends: Collection[int] = (0,)) -> float:
    """Seconds of one of our commands, as a user types it."""
    place = () if store is None else ("--store", store)
    return _timed(sc_events(*arguments, *place), ends)


def _git(*arguments: str) -> float:
    """Seconds of a command of plain git."""
    return _timed(("git", *arguments), (0,))


def _timed(command: Sequence[str], ends: Collection[int]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode not in ends:
        said = done.stderr.decode(errors="replace")
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return seconds
