"""Transport amid what users have set up: configuration, environment, hooks, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import gitstore
from gitstore.core.errors import StoreUnavailable
from gitstore.sync.transport import PushedRef, Transport
from tests.sync.servers import bare, git, hanging, hook, processes_with, refs
from tests.sync.support import several
from tests.sync.transports import FAKE_SSH, commit, configure, make_large, packs


def test_a_url_is_rewritten_as_the_user_says(
    base: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``url.….insteadOf`` of the global configuration counts."""
    configure(tmp_path, monkeypatch, f'[url "{base}/"]\n\tinsteadOf = hub:\n')
    git(mine, "config", "remote.hub.url", "hub:theirs.git")
    assert len(Transport(mine, "hub").refs()) == 3


def test_the_environment_leads_git_nowhere_else(
    base: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook of another repository, which has these variables set."""
    other = bare(tmp_path / "other.git")
    commit(other, "refs/streams/other", "one")
    monkeypatch.setenv("GIT_DIR", str(other))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / "objects"))
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.hub.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(other))
    into = tmp_path / "incoming"
    (into / "pack").mkdir(parents=True)
    monkeypatch.setenv("LC_ALL", "C")
    before = packs(other)
    subprocess.run(
        ["git", "config", "--file", mine / "config", "remote.hub.url", base / "theirs.git"],
        check=True,
    )
    transport = Transport(mine, "hub")
    assert set(transport.refs()) == {f"refs/streams/{name}" for name in "xyz"}
    transport.fetch(["refs/streams/*"], into)
    assert len(packs(into)) >= 2
    assert packs(other) == before


def test_the_users_hooks_are_not_run(
    base: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A global ``pre-push`` checks people's code; nobody's events wait for it."""
    ran = tmp_path / "ran"
    hook(tmp_path, "pre-push", f"touch {ran}; exit 1")
    configure(tmp_path, monkeypatch, f"[core]\n\thooksPath = {tmp_path}/hooks\n")
    commit(mine, "refs/streams/x", "one")
    pushed = Transport(mine, str(base / "empty.git")).push(["refs/streams/x"])
    assert pushed == [PushedRef("refs/streams/x", "new")]
    assert not ran.exists()


HARMLESS = """\
[push]
    followTags = true
    default = nothing
    gpgSign = if-asked
    recurseSubmodules = check
    autoSetupRemote = true
[fetch]
    prune = true
    pruneTags = true
    fsckObjects = true
    writeCommitGraph = true
    recurseSubmodules = true
    all = true
    unpackLimit = 100000
[transfer]
    fsckObjects = true
[receive]
    fsckObjects = true
[remote]
    pushDefault = nowhere
[clone]
    defaultRemoteName = upstream
[init]
    defaultBranch = trunk
[color]
    ui = always
[core]
    logAllRefUpdates = always
[commit]
    gpgSign = true
[tag]
    gpgSign = true
"""


@pytest.mark.parametrize("way", ["file", "http"])
def test_what_else_users_configure_does_no_harm(
    serve: Callable[[str], str],
    base: Path,
    mine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """Events are pushed and fetched as without it; git's own check of objects passes them."""
    url = serve(way)
    configure(tmp_path, monkeypatch, HARMLESS)
    with gitstore.open_store(tmp_path / "events.git") as store:
        store.append_many(several(30))
    events = tmp_path / "events.git"
    git(events, "update-ref", "refs/tags/v1", "refs/heads/main")
    pushed = Transport(events, f"{url}/empty.git").push(
        ["refs/heads/main", "refs/streams/*:refs/streams/*"]
    )
    assert {ref.status for ref in pushed} == {"new"}
    assert not refs(base / "empty.git", "refs/tags")
    transport = Transport(mine, f"{url}/empty.git")
    transport.fetch(["refs/streams/*"], mine / "objects")
    assert [path for path in packs(mine / "objects") if not path.startswith("pack/")] == []
    assert refs(mine) == {}
    transport.clone(tmp_path / "clone.git")
    assert git(tmp_path / "clone.git", "remote") == "origin\n"
    assert refs(tmp_path / "clone.git") == refs(base / "empty.git")


def test_a_process_that_ssh_leaves_behind_is_not_waited_for(
    base: Path, mine: Path, fake_ssh: Path, tmp_path: Path
) -> None:
    """It keeps the connection for later, and git's standard error open."""
    left = tmp_path / "left"
    script = FAKE_SSH.replace("exec sh", f"sleep 60 <&- >&- & echo $! > {left}\nexec sh")
    fake_ssh.write_text(script)
    began = time.monotonic()
    try:
        assert len(Transport(mine, f"ssh://hub.invalid{base}/theirs.git").refs()) == 3
        assert time.monotonic() - began < 10
        os.kill(int(left.read_text()), 0)
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


INTERRUPTED = """\
import sys
from pathlib import Path
from gitstore.sync.transport import Transport
print("begin", flush=True)
Transport(None, sys.argv[1]).refs()
"""


def test_an_interrupt_ends_what_was_started(mark: str) -> None:
    """Ctrl-C, also where only this process gets it."""
    with hanging("http") as url:
        child = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, f"{url}/x.git"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begin\n"
            until = time.monotonic() + 20
            while not any("remote-http" in told for told in processes_with(mark)):
                assert time.monotonic() < until
                time.sleep(0.05)
            child.send_signal(signal.SIGINT)
            _, complaint = child.communicate(timeout=20)
        finally:
            child.kill()
            child.communicate()
    assert "KeyboardInterrupt" in complaint


def test_a_caller_that_raises_ends_what_was_started(
    mark: str, serve: Callable[[str], str], base: Path, mine: Path
) -> None:
    """What progress raises comes out, and nothing runs on."""
    make_large(base / "theirs.git")

    def stop(_what: str, _done: int, total: int) -> None:
        if total:  # git has begun
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Transport(mine, f"file://{base}/theirs.git", progress=stop).fetch(
            ["refs/streams/*"], mine / "objects"
        )


def test_without_git_it_says_so(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And names what to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StoreUnavailable, match="git is not installed"):
        Transport(mine, "hub").refs()
