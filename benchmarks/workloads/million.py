"""A million events in 20,000 streams: nothing may grow with the history but its files."""

from __future__ import annotations

import time
from dataclasses import astuple
from pathlib import Path
from typing import Any

import orjson

import gitstore
from benchmarks import tasks
from benchmarks.commands import in_turns, sc_events
from benchmarks.contest import participants
from benchmarks.disk import parts
from benchmarks.measure import paired_ratio, percentile
from benchmarks.memory import Watched, watch
from benchmarks.report import Outcome, at_most
from benchmarks.tasks.build import PER_STREAM, QUERIED, Size
from benchmarks.workloads.append import round_medians
from benchmarks.workloads.base import Context
from gitstore import DomainEvent

OURS, PEER = "gitstore", "eventsourcing"
_MEGABYTE = 1_000_000


FULL = Size(1_000_000, 20_000, 20)
QUICK = Size(20_000, 10_000, 10)


def run(context: Context) -> Outcome:
    """Build both stores in processes of their own, then ask."""
    size = QUICK if context.quick else FULL
    outcome = Outcome(raw={"events": size.events, "streams": size.events // PER_STREAM})
    ours, peer = (_built(outcome, context, size, name) for name in (OURS, PEER))
    store = ours / "events.git"
    _disk(outcome, size, store, peer)
    _list(outcome, context, store)
    _query(outcome, context, size, store)
    _full_read(outcome, context, size, store)
    _appends(outcome, context)
    return outcome


def _built(outcome: Outcome, context: Context, size: Size, name: str) -> Path:
    context.say(f"million: {size.events} events into {name}")
    place = context.fresh(name)
    watched = watch(tasks.command(tasks.BUILD, place, name, *astuple(size)))
    seconds = orjson.loads(watched.output)["seconds"]
    outcome.raw[f"build {name}"] = {"seconds": seconds, **_memory(watched)}
    outcome.show(f"{name}: batches of 5,000", size.events / seconds, "events/s")
    if name == OURS:
        _show_memory(outcome, "import", watched)
    return place


def _disk(outcome: Outcome, size: Size, store: Path, peer: Path) -> None:
    per_part = parts(store)
    theirs = parts(peer)["other"]
    outcome.raw["disk_bytes"] = {OURS: per_part, PEER: theirs}
    for name, used in per_part.items():
        outcome.show(f"disk: {name}", used / size.events, "B/event")
    outcome.show(f"disk: {PEER}", theirs / size.events, "B/event")
    ratio = sum(per_part.values()) / theirs
    outcome.show(f"disk: all of {OURS} / {PEER}", ratio, "×", at_most(3))


def _list(outcome: Outcome, context: Context, store: Path) -> None:
    context.say("million: sc-events list --last 10")
    small = context.fresh("ten") / "events.git"
    with gitstore.open_store(small) as ten:
        ten.append_many([DomainEvent("task-TEN", "TaskAdded") for _ in range(10)])
    large, little = "list --last 10", "list --last 10 of ten events"
    seconds = in_turns(
        {
            large: sc_events("list", "--last", 10, "--store", store),
            little: sc_events("list", "--last", 10, "--store", small),
        },
        4 if context.quick else 20,
    )
    outcome.raw["list"] = {"seconds": seconds}
    outcome.show(large, percentile(seconds[large], 0.5) * 1000, "ms", at_most(300))
    outcome.show(little, percentile(seconds[little], 0.5) * 1000, "ms")
    ratio = paired_ratio(seconds[large], seconds[little])
    outcome.show(f"time of {large} / of ten events", ratio, "×", at_most(1.2))


def _query(outcome: Outcome, context: Context, size: Size, store: Path) -> None:
    context.say("million: last day of one type")
    seconds = []
    for _ in range(5 if context.quick else 25):
        with gitstore.open_store(store, create=False) as opened:
            begun = time.perf_counter()
            hits = sum(1 for _ in opened.read_all(types=QUERIED, since=size.last_day))
            seconds.append(time.perf_counter() - begun)
    if hits != size.hits:
        outcome.notes.append(f"the query found {hits} events, not {size.hits}")
    outcome.raw["query"] = {"seconds": seconds, "hits": hits}
    name = f"last day of one type, {hits:,} hits"
    outcome.show(name, percentile(seconds, 0.5) * 1000, "ms", at_most(30))


def _full_read(outcome: Outcome, context: Context, size: Size, store: Path) -> None:
    context.say("million: reading everything")
    watched = watch(tasks.command(tasks.READ_STORE, store))
    answer = orjson.loads(watched.output)
    if answer["events"] != size.events:
        outcome.notes.append(f"the full read found {answer['events']} events")
    outcome.raw["full_read"] = {**answer, **_memory(watched)}
    outcome.show("full read", answer["events"] / answer["seconds"], "events/s")
    _show_memory(outcome, "full read", watched)


def _appends(outcome: Outcome, context: Context) -> None:
    """One append on the large store and on an empty one, in turns."""
    context.say("million: single appends")
    (context.directory / OURS).rename(context.directory / "large")
    rounds, seconds = (3, 0.1) if context.quick else (12, 0.5)
    with participants({"large": OURS, "empty": OURS}, context.directory) as (large, empty):
        for _ in range(rounds):
            large.turn(seconds)
            empty.turn(seconds)
    outcome.durability[OURS] = large.durability
    medians = {p.name: round_medians(p) for p in (large, empty)}
    outcome.raw["append"] = {"round_medians_s": medians}
    for name, values in medians.items():
        outcome.show(f"append, {name} store: median", percentile(values, 0.5) * 1e6, "µs")
    ratio = paired_ratio(medians["large"], medians["empty"])
    outcome.show("time of an append, large store / empty", ratio, "×", at_most(1.5))


def _memory(watched: Watched) -> dict[str, Any]:
    return {"peak_anonymous_bytes": watched.own, "with_children_bytes": watched.family}


def _show_memory(outcome: Outcome, what: str, watched: Watched) -> None:
    outcome.show(f"{what}: anonymous memory", watched.own / _MEGABYTE, "MB", at_most(150))
    outcome.show(f"{what}: with git's processes", watched.family / _MEGABYTE, "MB")
