"""``export`` and ``import``: a history that leaves and returns, by the command line."""

from __future__ import annotations

import subprocess
import time
from dataclasses import astuple
from pathlib import Path

from benchmarks import tasks
from benchmarks.commands import sc_events
from benchmarks.memory import watch
from benchmarks.report import Outcome, at_least, at_most
from benchmarks.tasks.build import PER_STREAM, Size
from benchmarks.workloads.base import Context
from benchmarks.workloads.million import FULL, OURS

QUICK = Size(20_000, 10_000, 10)
_MEGABYTE = 1_000_000


def run(context: Context) -> Outcome:
    """Export a store as lines and as a layout, import both, and compare the refs."""
    size = QUICK if context.quick else FULL
    context.say(f"bridge: writing {size.events} events")
    place = context.fresh(OURS)
    watch(tasks.command(tasks.BUILD, place, OURS, *astuple(size)))
    store, lines, layout = place / "events.git", place / "history.jsonl", place / "layout"
    outcome = Outcome(raw={"events": size.events, "streams": size.events // PER_STREAM})
    steps = {
        "export": sc_events("--store", store, "export", "-o", lines),
        "export --layout": sc_events("--store", store, "export", "--layout", layout),
        "import": sc_events("--store", place / "lines.git", "import", lines),
        "import of a layout": sc_events("--store", place / "layout.git", "import", layout),
    }
    for name, command in steps.items():
        context.say(f"bridge: {name}")
        begun = time.perf_counter()
        watched = watch(command)
        seconds = time.perf_counter() - begun
        outcome.show(name, size.events / seconds, "events/s", at_least(15_000))
        outcome.show(f"{name}: memory", watched.own / _MEGABYTE, "MB", at_most(150))
    refs = {_refs(place / f"{name}.git") for name in ("events", "lines", "layout")}
    if len(refs) > 1:
        outcome.notes.append("the imported histories are not what was exported")
    outcome.notes.append("whole commands, from starting the process to its end")
    return outcome


def _refs(store: Path) -> bytes:
    command = ["git", f"--git-dir={store}", "for-each-ref", "refs/streams"]
    return subprocess.run(command, capture_output=True, check=True).stdout
