"""Pushes that are disturbed: by the remote, by the line, by other machines, by kill -9."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.backends.git.relating import Relation
from gitstore.sync.pushing import push
from gitstore.sync.transport import RemoteFailed, RemoteSilent
from tests.backends.git import programs
from tests.sync import servers
from tests.sync.machines import check_sound, expected, machine, opened, pushed, record
from tests.sync.servers import bare, git, hook, refs

MANY = [f"task-{n}" for n in range(300)]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """An empty bare repository."""
    return bare(tmp_path / "hub.git")


@pytest.fixture
def laptop(tmp_path: Path, hub: Path) -> Path:
    """A store with 300 streams, whose remote is ``hub``."""
    where = machine(tmp_path / "laptop.git", "laptop", hub=hub)
    record(where, *MANY)
    return where


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_remote_that_hangs_is_given_up(laptop: Path, scheme: str) -> None:
    """After so many seconds of silence the push ends, and nothing was changed here."""
    before = refs(laptop)
    with servers.hanging(scheme) as base:
        git(laptop, "config", "remote.hub.url", f"{base}/hub.git")
        with pytest.raises(RemoteSilent, match=r"'hub'.*nothing for 0\.5 s"):
            pushed(laptop, timeout=0.5)
    assert refs(laptop) == before
    check_sound(laptop)


@pytest.mark.parametrize("server", ["daemon", "http"])
def test_a_remote_that_takes_no_pushes_is_named(laptop: Path, hub: Path, server: str) -> None:
    """A server without receive-pack refuses, which is said, and changes nothing."""
    with getattr(servers, server)(hub.parent, receive_pack=False) as base:
        git(laptop, "config", "remote.hub.url", f"{base}/hub.git")
        with pytest.raises(RemoteFailed, match="'hub'"):
            pushed(laptop)
    assert refs(hub) == {}
    check_sound(laptop)


@pytest.mark.parametrize("up", [0, 300, 3_000, 20_000, 60_000])
def test_what_broke_off_is_completed(laptop: Path, hub: Path, up: int) -> None:
    """The line is cut after some bytes: an error, and the next push brings the rest."""
    with servers.daemon(hub.parent) as base:
        with servers.through(base, up=up) as line:
            git(laptop, "config", "remote.hub.url", f"{line.url}/hub.git")
            with pytest.raises(RemoteFailed, match="'hub'"):
                pushed(laptop)
        git(laptop, "config", "remote.hub.url", f"{base}/hub.git")
        assert pushed(laptop).is_complete
    assert refs(hub) == expected(laptop)
    check_sound(laptop)


def test_a_remote_that_breaks_off_between_chunks_keeps_what_it_took(
    laptop: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went through stays, and is not sent again."""
    monkeypatch.setattr("gitstore.sync.pushing._AT_ONCE", 100)
    hook(hub, "pre-receive", f'[ -f "{hub}/refs/streams/task-0" ] && exit 1; exit 0')
    report = pushed(laptop)
    assert (len(report.pushed), len(report.refused)) == (100, 202)
    hook(hub, "pre-receive", "exit 0")
    again = pushed(laptop)
    assert len(again.pushed) == 200
    assert refs(hub) == expected(laptop)


