"""A cold read of everything: a new process, a new store object, every event decoded."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks import tasks
from benchmarks.events import Plan, growing, history, take
from benchmarks.measure import paired_ratio, percentile
from benchmarks.peers.ours import GitStorePeer
from benchmarks.peers.plain_sqlite import PlainSQLitePeer
from benchmarks.report import Outcome, at_least
from benchmarks.workloads.base import Context

_BATCH = 5_000
ROWS, OURS, GIT = "sqlite3 rows + orjson", "gitstore", "gitstore through git alone"
_LOG = "git log of all streams, undecoded"


def run(context: Context) -> Outcome:
    """The same events in our store and in a plain table, read in turns."""
    size, rounds = (5_000, 3) if context.quick else (100_000, 11)
    context.say(f"reads: writing {size} events")
    store, trimmed, table = _written(context, size)
    readers: dict[str, Callable[[], dict[str, Any]]] = {
        ROWS: lambda: _in_child(tasks.READ_ROWS, table),
        OURS: lambda: _in_child(tasks.READ_STORE, store),
        GIT: lambda: _in_child(tasks.READ_STORE, trimmed),
        "pygit2 walk + orjson": lambda: _in_child(tasks.READ_PYGIT2, store),
        _LOG: lambda: _git_log(store),
    }
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    cpu: dict[str, list[float]] = {name: [] for name in (ROWS, OURS, GIT)}
    answers: dict[str, tuple[int, int]] = {}
    for number in range(rounds):
        context.say(f"reads: round {number + 1} of {rounds}")
        for name, read in readers.items():
            answer = read()
            seconds[name].append(answer["seconds"])
            answers[name] = answer["events"], answer["checksum"]
            if name in cpu:
                cpu[name].append(answer["cpu"])
    outcome = _outcome(size, seconds, answers)
    outcome.raw["cpu_seconds"] = cpu
    outcome.show(f"{OURS} / {ROWS}, processor time", paired_ratio(cpu[ROWS], cpu[OURS]), "×")
    return outcome


def _outcome(
    size: int, seconds: dict[str, list[float]], answers: dict[str, tuple[int, int]]
) -> Outcome:
    outcome = Outcome(raw={"events": size, "seconds": seconds, "count_and_checksum": answers})
    for name, times in seconds.items():
        outcome.show(name, size / percentile(times, 0.5), "events/s")
    for name, target in ((OURS, at_least(0.4)), (GIT, None)):
        outcome.show(f"{name} / {ROWS}", paired_ratio(seconds[ROWS], seconds[name]), "×", target)
    counted = {answer for name, answer in answers.items() if name != _LOG}
    if len(counted) != 1 or answers[_LOG][0] != size:
        outcome.notes.append(f"the readers do not agree: {answers}")
    outcome.notes.append("imports are not timed; the page cache is warm for all")
    return outcome


def _written(context: Context, size: int) -> tuple[Path, Path, Path]:
    """The same events in a store, in a store whose index has no bodies, and in a table."""
    ours, trimmed = (GitStorePeer(context.fresh(name)) for name in ("store", "trimmed"))
    plain = PlainSQLitePeer(context.directory)
    events = history(Plan(growing(per_stream=50)))
    for _ in range(0, size, _BATCH):
        batch = take(events, _BATCH)
        for peer in (ours, trimmed, plain):
            peer.append_many(batch)
    for peer in (ours, trimmed, plain):
        peer.close()
    _drop_bodies(trimmed.path / "gitstore" / "index.db")
    return ours.path, trimmed.path, plain.path


def _drop_bodies(index: Path) -> None:
    """Make an index as one that only knows where things are: bodies are then read from git."""
    with contextlib.closing(sqlite3.connect(index)) as db:
        db.execute("UPDATE events SET data = NULL, metadata = NULL")
        db.commit()
        db.execute("VACUUM")


def _in_child(task: str, path: Path) -> dict[str, Any]:
    ran = subprocess.run(tasks.command(task, path), capture_output=True, check=True)
    answer: dict[str, Any] = orjson.loads(ran.stdout)
    return answer


def _git_log(repository: Path) -> dict[str, Any]:
    """Plain git, its process included, nothing decoded; the checksum is not comparable."""
    command = ("git", f"--git-dir={repository}", "log", "--glob=refs/streams/*", "--format=%x00%B")
    begun = time.perf_counter()
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "events": shown.count(b"\0"), "checksum": 0}
