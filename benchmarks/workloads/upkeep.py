"""A store that runs for long: what many small flushes leave, and what maintenance makes of it."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import astuple
from pathlib import Path

import gitstore
from benchmarks import tasks
from benchmarks.commands import sc_events
from benchmarks.contest import participants
from benchmarks.disk import parts
from benchmarks.events import Plan, growing, history, take
from benchmarks.measure import paired_ratio, percentile
from benchmarks.report import Outcome, at_most
from benchmarks.tasks.build import Size
from benchmarks.workloads.append import round_medians
from benchmarks.workloads.base import Context
from gitstore.backends.git.store import GitEventStore

OURS = "gitstore"
_GIT_PARTS = ("packs", "pack indexes", "loose objects", "packed-refs", "loose refs")
_INDEX_BYTES = 150
"""What an event may take in index.db."""


def run(context: Context) -> Outcome:
    """Wear a store out by flushes and by processes, then measure the disk."""
    outcome = Outcome()
    _flushes(outcome, context, 300 if context.quick else 20_000)
    _commands(outcome, context, 20 if context.quick else 2_000)
    _disk(outcome, context, Size(*((2_000, 1_000, 10) if context.quick else (100_000, 2_000, 20))))
    return outcome


def _flushes(outcome: Outcome, context: Context, appends: int) -> None:
    context.say(f"upkeep: {appends} appends, a flush after each")
    place = context.fresh("worn") / "events.git"
    with gitstore.open_store(place) as store:
        assert isinstance(store, GitEventStore)
        for event in take(history(Plan(growing(20, window=100)), prefix="worn-"), appends):
            store.append(event)
            store.flush()
    _show_objects(outcome, f"after {appends:,} flushes", place)
    rounds, seconds = (3, 0.1) if context.quick else (12, 0.5)
    with participants({"worn": OURS, "fresh": OURS}, context.directory) as (worn, fresh):
        for _ in range(rounds):
            worn.turn(seconds)
            fresh.turn(seconds)
    outcome.durability[OURS] = worn.durability
    medians = {p.name: round_medians(p) for p in (worn, fresh)}
    outcome.raw["append"] = {"round_medians_s": medians}
    ratio = paired_ratio(medians["worn"], medians["fresh"])
    outcome.show("time of an append, that store / a fresh one", ratio, "×", at_most(1.5))


def _commands(outcome: Outcome, context: Context, appends: int) -> None:
    context.say(f"upkeep: {appends} processes of sc-events append")
    store = context.fresh("commands") / "events.git"
    seconds = []
    for number in range(appends):
        command = sc_events("append", f"task-{number % 40}", "Noted", "--store", store)
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - begun)
    outcome.raw["commands"] = {"seconds": seconds}
    _show_objects(outcome, f"after {appends:,} commands", store)
    tenth = max(appends // 10, 1)
    ratio = percentile(seconds[-tenth:], 0.5) / percentile(seconds[:tenth], 0.5)
    outcome.show("time of a command, last tenth / first", ratio, "×", at_most(1.5))


def _show_objects(outcome: Outcome, when: str, store: Path) -> None:
    packs = len(list((store / "objects" / "pack").glob("*.pack")))
    loose = len(list((store / "objects").glob("??/*")))
    outcome.show(f"{when}: packs", packs, "", at_most(50))
    outcome.show(f"{when}: loose objects", loose, "", at_most(2_000))


def _disk(outcome: Outcome, context: Context, size: Size) -> None:
    context.say(f"upkeep: {size.events} events, maintain against gc --aggressive")
    ours = context.fresh("disk")
    subprocess.run(
        tasks.command(tasks.BUILD, ours, OURS, *astuple(size)),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    theirs = context.directory / "aggressive"
    shutil.copytree(ours, theirs)
    outcome.raw["disk_bytes"] = {"before": parts(ours / "events.git")}
    gc = ("git", f"--git-dir={theirs / 'events.git'}", "gc", "--aggressive", "--quiet")
    _timed(outcome, "gc --aggressive", gc)
    least = _measured(outcome, "gc --aggressive", theirs / "events.git", size.events)
    allowed = 1.5 * least + _INDEX_BYTES * size.events
    for what in ("maintain", "maintain --trim"):
        _timed(outcome, what, sc_events(*what.split(), "--store", ours / "events.git"))
        used = _measured(outcome, what, ours / "events.git", size.events)
        outcome.show(f"{what}: git's part / after gc --aggressive", used / least, "×", at_most(1.5))
        everything = sum(parts(ours / "events.git").values())
        outcome.show(
            f"{what}: whole store / what it may take", everything / allowed, "×", at_most(1)
        )
    outcome.notes.append("a store may take 1.5 × what gc --aggressive leaves and 150 B an event")


def _timed(outcome: Outcome, what: str, command: tuple[str, ...]) -> None:
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    outcome.show(what, time.perf_counter() - begun, "s")


def _measured(outcome: Outcome, what: str, store: Path, events: int) -> int:
    """Bytes of git's part; a commit-graph counts as the pack indexes do."""
    used = parts(store)
    graphs = (p for p in (store / "objects" / "info").rglob("*") if p.is_file())
    outcome.raw["disk_bytes"][what] = used
    git = sum(used[name] for name in _GIT_PARTS)
    outcome.raw["disk_bytes"][f"{what}: commit-graph"] = sum(p.stat().st_size for p in graphs)
    outcome.show(f"{what}: git's part", git / events, "B/event")
    outcome.show(f"{what}: index.db", used["index.db"] / events, "B/event")
    return git
