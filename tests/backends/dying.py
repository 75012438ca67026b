"""Dying and failing at every step: whatever this process brings to the disk, counted and struck.

For the programs of the tests of survival, in a process of their own; imported by no test.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from gitstore.backends.jsonl.folders import Folder

Told = list[list[Any]]
"""What a struck process said: ``[kind, value]`` each; ``step``: where it was struck."""
Tell = Callable[[str, object], None]

_OS_WRITE = os.write
_WRITING = ("INSERT", "UPDATE", "DELETE", "CREATE", "BEGIN I", "COMMIT", "PRAGMA wal_checkpoint")
_STEPS = (
    *("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir"),
    *("fsync", "fdatasync", "truncate", "ftruncate"),
)


class Steps:
    """Counts the steps of this process that reach the disk, and strikes at some of them."""

    def __init__(self) -> None:
        self._strike: Callable[[str], None] = lambda what: None
        self._first = self._last = -1
        self._count = 0

    def arm(self, strike: Callable[[str], None], first: int, last: int) -> None:
        """Strike before these steps, counted from here on."""
        self._strike = strike
        self._first, self._last = first, last
        self._count = 0

    def step(self, what: str) -> None:
        """Count one step, and strike before it where it is one of those."""
        self._count += 1
        if self._first <= self._count <= self._last:
            self._strike(what)

    def install(self) -> None:
        """Wrap what reaches the disk."""
        for name in _STEPS:
            if hasattr(os, name):
                setattr(os, name, self._wrapped(name, getattr(os, name)))
        sync_all = self._wrapped("sync_file_system", Folder.sync_file_system)
        Folder.sync_file_system = sync_all  # type: ignore[method-assign]
        really_open = os.open

        def opening(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & (os.O_CREAT | os.O_TRUNC):
                self.step(f"open {path}")
            return really_open(path, flags, *rest, **named)

        os.open = opening
        if Path("/proc/self/fd").exists():
            os.write = self._writing(os.write)
            os.pwrite = self._writing(os.pwrite)
        self._install_in_sqlite()

    def _writing(self, really: Callable[..., int]) -> Any:
        def writing(descriptor: int, content: Any, *offset: int) -> int:
            if self._count + 1 == self._first and len(content) > 1:
                really(descriptor, bytes(content)[: len(content) // 2], *offset)
            self.step(f"write {Path(f'/proc/self/fd/{descriptor}').readlink()}")
            return really(descriptor, content, *offset)

        return writing

    def _wrapped(self, name: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.step(f"{name} {' '.join(str(g) for g in given)}")
            return really(*given, **named)

        return call

    def _install_in_sqlite(self) -> None:
        really_connect = sqlite3.connect
        steps = self

        def counting(kind: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
            class Connection(kind):  # type: ignore[valid-type, misc]
                def execute(self, statement: str, *rest: Any) -> sqlite3.Cursor:
                    if statement.lstrip().startswith(_WRITING):
                        steps.step(f"sql {statement[:60]}")
                    return cast("sqlite3.Cursor", super().execute(statement, *rest))

                def executemany(self, statement: str, *rest: Any) -> sqlite3.Cursor:
                    steps.step(f"sql {statement[:60]}")
                    return cast("sqlite3.Cursor", super().executemany(statement, *rest))

                def close(self) -> None:
                    steps.step("sql close")
                    super().close()

            return Connection

        def connecting(*given: Any, **named: Any) -> sqlite3.Connection:
            steps.step(f"connect {given[0]}")
            factory = counting(named.pop("factory", sqlite3.Connection))
            return really_connect(*given, factory=factory, **named)

        sqlite3.connect = connecting  # type: ignore[assignment]


STEPS = Steps()
"""Install it before anything is imported that may keep a function of ``os`` by another name."""


def die_at(step: int, tell: Tell) -> None:
    """Be gone before this step, as by kill -9; half of a write is left behind."""

    def die(what: str) -> None:
        tell("step", what)
        os._exit(0)  # nothing of this process runs any more; the kernel closes its files

    STEPS.arm(die, step, step)


def fail_at(first: int, last: int, tell: Tell) -> None:
    """No space left on the device from one step to another, for whatever needs some."""

    def fail(what: str) -> None:
        tell("step", what)
        word = what.split(" ", 1)[0]
        if word == "sql" and what != "sql close":
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        if word in ("write", "open", "mkdir", "fsync", "fdatasync", "link"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    STEPS.arm(fail, first, last)


def in_a_child(run: Callable[[Tell], None]) -> Told:
    """Run something in a forked process; what it told until its end.

    ``AssertionError`` where it ended by an error of its own.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run(run, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told: Told = [json.loads(line) for line in pipe]
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, told
    return told


def _run(run: Callable[[Tell], None], pipe: int) -> None:
    code = 1
    try:
        run(lambda kind, value: _tell(pipe, kind, value))
        code = 0
    except BaseException:  # noqa: BLE001 - said before the process ends without unwinding
        traceback.print_exc()
    finally:
        os._exit(code)


def _tell(pipe: int, kind: str, value: object) -> None:
    text = memoryview(json.dumps([kind, value]).encode() + b"\n")
    while text:
        text = text[_OS_WRITE(pipe, text) :]


def everywhere(
    struck: Callable[[int, Tell], None], every: int = 1, most: int = 2_000
) -> Iterator[tuple[int, Told]]:
    """Run what is struck at step k, for each k or one of ``every``, until none is left to strike.

    Gives k and what was told.
    """
    for k in range(1, most, every):

        def run(tell: Tell, k: int = k) -> None:
            struck(k, tell)

        told = in_a_child(run)
        yield k, told
        if not any(kind == "step" for kind, _ in told):
            return
    raise AssertionError(f"after {most} steps it had not come to its end")
