"""The portable type index: what an event costs, and one day of one type with plain git."""

from __future__ import annotations

import subprocess
from dataclasses import astuple
from datetime import timedelta
from pathlib import Path

import orjson

from benchmarks import tasks
from benchmarks.commands import in_turns
from benchmarks.measure import percentile
from benchmarks.memory import watch
from benchmarks.report import Outcome, at_most
from benchmarks.tasks.build import QUERIED, Size
from benchmarks.workloads.base import Context
from benchmarks.workloads.million import FULL, OURS, QUICK

_MEGABYTE = 1_000_000


def run(context: Context) -> Outcome:
    """Index a large store's types from nothing, add some events, read a day."""
    size = QUICK if context.quick else FULL
    outcome = Outcome(raw={"events": size.events})
    context.say(f"types: {size.events} events into {OURS}")
    place = context.fresh(OURS)
    subprocess.run(
        tasks.command(tasks.BUILD, place, OURS, *astuple(size)),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    store = place / "events.git"
    context.say("types: the type index, from the first event on")
    watched = watch(tasks.command(tasks.INDEX_TYPES, "all", store))
    answer = orjson.loads(watched.output)
    outcome.raw |= {**answer, "peak_anonymous_bytes": watched.own}
    outcome.show("all at once", answer["rebuild"] / size.events * 1e6, "µs/event", at_most(20))
    outcome.show("check against the events", answer["check"] / size.events * 1e6, "µs/event")
    outcome.show("both: anonymous memory", watched.own / _MEGABYTE, "MB")
    shared = orjson.loads(watch(tasks.command(tasks.INDEX_TYPES, "shares", store)).output)
    outcome.raw["shares"] = shared
    each = sum(shared["shares"]) / len(shared["shares"]) / shared["events"]
    # The target is for a million events: of few, 1 % is too little to share an update's cost.
    target = None if context.quick else at_most(20)
    outcome.show("in shares of 1 %", each * 1e6, "µs/event", target)
    _day(outcome, context, size, store)
    return outcome


def _day(outcome: Outcome, context: Context, size: Size, store: Path) -> None:
    context.say("types: one day of one type with plain git")
    day = (size.last_day - timedelta(days=1)).date()
    key = f"notes/types:{QUERIED}/{day}"
    command = ("git", f"--git-dir={store}", "notes", "--ref=types", "show", key)
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds = in_turns({"day": command}, 5 if context.quick else 40)["day"]
    outcome.raw["day"] = {"seconds": seconds, "lines": shown.count("\n")}
    name = f"git notes show, {shown.count(chr(10)):,} events"
    outcome.show(name, percentile(seconds, 0.5) * 1000, "ms", at_most(50))
