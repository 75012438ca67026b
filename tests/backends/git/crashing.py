"""The program that dies at every step: kill -9 between any two things that reach the disk.

Run by ``programs.start("crash_everywhere", …)``, in a process of its own; imported by no test.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from programs import BEFORE, PROGRAMS, ack, open_git, program, say

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.inspecting import inspect
from gitstore.sync.pulling import pull
from tests.backends.dying import Tell, die_at, everywhere


@program
def crash_everywhere(template: str, folder: str, scenario: str, every: int = 1) -> None:
    """Run a scenario on copies of a store, dying at its 1st, 2nd, 3rd … step, until it completes.

    ``every``: at one step of so many only.

    Says ``[k, step, acknowledged]`` of each; copy k lies in ``folder/k/events.git``.
    """

    def struck(k: int, tell: Tell) -> None:
        logging.disable(logging.CRITICAL)
        BackgroundFlush.wake = lambda self: None  # type: ignore[method-assign]
        place = Path(folder, str(k))
        place.mkdir(parents=True)
        store = place / "events.git"
        if Path(template).exists():
            shutil.copytree(template, store)
        die_at(k, tell).install()
        _SCENARIOS[scenario](store, lambda done: tell("ack", [ack(r) for r in done]))

    for k, told in everywhere(struck, every):
        steps = [value for kind, value in told if kind == "step"]
        acks = [one for kind, value in told if kind == "ack" for one in value]
        say([k, steps[0] if steps else "completed", acks])


Acked = Callable[[Sequence[RecordedEvent]], None]


def _few(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        acked([opened.append(DomainEvent("task-0", "One", {}))])
        acked(
            opened.append_many([DomainEvent("task-new", "Two", {}), DomainEvent("task-1", "X", 1)])
        )
        opened.flush()
        acked([opened.append(DomainEvent("task-new", "Three", {"big": "y" * 9_000}))])


def _many(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        acked(opened.append_many([DomainEvent(f"task-{n % 70}", "Many", n) for n in range(150)]))
        opened.flush()


def _batch(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        acked([opened.append(DomainEvent("task-before", "Before", {}))])
        acked(opened.append_many([DomainEvent(f"task-{n % 80}", "Batch", n) for n in range(300)]))
        acked([opened.append(DomainEvent("task-2", "After", {}))])


def _append_mode(store: Path, acked: Acked) -> None:
    with open_git(str(store), flush="append") as opened:
        for number in range(2):
            acked([opened.append(DomainEvent("task-0", "Now", number))])


def _open_and_read(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        acked(list(opened.read_all()))


def _close(store: Path, acked: Acked) -> None:
    opened = open_git(str(store))
    acked([opened.append(DomainEvent("task-0", "Last", {}))])
    opened.close()


def _types(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        acked([opened.append(DomainEvent("task-0", "Noted", {}))])
        opened.index_types()


def _checkpoint(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        opened.exchange.checkpoint("laptop", signed=False)
        acked([opened.append(DomainEvent("task-0", "Noted", {}))])
        opened.exchange.checkpoint("laptop", signed=False)


def _repair(store: Path, _: Acked) -> None:
    inspect(store, repair=True)


def _pull_rebase(store: Path, acked: Acked) -> None:
    with open_git(str(store)) as opened:
        acked([opened.append(BEFORE)])
        pull(opened, "hub", rebase=True)


_SCENARIOS: dict[str, Callable[[Path, Acked], None]] = {
    "few": _few,
    "many": _many,
    "batch": _batch,
    "append": _append_mode,
    "open": _open_and_read,
    "close": _close,
    "types": _types,
    "checkpoint": _checkpoint,
    "repair": _repair,
    "pull_rebase": _pull_rebase,
}


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*map(json.loads, sys.argv[2:]))
