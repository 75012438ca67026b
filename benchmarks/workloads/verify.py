"""``verify`` of a sound store: every event held against git."""

from __future__ import annotations

from dataclasses import astuple

import orjson

from benchmarks import tasks
from benchmarks.measure import percentile
from benchmarks.memory import watch
from benchmarks.report import Outcome, at_least, at_most
from benchmarks.tasks.build import PER_STREAM, Size
from benchmarks.workloads.base import Context
from benchmarks.workloads.million import FULL, OURS

QUICK = Size(100_000, 10_000, 10)
_MEGABYTE = 1_000_000


def run(context: Context) -> Outcome:
    """Build a store in a process of its own, then verify it in others."""
    size, rounds = (QUICK, 1) if context.quick else (FULL, 3)
    context.say(f"verify: writing {size.events} events")
    place = context.fresh(OURS)
    watch(tasks.command(tasks.BUILD, place, OURS, *astuple(size)))
    runs = []
    for number in range(rounds):
        context.say(f"verify: round {number + 1} of {rounds}")
        watched = watch(tasks.command(tasks.VERIFY, place / "events.git"))
        answer = orjson.loads(watched.output)
        runs.append({**answer, "own": watched.own, "family": watched.family})
    outcome = Outcome(
        raw={"events": size.events, "streams": size.events // PER_STREAM, "runs": runs}
    )
    if any(run["events"] != size.events or run["findings"] for run in runs):
        outcome.notes.append("verify did not find the store sound")
    seconds = percentile([run["seconds"] for run in runs], 0.5)
    outcome.show("verify", size.events / seconds, "events/s", at_least(30_000))
    cpu = percentile([run["cpu"] for run in runs], 0.5)
    outcome.show("verify, by processor time", size.events / cpu, "events/s")
    own, family = (max(run[name] for run in runs) for name in ("own", "family"))
    outcome.show("verify: anonymous memory", own / _MEGABYTE, "MB", at_most(150))
    outcome.show("verify: with git's processes", family / _MEGABYTE, "MB")
    outcome.notes.append("git verifies the packs in a process beside ours, on another core")
    return outcome
