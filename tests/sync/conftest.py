"""Remotes to talk to, over every kind of connection that loopback has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sync.servers import bare, daemon, http, processes_with
from tests.sync.transports import FAKE_SSH, commit, configure


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A directory with ``theirs.git``, which has three streams, and ``empty.git``."""
    folder = tmp_path / "served"
    theirs = bare(folder / "theirs.git")
    for name in "xyz":
        commit(theirs, f"refs/streams/{name}", "one", f"two {name}")
    bare(folder / "empty.git")
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A repository without refs."""
    return bare(tmp_path / "mine.git")


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own ssh, as their global configuration names it."""
    script = tmp_path / "ssh"
    script.write_text(FAKE_SSH)
    script.chmod(0o755)
    configure(tmp_path, monkeypatch, f"[core]\n\tsshCommand = {script}\n")
    return script


@pytest.fixture
def serve(base: Path, fake_ssh: Path) -> Iterator[Callable[[str], str]]:
    """A function that gives the URL of ``base``, served in one of ``WAYS``."""
    with ExitStack() as servers:

        def begin(way: str) -> str:
            if way == "daemon":
                return servers.enter_context(daemon(base))
            if way == "http":
                return servers.enter_context(http(base))
            return {"path": "", "file": "file://", "ssh": "ssh://hub.invalid"}[way] + str(base)

        yield begin


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Something in the environment of every process that the test starts; none is left at last."""
    text = f"gitstore-test-{os.getpid()}-{time.monotonic_ns()}"
    monkeypatch.setenv("TEST_MARK", text)
    yield text
    until = time.monotonic() + 5
    while left := processes_with(text):
        assert time.monotonic() < until, f"processes are left: {left}"
        time.sleep(0.02)
