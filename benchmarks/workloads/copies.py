"""``sc-events copy`` between any two stores on disk: events a second, and memory."""

from __future__ import annotations

import shutil
import time
from dataclasses import astuple
from itertools import product
from pathlib import Path

from benchmarks import tasks
from benchmarks.commands import sc_events
from benchmarks.memory import watch
from benchmarks.report import Outcome, at_least, at_most
from benchmarks.tasks.build import Size
from benchmarks.workloads.base import Context
from benchmarks.workloads.stores import STORES
from gitstore.backends.disk.locks import FileLock

_FULL, _QUICK = Size(1_000_000, 20_000, 20), Size(5_000, 2_500, 10)
_KINDS = ("git", "sqlite", "jsonl")
_MEGABYTE = 1_000_000


def run(context: Context) -> Outcome:
    """Write the sources, then copy each into each."""
    size = _QUICK if context.quick else _FULL
    outcome = Outcome(raw={"events": size.events})
    addresses = {}
    for kind in _KINDS:
        context.say(f"copies: {size.events} events into {kind}")
        place = context.fresh(kind)
        watch(tasks.command(tasks.BUILD, place, STORES[kind].name, *astuple(size)))
        addresses[kind] = STORES[kind].address(place)
    for source, target in product(_KINDS, _KINDS):
        context.say(f"copies: {source} to {target}")
        place = context.fresh(f"{source}-to-{target}")
        there = STORES[target].address(place)
        begun = time.perf_counter()
        watched = watch(sc_events("copy", addresses[source], there))
        seconds = time.perf_counter() - begun
        name = f"{source} → {target}"
        outcome.show(name, size.events / seconds, "events/s", at_least(15_000))
        outcome.show(f"{name}: memory", watched.own / _MEGABYTE, "MB", at_most(150))
        _remove(place)
    outcome.notes.append("whole commands, the proof at the end included")
    return outcome


def _remove(place: Path) -> None:
    """Once nobody works there: a command leaves a process behind that maintains a git store."""
    for local in place.rglob("gitstore/maintain.lock"):
        time.sleep(1)  # until it has begun
        lock = FileLock(local)
        with lock.held():
            shutil.rmtree(place)
        lock.close()
        return
    shutil.rmtree(place)
