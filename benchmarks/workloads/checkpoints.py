"""Checkpoints: the list of all tips, the first one, one after few changes, and held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import gitstore
from benchmarks.events import START, Plan, growing, history, take
from benchmarks.measure import percentile
from benchmarks.report import Outcome, at_most
from benchmarks.workloads.base import Context
from gitstore import DomainEvent
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.layout import CHECKPOINTS
from gitstore.backends.git.store import GitEventStore
from gitstore.sync.checkpoints import check_against

_BATCH = 5_000
_CHANGED = 100


def run(context: Context) -> Outcome:
    """One event in each of many streams, then a hundred more, and so on; in this process."""
    streams, rounds = (500, 2) if context.quick else (100_000, 5)
    outcome = Outcome(raw={"streams": streams, "changed": _CHANGED})
    place = context.directory / "events.git"
    context.say(f"checkpoints: {streams} streams")
    events = history(Plan(growing(1), timedelta(seconds=1)))
    with gitstore.open_store(place) as store:
        assert isinstance(store, GitEventStore)
        for left in range(streams, 0, -_BATCH):
            store.append_many(take(events, min(_BATCH, left)))
        store.flush()
        first = [_first(place, store) for _ in range(rounds)]
        after = [_after_changes(store, number) for number in range(rounds)]
        against = [_timed(lambda: check_against(store, "laptop")) for _ in range(rounds)]
    for name, seconds, most in (
        (f"of {streams:,} streams", first, 2_000),
        (f"of {_CHANGED} changes after it", after, 200),
        ("the store held against it", against, None),
    ):
        target = None if context.quick or most is None else at_most(most)
        outcome.raw[name] = seconds
        outcome.show(name, percentile(seconds, 0.5) * 1_000, "ms", target)
    return outcome


def _first(place: Path, store: GitEventStore) -> float:
    """Without one before it."""
    Git(place).run("update-ref", "-d", f"{CHECKPOINTS}laptop")
    return _timed(lambda: store.exchange.checkpoint("laptop", signed=False))


def _after_changes(store: GitEventStore, number: int) -> float:
    """After one event more in each of a hundred streams, which are in git."""
    names = list(store.streams())[number * _CHANGED : (number + 1) * _CHANGED]
    store.append_many(DomainEvent(name, "TaskMarked", timestamp=START) for name in names)
    store.flush()
    return _timed(lambda: store.exchange.checkpoint("laptop", signed=False))


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
