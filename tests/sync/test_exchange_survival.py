"""Push, pull and clone as commands, ill treated: killed, cut off, kept waiting, written beside."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitstore import DomainEvent, open_store
from tests.backends.git.witness import assert_sound, git, leftovers, reopen
from tests.sync import servers
from tests.sync.peers import machine, stream_refs

_STREAMS, _EVENTS = 60, 900


def _run(store: Path, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """One command line, to its end."""
    return subprocess.run(
        _command(store, *arguments), capture_output=True, text=True, timeout=timeout, check=False
    )


def _command(store: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "gitstore_cli", "--store", str(store), *map(str, arguments)]


def _fill(path: Path, mark: str, events: int = _EVENTS) -> None:
    with open_store(path) as store:
        store.append_many(
            [DomainEvent(f"{mark}-{n % _STREAMS}", "Noted", {"n": n}) for n in range(events)]
        )


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A served bare repository, and its URL."""
    base = tmp_path / "served"
    servers.bare(base / "hub.git")
    with servers.daemon(base) as url:
        yield base / "hub.git", f"{url}/hub.git"


def _kill_until_done(store: Path, *arguments: object, chance: random.Random, kills: int) -> None:
    """Kill -9 the command at random moments, then let it end; it must end well."""
    for _ in range(kills):
        child = subprocess.Popen(
            _command(store, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            child.wait(chance.uniform(0.15, 1.2))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    done = _run(store, *arguments)
    assert done.returncode == 0, done.stderr


def _survives_kills(tmp_path: Path, hub: tuple[Path, str], kills: int, seed: int) -> None:
    chance = random.Random(seed)
    served, url = hub
    laptop, desktop, third = (tmp_path / f"{name}.git" for name in ("laptop", "desktop", "third"))
    for store, mark in ((laptop, "l"), (desktop, "d")):
        _fill(store, mark)
        machine(store, url).close()
    _kill_until_done(laptop, "push", "hub", chance=chance, kills=kills)
    _kill_until_done(desktop, "pull", "hub", chance=chance, kills=kills)
    _kill_until_done(desktop, "push", "hub", chance=chance, kills=kills)
    _kill_until_done(laptop, "pull", "hub", chance=chance, kills=kills)
    for _ in range(kills):
        child = subprocess.Popen(
            _command(third, "clone", url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.15, 1.2))
        child.kill()
        child.wait()
    if not third.exists():
        done = _run(third, "clone", url)
        assert done.returncode == 0, done.stderr
    refs = [dict(stream_refs(place)) for place in (laptop, desktop, third, served)]
    assert refs[0] == refs[1] == refs[2] == refs[3]
    assert len(refs[0]) == 2 * _STREAMS
    for store in (laptop, desktop, third):
        assert len(assert_sound(store)) == 2 * _EVENTS
    assert git(served, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_every_command_may_be_killed_and_run_again(tmp_path: Path, hub: tuple[Path, str]) -> None:
    """Kill -9 of push, pull and clone at random moments: run again, all machines agree."""
    _survives_kills(tmp_path, hub, kills=3, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_every_command_may_be_killed_often(
    tmp_path: Path, hub: tuple[Path, str], seed: int
) -> None:
    """The same, many times."""
    _survives_kills(tmp_path, hub, kills=12, seed=seed)


_WRITER = """
import json, sys, time
from gitstore import DomainEvent, open_store
with open_store(sys.argv[1]) as store:
    n = 0
    while True:
        begun = time.monotonic()
        recorded = store.append(DomainEvent(f"live-{n % 5}", "Noted", {"n": n}))
        took = time.monotonic() - begun
        print(json.dumps([recorded.stream_id, recorded.version, recorded.commit, took]), flush=True)
        n += 1
        time.sleep(0.002)
"""


@contextmanager
def _appending(store: Path) -> Iterator[list[list[object]]]:
    """A process that appends all the while; what it acknowledged is in the list at the end."""
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    said: list[list[object]] = []
    try:
        said.append(json.loads(writer.stdout.readline()))
        yield said
    finally:
        writer.terminate()
        lines = writer.stdout.readlines()
        writer.wait()
        said += [json.loads(line) for line in lines if line.endswith("\n")]


def test_appends_go_on_during_every_command(tmp_path: Path, hub: tuple[Path, str]) -> None:
    """None is lost, and none waits much longer than for a flush, whatever goes on beside it."""
    _, url = hub
    laptop, desktop = tmp_path / "laptop.git", tmp_path / "desktop.git"
    _fill(laptop, "l", 12_000)
    for store in (laptop, desktop):
        machine(store, url).close()
    with _appending(laptop) as said:
        for command in (("push", "hub"), ("pull", "hub"), ("compare", "hub"), ("status",)):
            done = _run(laptop, *command)
            assert done.returncode in (0, 3), done.stderr
    with _appending(desktop) as more:
        done = _run(desktop, "pull", "hub")
        # Both have appended to the streams `live-…`.
        assert done.returncode == 3, done.stderr
    for store, acks in ((laptop, said), (desktop, more)):
        with reopen(store) as opened:
            for stream, version, commit, took in acks:
                assert isinstance(took, float)
                assert took < 5.0, "an append was held up"
                held = next(opened.read_stream(str(stream), int(str(version)) - 1, limit=1))
                assert held.commit == commit
            assert opened.verify().ok


@pytest.mark.parametrize("command", ["push", "pull", "clone"])
@pytest.mark.parametrize("fault", ["hangs", "breaks"])
def test_a_bad_line_ends_in_a_message(tmp_path: Path, command: str, fault: str) -> None:
    """A remote that hangs or breaks off is named with the cause; nothing is half done."""
    base = tmp_path / "served"
    served = servers.bare(base / "hub.git")
    _fill(tmp_path / "source.git", "s")
    with servers.daemon(base) as url:
        machine(tmp_path / "source.git", f"{url}/hub.git").close()
        if command != "push":
            assert _run(tmp_path / "source.git", "push", "hub").returncode == 0
        target = tmp_path / "source.git" if command == "push" else tmp_path / "target.git"
        with _faulty(fault, url, command) as bad:
            if command == "pull":
                machine(target, f"{bad}/hub.git").close()
            elif command == "push":
                git(target, "config", "remote.hub.url", f"{bad}/hub.git")
            words = [command, f"{bad}/hub.git" if command == "clone" else "hub", "--timeout", "2"]
            done = _run(target, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Error: " in done.stderr
    assert ("hub" in done.stderr) or (bad in done.stderr)
    assert "Traceback" not in done.stderr
    if command == "clone":
        assert not target.exists()
        assert not list(tmp_path.glob(".target*"))
    else:
        assert_sound(target)
        assert not [name for name in leftovers(target) if "incoming" in name or "push" in name]
    assert git(served, "fsck", "--no-dangling", "--no-progress") == ""


@contextmanager
def _faulty(fault: str, url: str, command: str) -> Iterator[str]:
    if fault == "hangs":
        with servers.hanging() as bad:
            yield bad
        return
    with servers.through(url, **{"up" if command == "push" else "down": 20_000}) as proxy:
        yield proxy.url
