"""What a person waits for who types a command."""

from __future__ import annotations

import sys

from benchmarks.commands import in_turns, sc_events
from benchmarks.measure import paired_ratio, percentile
from benchmarks.report import Outcome, at_most
from benchmarks.workloads.base import Context
from benchmarks.workloads.sustained import events_in_git

VERSION, CLICK, PYTHON = "sc-events --version", "python -c 'import click'", "python -c pass"
APPEND = "sc-events append, flushed"


def run(context: Context) -> Outcome:
    """Commands in turn, by the same interpreter."""
    runs = 4 if context.quick else 20
    store = context.directory / "events.git"
    data = '{"taskId":"AUTH-001","oldStatus":"todo","newStatus":"in_progress"}'
    seconds = in_turns(
        {
            VERSION: sc_events("--version"),
            CLICK: (sys.executable, "-c", "import click"),
            PYTHON: (sys.executable, "-c", "pass"),
            APPEND: sc_events(
                "append", "task-AUTH-001", "TaskStatusChanged", "--data", data, "--store", store
            ),
        },
        runs,
    )
    outcome = Outcome(raw={"seconds": seconds})
    for name, times in seconds.items():
        target = at_most(300) if name == APPEND else None
        outcome.show(name, percentile(times, 0.5) * 1000, "ms", target)
    # Times, not speeds: here less is better.
    ratio = paired_ratio(seconds[VERSION], seconds[CLICK])
    outcome.show(f"time of {VERSION} / {CLICK}", ratio, "×", at_most(2.5))
    missing = runs + 1 - events_in_git(store)
    outcome.show("appended and not in git", missing, "events", at_most(0))
    return outcome
