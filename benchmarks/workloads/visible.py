"""From the call of ``append`` until plain ``git log`` shows the event."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import time
from multiprocessing.connection import Connection
from pathlib import Path

import gitstore
from benchmarks.events import SEED, Plan, bare, growing, history
from benchmarks.measure import percentile, summary
from benchmarks.report import Outcome, at_most
from benchmarks.workloads.base import Context

PROBE = "task-PROBE"
_POLL = 0.004
_GIVE_UP = 60.0
_SPAWN = multiprocessing.get_context("spawn")


def run(context: Context) -> Outcome:
    """A writer in its own process; this one asks git again and again."""
    probes = 6 if context.quick else 60
    outcome = Outcome()
    for state, target in (("idle", at_most(250)), ("under load", at_most(1000))):
        context.say(f"visible: {probes} events, {state}")
        waits = _waits(context.fresh(state.replace(" ", "-")), probes, loaded=state != "idle")
        milliseconds = [wait * 1000 for wait in waits]
        outcome.raw[state] = {"summary_ms": summary(milliseconds), "samples_ms": milliseconds}
        outcome.show(f"{state}: p50", percentile(milliseconds, 0.50), "ms")
        outcome.show(f"{state}: p99", percentile(milliseconds, 0.99), "ms", target)
    outcome.notes.append("a look is one run of git log, some 3 ms, every 4 ms; it counts as ours")
    return outcome


def _waits(directory: Path, probes: int, *, loaded: bool) -> list[float]:
    store = directory / "events.git"
    here, there = _SPAWN.Pipe()
    writer = _SPAWN.Process(target=_write, args=(store, there, loaded))
    writer.start()
    there.close()
    rng = random.Random(SEED)
    here.recv()  # the store is open
    waits = []
    for _ in range(probes):
        time.sleep(0.1 + rng.random() * 0.4)  # so that no probe meets a flush by the clock
        here.send("append")
        begun, commit = here.recv()
        waits.append(_seen(store, commit) - begun)
    here.close()
    writer.join(timeout=60)
    return waits


def _seen(repository: Path, commit: str) -> float:
    """When git log showed ``commit`` as the newest of its stream, on the monotonic clock."""
    ref = f"refs/streams/{PROBE}"
    command = ("git", f"--git-dir={repository}", "log", "-1", "--format=%H", ref)
    give_up = time.monotonic() + _GIVE_UP
    while time.monotonic() < give_up:
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        if shown.stdout.strip() == commit:
            return time.monotonic()
        time.sleep(_POLL)
    raise TimeoutError(f"{commit} is not in git after {_GIVE_UP:.0f} s")


def _write(path: Path, connection: Connection, loaded: bool) -> None:
    """Append a probe when asked; in between, under load, whatever the store can take."""
    filler = history(Plan(growing(per_stream=20, window=100)))
    with gitstore.open_store(path) as store:
        connection.send("open")
        while True:
            if connection.poll(0 if loaded else None):
                try:
                    connection.recv()
                except EOFError:
                    return
                begun = time.monotonic()
                recorded = store.append(gitstore.DomainEvent(PROBE, "Probed"))
                connection.send((begun, recorded.commit))
            else:
                store.append(bare(next(filler)))
