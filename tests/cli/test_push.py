"""``sc-events push``: which remote, what is answered, and how it ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gitstore.sync.pushreport import estimate
from tests.cli.conftest import HISTORY, Cli, record
from tests.sync import servers
from tests.sync.servers import bare, git, hook, refs


@pytest.fixture
def hub(cli: Cli) -> Path:
    """An empty repository, which is the default store's remote."""
    record(cli.default_store, HISTORY)
    hub = bare(cli.cwd / "hub.git")
    cli.ok("remote", "add", "hub", hub)
    return hub


def streams(repository: Path) -> dict[str, str]:
    """The refs of a repository's streams."""
    return refs(repository, "refs/streams")


def test_everything_goes_to_the_only_remote(cli: Cli, hub: Path) -> None:
    """Without a name it is the only remote; all is there afterwards, and the code is 0."""
    ran = cli.ok("push")
    assert streams(hub) == streams(cli.default_store)
    assert {row["stream"]: row["to"] for row in ran.jsonl} == {
        "session-1": 1, "task-AUTH-001": 3, "task-AUTH-002": 1, "worktree-feature/auth": 1,
    }  # fmt: skip
    assert "6 events in 4 streams to hub" in ran.err
    assert cli.ok("push").out == ""


def test_of_several_remotes_origin_is_meant(cli: Cli, hub: Path) -> None:
    """A remote may be named; unnamed it is origin, and without one the choice is listed."""
    other = bare(cli.cwd / "other.git")
    cli.ok("remote", "add", "stick", other)
    ran = cli("push")
    assert ran.code == 2
    assert "Name one of: hub, stick." in ran.err
    cli.ok("push", "stick")
    assert streams(other) == streams(cli.default_store)
    cli.ok("remote", "add", "origin", bare(cli.cwd / "third.git"))
    assert "to origin" in cli.ok("push").err
    assert not streams(hub)


def test_a_remote_that_is_not_there_is_a_mistake(cli: Cli, hub: Path) -> None:
    """An unknown name is an error; the hint lists those there are."""
    ran = cli("push", "hubb")
    assert ran.code == 1
    assert "There are: hub." in ran.err


def test_what_is_declined_is_a_failure(cli: Cli, hub: Path) -> None:
    """A hook's words are passed on, its control characters are not; all else goes; exit 1."""
    hook(hub, "update", r'[ "$1" != refs/streams/session-1 ] || { printf "\033[31mno\n"; exit 1; }')
    ran = cli("push")
    assert ran.code == 1
    (refused,) = [row for row in ran.jsonl if row["state"] == "refused"]
    assert refused["stream"] == "session-1"
    assert "hub says: " in ran.err
    assert "\x1b" not in ran.err + ran.out
    assert len(streams(hub)) == 3


def test_diverged_streams_end_with_three(cli: Cli, hub: Path) -> None:
    """Both versions and the way to see more are said; what is only newer there ends with 0."""
    cli.ok("push")
    other = cli.cwd / "other.git"
    git(hub, "clone", "--quiet", "--mirror", hub, other)
    cli.ok("append", "--store", other, "task-AUTH-001", "Noted")
    cli.ok("append", "--store", other, "session-1", "Noted")
    git(other, "push", "--quiet", hub, "refs/streams/*:refs/streams/*")
    ran = cli.ok("push")
    assert {row["state"] for row in ran.jsonl} == {"behind"}
    cli.ok("append", "task-AUTH-001", "Moved")
    cli.ok("append", "task-AUTH-001", "Moved")
    ran = cli("push")
    assert ran.code == 3
    assert ran.jsonl[0] == {
        "stream": "task-AUTH-001", "state": "diverged", "ahead": 2, "behind": 1, "fork": 3,
    }  # fmt: skip
    assert "sc-events compare hub --stream task-AUTH-001" in ran.err


def test_silence_ends_after_the_timeout(cli: Cli, hub: Path) -> None:
    """A remote that says nothing is named, with how long it was waited for."""
    with servers.hanging() as base:
        git(cli.default_store, "config", "remote.hub.url", f"{base}/hub.git")
        ran = cli("push", "--timeout", "0.3")
    assert ran.code == 1
    assert "remote 'hub': it said nothing for 0.3 s" in ran.err


def test_a_long_push_is_announced(cli: Cli, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before what is slow on the other side, how long it may take is said, once."""
    monkeypatch.setattr("gitstore.sync.pushreport._MANY", 3)
    ran = cli.ok("push")
    assert "4 new streams: the other side writes a file for each" in ran.err
    assert "new streams" not in cli.ok("push").err


@pytest.mark.parametrize(
    ("count", "words"),
    [(30_000, "9 s to 2 minutes"), (1_000_000, "5 minutes to 58 minutes")],
    ids=["seconds", "minutes"],
)
def test_an_estimate_is_readable(cli: Cli, count: int, words: str) -> None:
    """Seconds for what is short, minutes for what is long."""
    from gitstore_cli.commands.push import _say_estimate
    from gitstore_cli.env import Env
    from gitstore_cli.render.progress import ProgressBar

    said = io.StringIO()
    env = Env(cli.cwd, cli.home, io.BytesIO(), io.StringIO(), said, {})
    expected = estimate(count)
    assert expected is not None
    _say_estimate(env, ProgressBar(env), expected)
    assert words in said.getvalue()
