"""Running the command line: in this process for breadth, as real processes for what only they show.

Nothing is faked but the clock; stores are git stores in the test's own directories.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gitstore_cli.env import Env
from gitstore_cli.main import main

import gitstore

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""The present moment of the commands that run in this process."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Ran:
    """What a command did: exit code, answer and messages."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


@dataclass
class Cli:
    """The command line in this process: ``cli("list", "--last", "1")``."""

    home: Path
    cwd: Path
    environ: dict[str, str] = field(default_factory=lambda: {"COLUMNS": "120"})
    now: datetime = NOW

    @property
    def default_store(self) -> Path:
        return self.home / ".scopecraft" / "events.git"

    def __call__(self, *args: object, stdin: bytes = b"", terminal: bool = False) -> Ran:
        """Run one command; its streams are pipes, or with ``terminal`` a terminal."""
        out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
        env = Env(
            self.cwd,
            self.home,
            io.BytesIO(stdin),
            out,
            err,
            {**os.environ, "TERM": "dumb", **self.environ},
            lambda: self.now,
        )
        code = main([str(arg) for arg in args], env=env)
        return Ran(code, out.getvalue(), err.getvalue())

    def ok(self, *args: object, **more: Any) -> Ran:
        """Run one command that must succeed."""
        ran = self(*args, **more)
        assert ran.code == 0, ran.err
        return ran


@pytest.fixture
def cli(home: Path, tmp_path: Path) -> Cli:
    """The command line with an empty home, in an empty directory that is in no repository."""
    cwd = tmp_path / "here"
    cwd.mkdir()
    return Cli(home, cwd)


Recorded = tuple[str, str, Any, dict[str, Any]]
"""An event to be recorded: stream, type, data, metadata."""

HISTORY: list[Recorded] = [
    ("task-AUTH-001", "TaskCreated", {"title": "Sign in"}, {"userId": "ada"}),
    ("task-AUTH-001", "TaskStatusChanged", {"newStatus": "in_progress"}, {"userId": "ada"}),
    ("session-1", "SessionStarted", {"a": 1}, {"userId": "bob", "correlationId": "c1"}),
    ("worktree-feature/auth", "WorktreeCreated", None, {"userId": "bob", "correlationId": "c1"}),
    ("task-AUTH-001", "TaskStatusChanged", {"newStatus": "done"}, {"userId": "bob"}),
    ("task-AUTH-002", "TaskCreated", {"title": "Sign out"}, {}),
]  # fmt: skip
"""What ``history`` holds."""


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of six events, for commands that only read."""
    where = tmp_path_factory.mktemp("history") / "events.git"
    record(where, HISTORY)
    return where


def record(where: Path, events: Iterable[Recorded]) -> None:
    """Make a store of these events, ``id-1`` …: one a day from 2026-11-01, 08:00 UTC."""
    first = datetime(2026, 11, 1, 8, tzinfo=UTC)
    with gitstore.open_store(where) as store:
        store.append_history(
            gitstore.DomainEvent(stream, kind, data, metadata, f"id-{n + 1}", first + timedelta(n))
            for n, (stream, kind, data, metadata) in enumerate(events)
        )


def script(*args: object) -> list[str]:
    """The command line as users start it."""
    return [str(Path(sysconfig.get_path("scripts"), "sc-events")), *map(str, args)]


def program(*args: object) -> list[str]:
    """The command line as a process."""
    return [sys.executable, "-m", "gitstore_cli", *map(str, args)]


def run_program(
    *args: object, env: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process and wait for it."""
    environ = {**os.environ, **(env or {})}
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, **more}
    return subprocess.run(program(*args), env=environ, check=False, **options)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line as a process that does not end by itself; it does not outlive us."""
    running: list[subprocess.Popen[str]] = []

    def begin(*args: object, **more: Any) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        options: dict[str, Any] = {"stdout": pipe, "stderr": pipe, "text": True, **more}
        running.append(subprocess.Popen(program(*args), **options))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def eventually(holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait until ``holds`` gives something true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the local zone for this test, as a rule that needs no zone files."""

    def set_zone(rule: str) -> None:
        monkeypatch.setenv("TZ", rule)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


BERLIN = "CET-1CEST,M3.5.0/2,M10.5.0/3"
"""An hour ahead of UTC in winter; clocks change in March and October."""


@pytest.fixture
def local_zone(zone: Callable[[str], None]) -> None:
    """Berlin's."""
    zone(BERLIN)