def test_many_chunks_come_to_the_same(
    laptop: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many refs go at once, the remote has all of them in the end."""
    monkeypatch.setattr("gitstore.sync.pushing._AT_ONCE", 7)
    told: list[tuple[int, int]] = []
    pushed(laptop, progress=lambda what, done, total: told.append((done, total)))
    assert refs(hub) == expected(laptop)
    assert (300, 300) in told


@pytest.fixture
def desktop(tmp_path: Path, laptop: Path, hub: Path) -> Path:
    """A second machine that has gone on with task-1, and pushed nothing of it yet."""
    pushed(laptop)
    where = tmp_path / "desktop.git"
    git(hub, "clone", "--quiet", "--mirror", hub, where)
    git(where, "remote", "remove", "origin")
    machine(where, "desktop", hub=hub)
    record(where, "task-1", by="bob")
    return where


def test_a_stream_that_moves_in_between_is_named(laptop: Path, desktop: Path, hub: Path) -> None:
    """Somebody is faster after our look: git refuses, and their version is fetched and named."""
    git(hub, "fetch", "--quiet", desktop, "refs/streams/task-1:refs/heads/aside")
    theirs = refs(hub)["refs/heads/aside"]
    move = f"git update-ref refs/streams/task-1 {theirs}"
    hook(hub, "update", f'[ "$1" = refs/streams/task-1 ] && {move}; exit 0')
    record(laptop, "task-1", "task-1", "task-2")
    report = pushed(laptop)
    assert report.diverged == {"task-1": Relation("diverged", 2, 1, 1)}
    assert report.pushed == {"task-2": (1, 2)}
    assert not report.refused
    assert refs(hub)["refs/streams/task-1"] == theirs
    assert refs(laptop)["refs/remotes/hub/streams/task-1"] == theirs


def test_a_type_index_that_moves_in_between_is_joined_again(
    laptop: Path, desktop: Path, hub: Path
) -> None:
    """Two machines push at once: the second joins its index with what the first has brought."""
    with opened(desktop) as store:
        store.index_types()
        store.exchange.join_types(refs(hub)["refs/notes/types"])
    git(hub, "fetch", "--quiet", desktop, "refs/notes/types:refs/notes/aside")
    theirs = refs(hub)["refs/notes/aside"]
    first = f'[ "$1" = refs/notes/types ] && ! [ -f {hub}/once ] && touch {hub}/once'
    hook(hub, "update", f"{first} && git update-ref refs/notes/types {theirs}; exit 0")
    record(laptop, "task-2")
    assert pushed(laptop).is_complete
    there = refs(hub)["refs/notes/types"]
    assert there == refs(laptop)["refs/notes/types"] != theirs
    git(hub, "merge-base", "--is-ancestor", theirs, there)


def test_a_feed_that_is_always_anothers_is_given_up(laptop: Path, hub: Path) -> None:
    """Whatever this machine is called, somebody stands there: said, and all else is pushed."""
    empty = git(hub, "hash-object", "-wt", "tree", "--stdin").strip()
    make = f"git -c user.name=e -c user.email=e commit-tree -m $$ {empty}"
    hook(hub, "update", f"case $1 in refs/feeds/*) git update-ref $1 $({make});; esac; exit 0")
    report = pushed(laptop)
    assert len(report.pushed) == 300
    assert list(report.refused) == [f"refs/feeds/{report.machine}"]
    check_sound(laptop)


def start_push(where: Path) -> subprocess.Popen[bytes]:
    """The command, as a process."""
    command = [sys.executable, "-m", "gitstore_cli", "--store", str(where), "push", "hub"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_two_first_pushes_at_once_both_go_through(laptop: Path, tmp_path: Path, hub: Path) -> None:
    """Two machines fill an empty remote together."""
    other = machine(tmp_path / "other.git", "other", hub=hub)
    record(other, *(f"session-{n}" for n in range(300)), by="bob")
    running = [start_push(laptop), start_push(other)]
    assert [process.wait(60) for process in running] == [0, 0]
    there = refs(hub)
    for where in (laptop, other):
        ours = expected(where)
        del ours["refs/notes/types"]
        assert ours.items() <= there.items()


def test_appends_go_on_during_a_push(laptop: Path, hub: Path) -> None:
    """None is lost, none waits for the remote; what was not pushed goes with the next push."""
    hook(hub, "pre-receive", "sleep 2")
    said: list[tuple[float, list[list[object]]]] = []
    with programs.start("write", str(laptop), "single", 7, 5, 1_000_000) as writer:
        assert writer.stdout is not None
        lines = iter(writer.stdout)
        assert json.loads(next(lines)) == "ready"

        def listen() -> None:
            whole = (line for line in lines if line.endswith("\n"))
            said.extend((time.monotonic(), json.loads(line)) for line in whole)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            pushed(laptop)
        finally:
            writer.kill()
            listener.join()
    pauses = [later - earlier for (earlier, _), (later, _) in pairwise(said)]
    assert len(said) > 100
    assert max(pauses) < 1.5, "no append waited for the remote"
    hook(hub, "pre-receive", "exit 0")
    pushed(laptop)
    assert refs(hub) == expected(laptop)
    with opened(laptop) as store:
        recorded = {event.event.id for event in store.read_all()}
    assert {ack[4] for _, acks in said for ack in acks} <= recorded
    check_sound(laptop)


def test_a_stream_that_cannot_be_moved_into_git_is_not_pushed_half(laptop: Path, hub: Path) -> None:
    """It stays here with all of its events, and is named; all others go."""
    pushed(laptop)
    record(laptop, "task-2")
    stuck = laptop / "refs" / "streams" / "task-1.lock"
    with opened(laptop) as store:
        stuck.touch()
        store.append(DomainEvent("task-1", "Noted", {}))
        report = push(store, "hub")
        assert list(report.waiting) == ["task-1"]
        assert report.pushed == {"task-2": (1, 2)}
        assert not report.is_complete
        stuck.unlink()
        assert push(store, "hub").pushed == {"task-1": (1, 2)}
    assert refs(hub) == expected(laptop)


@pytest.mark.parametrize(
    "rounds", [pytest.param(4, id="short"), pytest.param(60, id="soak", marks=pytest.mark.soak)]
)
def test_a_killed_push_is_completed_by_the_next(laptop: Path, hub: Path, rounds: int) -> None:
    """Kill -9 at any moment: the store is sound, and the next push brings the rest."""
    chance = random.Random(rounds)
    for number in range(rounds):
        record(laptop, *chance.sample(MANY, 40), f"note-{number}")
        process = start_push(laptop)
        time.sleep(chance.uniform(0.1, 0.9))
        process.kill()
        process.wait()
    eventually_complete(laptop)
    assert refs(hub) == expected(laptop)
    check_sound(laptop)


def eventually_complete(where: Path) -> None:
    """Push; a git that outlived its killed parent may still be at it at the first try."""
    until = time.monotonic() + 10
    while not pushed(where).is_complete:
        assert time.monotonic() < until
