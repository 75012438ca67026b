"""Remotes that refuse, hang, are slow or break off in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gitstore.sync.transport import RemoteSilent, Transport
from tests.sync.servers import Proxy, daemon, git, hanging, http, refs, through
from tests.sync.transports import commit, failure, fetch_all, make_large, whole_packs

FAILURES: dict[str, tuple[Callable[[Path, ExitStack], str], str]] = {
    "no path": (lambda base, stack: f"{base}/none.git", "no git repository"),
    "no repository": (lambda base, stack: str(base), "no git repository"),
    "daemon: no repository": (
        lambda base, stack: f"{stack.enter_context(daemon(base))}/none.git",
        "no git repository",
    ),
    "http: no repository": (
        lambda base, stack: f"{stack.enter_context(http(base))}/none.git",
        "no git repository",
    ),
    "git: refused": (lambda base, stack: "git://127.0.0.1:1/x.git", "connection was refused"),
    "http: refused": (lambda base, stack: "http://127.0.0.1:1/x.git", "connection was refused"),
    "git: no host": (lambda base, stack: "git://nowhere.invalid/x.git", "no host of that name"),
    "http: no host": (lambda base, stack: "http://nowhere.invalid/x.git", "no host of that name"),
    "http: 401": (
        lambda base, stack: f"{stack.enter_context(http(base, password='open'))}/theirs.git",
        "did not accept who you are",
    ),
    "http: 403": (
        lambda base, stack: f"{stack.enter_context(http(base, status=403))}/theirs.git",
        "HTTP 403",
    ),
    "http: 404": (
        lambda base, stack: f"{stack.enter_context(http(base, status=404))}/theirs.git",
        "no git repository",
    ),
    "http: 500": (
        lambda base, stack: f"{stack.enter_context(http(base, status=500))}/theirs.git",
        "HTTP 5xx",
    ),
    "protocol not allowed": (lambda base, stack: "ext::sh -c true", "does not allow"),
    "protocol not known": (lambda base, stack: "nosuch://host/x.git", "does not know"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_names_remote_and_cause(
    base: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """In one sentence, with a hint that says what to do; whatever was wanted of the remote."""
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    place, cause = FAILURES[what]
    with ExitStack() as stack:
        git(mine, "config", "remote.hub.url", place(base, stack))
        commit(mine, "refs/streams/mine", "one")
        transport = Transport(mine, "hub")
        for action in (transport.refs, lambda: transport.push(["refs/streams/mine"])):
            error = failure(action)
            assert str(error).startswith("remote 'hub': ")
            assert cause in error.cause
            assert error.stderr
            assert error.hint.endswith(".")


@pytest.mark.parametrize("server", [daemon, http], ids=["daemon", "http"])
def test_a_server_that_takes_no_pushes_says_so(
    base: Path, mine: Path, server: Callable[..., object]
) -> None:
    """It can still be read."""
    commit(mine, "refs/streams/mine", "one")
    with ExitStack() as stack:
        url = stack.enter_context(server(base, receive_pack=False))  # type: ignore[arg-type]
        transport = Transport(mine, f"{url}/theirs.git")
        assert len(transport.refs()) == 3
        error = failure(lambda: transport.push(["refs/streams/mine"]))
        assert "does not offer" in error.cause or "refused access" in error.cause


def test_no_message_holds_a_password(base: Path, mine: Path) -> None:
    """Neither the error nor what git said."""
    with http(base, password="open") as url:
        good = url.replace("//", "//ada:open@")
        assert len(Transport(mine, f"{good}/theirs.git").refs()) == 3
        error = failure(Transport(mine, f"{url.replace('//', '//ada:s3cret@')}/theirs.git").refs)
    assert "s3cret" not in f"{error} {error.remote} {error.stderr} {error.hint}"


def test_a_remote_that_lacks_objects_is_found_out(base: Path, mine: Path, tmp_path: Path) -> None:
    """Whether it notices itself or not."""
    theirs = base / "theirs.git"
    first = git(theirs, "rev-parse", "refs/streams/x~1").strip()
    (theirs / "objects" / first[:2] / first[2:]).unlink()
    error = failure(lambda: fetch_all(mine, f"file://{theirs}"))
    assert error.remote == f"file://{theirs}"
    assert first in error.stderr


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_remote_that_hangs_is_given_up(mark: str, mine: Path, scheme: str) -> None:
    """After so many seconds of silence; nothing that was started for it is left."""
    began = time.monotonic()
    with hanging(scheme) as url:
        git(mine, "config", "remote.hub.url", f"{url}/x.git")
        with pytest.raises(RemoteSilent) as caught:
            Transport(mine, "hub", timeout=0.5).refs()
    assert time.monotonic() - began < 5
    assert "'hub'" in str(caught.value)
    assert "said nothing for 0.5 s while asking for its refs" in str(caught.value)
    assert "--timeout" in caught.value.hint


def test_an_ssh_that_hangs_goes_with_all_it_started(
    mark: str, base: Path, mine: Path, fake_ssh: Path
) -> None:
    """Also where it does not heed that it is asked to end."""
    fake_ssh.write_text("#!/bin/sh\n[ \"$1\" = -G ] && exit 0\ntrap '' TERM HUP\nsleep 60\n")
    with pytest.raises(RemoteSilent):
        Transport(mine, f"ssh://hub.invalid{base}/theirs.git", timeout=0.5).refs()


@pytest.mark.parametrize("way", ["daemon", "http"])
def test_silence_in_the_middle_of_a_fetch_leaves_nothing_half_done(
    mark: str, serve: Callable[[str], str], base: Path, mine: Path, tmp_path: Path, way: str
) -> None:
    """No process, and nothing that git would take for a pack."""
    make_large(base / "theirs.git")
    into = tmp_path / "incoming"
    (into / "pack").mkdir(parents=True)
    with through(serve(way), down=100_000, stall=True) as proxy:
        transport = Transport(mine, f"{proxy.url}/theirs.git", timeout=0.7)
        with pytest.raises(RemoteSilent, match="while fetching"):
            transport.fetch(["refs/streams/*"], into)
    assert not whole_packs(into)


def test_silence_in_the_middle_of_a_push_moves_nothing(
    mark: str, serve: Callable[[str], str], base: Path, mine: Path
) -> None:
    """Here or there."""
    make_large(mine)
    with through(serve("daemon"), up=100_000, stall=True) as proxy:
        transport = Transport(mine, f"{proxy.url}/empty.git", timeout=0.7)
        with pytest.raises(RemoteSilent, match="while pushing"):
            transport.push(["refs/streams/*:refs/streams/*"])
    assert refs(base / "empty.git") == {}


def test_a_slow_remote_is_not_a_silent_one(
    serve: Callable[[str], str], base: Path, mine: Path
) -> None:
    """The deadline counts from the last sign of life, so a long transfer is not given up."""
    make_large(base / "theirs.git")
    seen: list[tuple[str, int, int]] = []
    with through(serve("daemon"), rate=80_000) as proxy:
        there = f"{urlsplit(proxy.url).netloc}/theirs.git"
        transport = Transport(
            mine,
            f"{proxy.url}/theirs.git",
            timeout=2.5,
            progress=lambda *told: seen.append(told),
        )
        began = time.monotonic()
        transport.fetch(["refs/streams/*"], mine / "objects")
        assert time.monotonic() - began > 2.5
    assert seen[:2] == [(f"Asking {there} for its refs", 0, 0), (f"Fetching from {there}", 0, 0)]
    assert (f"Receiving objects from {there}", 8, 8) in seen


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("way", ["daemon", "http"])
def test_a_fetch_that_breaks_off_can_be_repeated(
    mark: str, serve: Callable[[str], str], base: Path, mine: Path, way: str, part: float
) -> None:
    """It says that it broke off, leaves nothing, and the next one brings all."""
    make_large(base / "theirs.git")
    url = serve(way)
    with through(url, down=int(300_000 * part)) as proxy:
        transport = Transport(mine, f"{proxy.url}/theirs.git")
        error = failure(lambda: transport.fetch(["refs/streams/*"], mine / "objects"))
    assert "broke off" in error.cause, error.stderr
    assert not whole_packs(mine / "objects")
    Transport(mine, f"{url}/theirs.git").fetch(["refs/streams/*"], mine / "objects")
    assert whole_packs(mine / "objects")


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("way", ["daemon", "http"])
def test_a_push_that_breaks_off_can_be_repeated(
    mark: str, serve: Callable[[str], str], base: Path, mine: Path, way: str, part: float
) -> None:
    """It says that it broke off, and leaves each ref of the remote where it was."""
    make_large(mine)
    commit(mine, "refs/streams/x", "one")
    url = serve(way)
    everything = ["refs/streams/*:refs/streams/*"]
    with through(url, up=int(300_000 * part)) as proxy:
        transport = Transport(mine, f"{proxy.url}/empty.git")
        error = failure(lambda: transport.push(everything))
    assert "broke off" in error.cause, error.stderr
    assert refs(base / "empty.git") == {}
    Transport(mine, f"{url}/empty.git").push(everything)
    assert refs(base / "empty.git") == refs(mine)


@pytest.mark.parametrize("way", ["daemon", "http"])
def test_a_push_whose_answer_is_lost_is_no_success(
    serve: Callable[[str], str], base: Path, mine: Path, way: str
) -> None:
    """The remote may have taken it; the next push finds out."""
    commit(mine, "refs/streams/x", "one")
    url = serve(way)
    refspec = ["refs/streams/x"]
    with through(url) as whole:
        Transport(mine, f"{whole.url}/empty.git").push(refspec)
    git(base / "empty.git", "update-ref", "-d", "refs/streams/x")
    with through(url, down=_last_answer(whole, way)) as proxy:
        error = failure(lambda: Transport(mine, f"{proxy.url}/empty.git").push(refspec))
    assert "broke off" in error.cause, error.stderr
    pushed = Transport(mine, f"{url}/empty.git").push(refspec)
    assert pushed[0].status in {"new", "same"}


def _last_answer(whole: Proxy, way: str) -> int:
    """How many bytes come back before the report of a push is complete."""
    return whole.carried[0] - (40 if way == "http" else 20)


@pytest.mark.parametrize("way", ["daemon", "http"])
@pytest.mark.parametrize("at", [0, 10, 60, 150, 250, 350])
def test_a_connection_that_breaks_off_early_is_no_empty_remote(
    serve: Callable[[str], str], base: Path, tmp_path: Path, way: str, at: int
) -> None:
    """Of a cut answer over HTTP plain git makes a repository without refs, and a success."""
    with through(serve(way), down=at) as proxy:
        transport = Transport(None, f"{proxy.url}/theirs.git")
        assert "broke off" in failure(transport.refs).cause
        assert "broke off" in failure(lambda: transport.clone(tmp_path / "clone.git")).cause
    assert not (tmp_path / "clone.git").exists()
