"""Projections: rebuilt from every event, resumed, and a board by the command line."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import orjson

from benchmarks import tasks
from benchmarks.commands import in_turns, sc_events
from benchmarks.measure import percentile
from benchmarks.memory import watch
from benchmarks.report import Outcome, at_least, at_most
from benchmarks.workloads.base import Context

HISTORY = "BENCH_HISTORY"
"""The environment variable that names a real history, a file of JSON lines."""
_FULL, _QUICK = 1_000_000, 5_000
_MORE = 1_000
_MEGABYTE = 1_000_000


def run(context: Context) -> Outcome:
    """A long history through the four projections, then what it takes to go on."""
    events = _QUICK if context.quick else _FULL
    outcome = Outcome(raw={"events": events})
    store = context.fresh("built") / "events.git"
    context.say(f"projections: {events} events into git")
    watch(tasks.command(tasks.PROJECT, "build", store, events))
    _rebuild(outcome, context, store)
    _resume(outcome, context, store)
    _board(outcome, context)
    return outcome


def _rebuild(outcome: Outcome, context: Context, store: Path) -> None:
    rates = []
    for number in range(2 if context.quick else 3):
        context.say(f"projections: rebuilding, round {number + 1}")
        for state in (store / "gitstore" / "projections").glob("*.json"):
            state.unlink()
        watched = watch(tasks.command(tasks.PROJECT, "project", store))
        told = orjson.loads(watched.output)
        rates.append(told["events"] / told["seconds"])
        outcome.raw.setdefault("states", told["states"])
    outcome.show("four projections, from the first event", percentile(rates, 0.5), "events/s",
                 at_least(40_000))  # fmt: skip
    outcome.show("memory for it", watched.own / _MEGABYTE, "MB")


def _resume(outcome: Outcome, context: Context, store: Path) -> None:
    idle, busy = [], []
    for number in range(3 if context.quick else 7):
        context.say(f"projections: resuming, round {number + 1}")
        idle.append(_seconds(store))
        watch(tasks.command(tasks.PROJECT, "more", store, 1 if number else _MORE))
        busy.append(_seconds(store))
    outcome.raw["resume"] = {"nothing_new_s": idle, "something_new_s": busy}
    outcome.show("resuming, nothing new", percentile(idle, 0.5) * 1000, "ms", at_most(50))
    outcome.show("resuming, one event new, and saving", percentile(busy, 0.5) * 1000, "ms")


def _seconds(store: Path) -> float:
    return float(
        orjson.loads(watch(tasks.command(tasks.PROJECT, "project", store)).output)["seconds"]
    )


def _board(outcome: Outcome, context: Context) -> None:
    lines = os.environ.get(HISTORY)
    if lines is None:
        outcome.notes.append(f"the board of a real history: set {HISTORY} to a file of JSON lines")
        return
    store = context.fresh("real") / "events.git"
    watch(sc_events("--store", store, "import", lines))
    command = sc_events("--store", store, "replay", "--projection", "TaskBoard", "-f", "json")
    seconds = in_turns({"board": command}, 3 if context.quick else 9)["board"]
    outcome.raw["board_s"] = seconds
    outcome.show("the board of a real history, whole command", percentile(seconds, 0.5), "s",
                 at_most(1.0))  # fmt: skip
    begun = time.perf_counter()
    expected = _naive_board(Path(lines))
    outcome.show("a naive fold of its lines", time.perf_counter() - begun, "s")
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    if orjson.loads(shown)["tasks"] != expected:
        raise AssertionError("the board is not what a naive fold gives")


def _naive_board(lines: Path) -> dict[str, dict[str, object]]:
    """What the four task events of a clean history say, in the plainest way."""
    board: dict[str, dict[str, object]] = {}
    sections: dict[str, dict[str, str]] = {}
    for line in lines.read_bytes().splitlines():
        event = orjson.loads(line)
        kind, data = event["type"], event["data"]
        task = data["taskId"]
        if kind == "TaskCreated":
            sections[task] = {}
            board[task] = {
                "status": "todo",
                "folder": data["workflowState"],
                "title": data["title"],
                "parent": data.get("parentId"),
                "sections": sections[task],
            }
        elif kind == "TaskStatusChanged":
            board[task]["status"] = data["newStatus"]
        elif kind == "TaskMoved":
            board[task]["folder"] = data["toWorkflow"]
        elif kind == "TaskSectionUpdated":
            sections[task][data["section"]] = data["content"]
    return board
