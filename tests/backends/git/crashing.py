"""The program that dies at every step: kill -9 between any two things that reach the disk.

Run by ``programs.start("crash_everywhere", …)``, in a process of its own; imported by no test.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from programs import BEFORE, PROGRAMS, ack, open_git, program, say

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.inspecting import inspect
from gitstore.sync.pulling import pull


@program
def crash_everywhere(template: str, folder: str, scenario: str, every: int = 1) -> None:
    """Run a scenario on copies of a store, dying at its 1st, 2nd, 3rd … step, until it completes.

    ``every``: at one step of so many only.

    Says ``[k, step, acknowledged]`` of each; copy k lies in ``folder/k/events.git``.
    """
    for k in range(1, 2_000, every):
        place = Path(folder, str(k))
        place.mkdir(parents=True)
        store = place / "events.git"
        if Path(template).exists():
            shutil.copytree(template, store)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _die_in(scenario, store, k, writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            lines = [json.loads(line) for line in pipe]
        _, status = os.waitpid(child, 0)
        steps = [line[1] for line in lines if line[0] == "step"]
        acks = [one for line in lines if line[0] == "ack" for one in line[1]]
        say([k, steps[-1] if steps else "completed", acks])
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, lines
            return


def _die_in(scenario: str, store: Path, k: int, pipe: int) -> None:
    code = 1
    try:
        logging.disable(logging.CRITICAL)
        BackgroundFlush.wake = lambda self: None  # type: ignore[method-assign]

        def tell(kind: str, value: object) -> None:
            _OS_WRITE(pipe, json.dumps([kind, value]).encode() + b"\n")

        Crash(k, tell).install()
        _SCENARIOS[scenario](store, lambda done: tell("ack", [ack(r) for r in done]))
        code = 0
    except BaseException:  # noqa: BLE001 - said before the process ends without unwinding
        traceback.print_exc()
    finally:
        os._exit(code)


_OS_WRITE = os.write
_WRITING = ("INSERT", "UPDATE", "DELETE", "CREATE", "BEGIN I", "COMMIT", "PRAGMA wal_checkpoint")


class Crash:
    """Kills this process at the k-th step that reaches the disk; a write leaves half behind."""

    def __init__(self, k: int, tell: Callable[[str, object], None]) -> None:
        self._left = k
        self._tell = tell

    def step(self, what: str) -> None:
        """Count one step, or die before it."""
        self._left -= 1
        if self._left == 0:
            self._tell("step", what)
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Wrap what reaches the disk."""
        for name in ("replace", "rename", "link", "unlink", "remove", "fsync", "mkdir", "rmdir"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        really_open = os.open

        def opening(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & (os.O_CREAT | os.O_TRUNC):
                self.step(f"open {path}")
            return really_open(path, flags, *rest, **named)

        def writing(descriptor: int, content: Any) -> int:
            if self._left == 1 and len(content) > 1:
                _OS_WRITE(descriptor, bytes(content)[: len(content) // 2])
            self.step(f"write {Path(f'/proc/self/fd/{descriptor}').readlink()}")
            return _OS_WRITE(descriptor, content)

        os.open = opening
        if Path("/proc/self/fd").exists():
            os.write = writing
        self._install_in_sqlite()

    def _install_in_sqlite(self) -> None:
        really_connect = sqlite3.connect
        crash = self

        def crashing(kind: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
            class Connection(kind):  # type: ignore[valid-type, misc]
                def execute(self, statement: str, *rest: Any) -> sqlite3.Cursor:
                    if statement.lstrip().startswith(_WRITING):
                        crash.step(f"sql {statement[:60]}")
                    return super().execute(statement, *rest)

                def executemany(self, statement: str, *rest: Any) -> sqlite3.Cursor:
                    crash.step(f"sql {statement[:60]}")
                    return super().executemany(statement, *rest)

                def close(self) -> None:
                    crash.step("sql close")
                    super().close()

            return Connection

        def connecting(*given: Any, **named: Any) -> sqlite3.Connection:
            crash.step(f"connect {given[0]}")
            factory = crashing(named.pop("factory", sqlite3.Connection))
            return really_connect(*given, factory=factory, **named)

        sqlite3.connect = connecting  # type: ignore[assignment]

    def _wrapped(self, name: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.step(f"{name} {' '.join(str(g) for g in given)}")
            return really(*given, **named)

        return call


Tell = Callable[[Sequence[RecordedEvent]], None]


def _few(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        tell([opened.append(DomainEvent("task-0", "One", {}))])
        tell(
            opened.append_many([DomainEvent("task-new", "Two", {}), DomainEvent("task-1", "X", 1)])
        )
        opened.flush()
        tell([opened.append(DomainEvent("task-new", "Three", {"big": "y" * 9_000}))])


def _many(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        tell(opened.append_many([DomainEvent(f"task-{n % 70}", "Many", n) for n in range(150)]))
        opened.flush()


def _batch(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        tell([opened.append(DomainEvent("task-before", "Before", {}))])
        tell(opened.append_many([DomainEvent(f"task-{n % 80}", "Batch", n) for n in range(300)]))
        tell([opened.append(DomainEvent("task-2", "After", {}))])


def _append_mode(store: Path, tell: Tell) -> None:
    with open_git(str(store), flush="append") as opened:
        for number in range(2):
            tell([opened.append(DomainEvent("task-0", "Now", number))])


def _open_and_read(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        tell(list(opened.read_all()))


def _close(store: Path, tell: Tell) -> None:
    opened = open_git(str(store))
    tell([opened.append(DomainEvent("task-0", "Last", {}))])
    opened.close()


def _types(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        tell([opened.append(DomainEvent("task-0", "Noted", {}))])
        opened.index_types()


def _checkpoint(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        opened.exchange.checkpoint("laptop", signed=False)
        tell([opened.append(DomainEvent("task-0", "Noted", {}))])
        opened.exchange.checkpoint("laptop", signed=False)


def _repair(store: Path, _: Tell) -> None:
    inspect(store, repair=True)


def _pull_rebase(store: Path, tell: Tell) -> None:
    with open_git(str(store)) as opened:
        tell([opened.append(BEFORE)])
        pull(opened, "hub", rebase=True)


_SCENARIOS: dict[str, Callable[[Path, Tell], None]] = {
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
