"""Transport over real connections on loopback: paths, daemon, smart HTTP, something like ssh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import gitstore
from gitstore.core.errors import StoreUnavailable
from gitstore.sync.transport import PushedRef, RemoteFailed, RemoteSilent, Transport
from tests.sync.servers import (
    Proxy,
    bare,
    daemon,
    git,
    hanging,
    hook,
    http,
    processes_with,
    refs,
    through,
)
from tests.sync.support import several

WAYS = ("path", "file", "daemon", "http", "ssh")
FAKE_SSH = """\
#!/bin/sh
[ "$1" = -G ] && exit 0
for command; do :; done
exec sh -c "$command"
"""
"""What ssh does, without going anywhere: it runs the last argument."""


def commit(repository: Path, ref: str, *texts: str) -> str:
    """A chain of commits on a ref, one for each text; gives the last one's id."""
    tree = git(repository, "mktree").strip()
    identity = "T <t@example.org> 1700000000 +0000"
    tip = ""
    for text in texts:
        parent = f"parent {tip}\n" if tip else ""
        raw = f"tree {tree}\n{parent}author {identity}\ncommitter {identity}\n\n{text}\n"
        arguments = ("hash-object", "-t", "commit", "-w", "--stdin")
        tip = git(repository, *arguments, given=raw.encode()).strip()
    git(repository, "update-ref", ref, tip)
    return tip


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


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make ``text`` the user's global git configuration."""
    path = folder / "gitconfig"
    path.write_text(text)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))


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


def packs(objects: Path) -> list[str]:
    """The files of an object directory, relative to it."""
    return sorted(str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file())


def whole_packs(objects: Path) -> list[str]:
    """Those of them that git reads; what it had begun is called ``tmp_…``."""
    return [path for path in packs(objects) if not path.startswith("pack/tmp_")]


def failure(action: Callable[[], object]) -> RemoteFailed:
    """How it fails, which it must."""
    with pytest.raises(RemoteFailed) as caught:
        action()
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_refs_are_those_of_the_remote(serve: Callable[[str], str], base: Path, way: str) -> None:
    """Full names and ids, whatever the connection; none of an empty repository."""
    url = serve(way)
    assert Transport(None, f"{url}/theirs.git").refs() == refs(base / "theirs.git")
    assert Transport(None, f"{url}/empty.git").refs() == {}


def test_refs_leave_out_head_and_what_tags_point_to(base: Path) -> None:
    """A tag is listed once, as it is."""
    theirs = base / "theirs.git"
    commit(theirs, "refs/heads/main", "main")
    git(theirs, "-c", "user.name=t", "-c", "user.email=t@x", "tag", "-a", "-m", "t", "v1", "main")
    assert Transport(None, str(theirs)).refs() == refs(theirs)


@pytest.mark.parametrize("way", WAYS)
def test_a_fetch_brings_objects_and_moves_nothing(
    serve: Callable[[str], str], base: Path, mine: Path, tmp_path: Path, way: str
) -> None:
    """They come as one pack into the directory that is named; the repository stays as it was."""
    into = tmp_path / "in:coming" / "objects"
    (into / "pack").mkdir(parents=True)
    before = packs(mine)
    Transport(mine, f"{serve(way)}/theirs.git").fetch(["refs/streams/*"], into)
    assert {Path(path).suffix for path in packs(into)} - {".rev"} == {".pack", ".idx"}
    assert len(packs(into)) <= 3
    assert packs(mine) == before
    for tip in refs(base / "theirs.git").values():
        subprocess.run(
            ["git", f"--git-dir={mine}", "rev-list", "--objects", tip],
            env={**os.environ, "GIT_OBJECT_DIRECTORY": str(into)},
            check=True,
            capture_output=True,
        )


def test_a_fetch_asks_for_what_is_not_here(base: Path, mine: Path, tmp_path: Path) -> None:
    """What the repository's refs reach is not sent again, wherever the objects go."""
    theirs = base / "theirs.git"
    Transport(mine, str(theirs)).fetch(["refs/streams/x"], mine / "objects")
    git(mine, "update-ref", "refs/streams/x", refs(theirs)["refs/streams/x"])
    into = tmp_path / "incoming"
    (into / "pack").mkdir(parents=True)
    Transport(mine, str(theirs)).fetch(["refs/streams/*"], into)
    index = next((into / "pack").glob("*.idx"))
    listed = git(mine, "show-index", given=index.read_bytes()).splitlines()
    assert len(listed) == 2, "the second commits of y and z"


def test_a_fetch_takes_names_patterns_and_ids(base: Path, mine: Path) -> None:
    """And a pattern may match nothing, as for a remote that has no feeds yet."""
    theirs = base / "theirs.git"
    tips, objects = refs(theirs), mine / "objects"
    transport = Transport(mine, str(theirs))
    transport.fetch(["refs/feeds/*"], objects)
    assert not packs(objects)
    transport.fetch([tips["refs/streams/z"], "refs/streams/x", "refs/feeds/*"], objects)
    for name in "xz":
        assert git(mine, "cat-file", "-t", tips[f"refs/streams/{name}"]) == "commit\n"
    assert failure(lambda: transport.fetch(["refs/streams/none"], objects)).lacks_ref


def test_a_fetch_of_an_id_that_is_not_there_says_so(base: Path, mine: Path) -> None:
    """As after a ref was deleted and pruned there; it is known by ``lacks_ref``."""
    transport = Transport(mine, str(base / "theirs.git"))
    error = failure(lambda: transport.fetch(["1" * 40], mine / "objects"))
    assert error.lacks_ref
    assert "changed" in error.cause


def test_a_remote_that_lacks_objects_is_found_out(base: Path, mine: Path, tmp_path: Path) -> None:
    """Whether it notices itself or not."""
    theirs = base / "theirs.git"
    first = git(theirs, "rev-parse", "refs/streams/x~1").strip()
    (theirs / "objects" / first[:2] / first[2:]).unlink()
    error = failure(lambda: _fetch_all(mine, f"file://{theirs}"))
    assert error.remote == f"file://{theirs}"
    assert first in error.stderr


def test_a_bundle_is_a_remote(base: Path, mine: Path, tmp_path: Path) -> None:
    """Its refs are listed and fetched; one that builds on more than is here says so."""
    theirs, whole, part = base / "theirs.git", tmp_path / "whole", tmp_path / "part"
    git(theirs, "bundle", "create", whole, "--all")
    git(theirs, "bundle", "create", part, "refs/streams/x", "^refs/streams/x~1")
    assert "builds on commits" in failure(lambda: _fetch_all(mine, part)).cause
    assert Transport(mine, str(whole)).refs() == refs(theirs)
    _fetch_all(mine, whole)
    _fetch_all(mine, part)


def _fetch_all(repository: Path, remote: object) -> None:
    Transport(repository, str(remote)).fetch(["refs/streams/*"], repository / "objects")


@pytest.mark.parametrize("way", WAYS)
def test_a_push_says_what_became_of_each_ref(
    serve: Callable[[str], str], base: Path, mine: Path, way: str
) -> None:
    """New, updated, the same, or rejected; one that is rejected holds no other back."""
    transport = Transport(mine, f"{serve(way)}/theirs.git")
    _fetch_all(mine, base / "theirs.git")
    theirs = refs(base / "theirs.git")
    tip = theirs["refs/streams/x"]
    git(mine, "update-ref", "refs/streams/x", tip)
    ours = commit(mine, "refs/streams/y", "one", "two y", "three")
    commit(mine, "refs/streams/z", "one", "another two")
    git(mine, "update-ref", "refs/streams/new", tip)
    pushed = sorted(transport.push(["refs/streams/*:refs/streams/*"]))
    assert pushed == [
        PushedRef("refs/streams/new", "new"),
        PushedRef("refs/streams/x", "same"),
        PushedRef("refs/streams/y", "updated"),
        PushedRef("refs/streams/z", "rejected", "non-fast-forward"),
    ]
    assert refs(base / "theirs.git") == {
        **theirs,
        "refs/streams/new": tip,
        "refs/streams/y": ours,
    }


def test_a_push_of_many_refs_names_each(base: Path, mine: Path) -> None:
    """From another git directory too, which may have names of its own."""
    tip = commit(mine, "refs/streams/task-0", "one")
    lines = "".join(f"create refs/streams/task-{n} {tip}\n" for n in range(1, 1_500))
    git(mine, "update-ref", "--stdin", given=lines.encode())
    transport = Transport(base / "theirs.git", str(base / "empty.git"))
    pushed = transport.push(["refs/streams/*:refs/streams/*"], mine)
    assert {ref.name for ref in pushed} == set(refs(mine))
    assert {ref.status for ref in pushed} == {"new"}


def test_a_hook_that_declines_all_is_quoted(base: Path, mine: Path) -> None:
    """Nothing goes through, and each ref says why."""
    hook(base / "empty.git", "pre-receive", "echo no pushes on Sundays >&2; exit 1")
    commit(mine, "refs/streams/x", "one")
    pushed = Transport(mine, str(base / "empty.git")).push(["refs/streams/x"])
    assert pushed == [
        PushedRef("refs/streams/x", "rejected", "pre-receive hook declined: no pushes on Sundays")
    ]


def test_a_hook_that_declines_one_ref_holds_back_no_other(base: Path, mine: Path) -> None:
    """As an ``update`` hook does."""
    hook(base / "empty.git", "update", 'test "$1" != refs/streams/x')
    for name in "xy":
        commit(mine, f"refs/streams/{name}", "one")
    pushed = Transport(mine, str(base / "empty.git")).push(["refs/streams/*:refs/streams/*"])
    assert sorted(pushed) == [
        PushedRef("refs/streams/x", "rejected", "hook declined"),
        PushedRef("refs/streams/y", "new"),
    ]


def test_a_remote_that_takes_in_nothing_says_why(base: Path, mine: Path) -> None:
    """No ref is to blame, so it is an error, with what the remote said."""
    git(base / "empty.git", "config", "receive.maxInputSize", "10")
    commit(mine, "refs/streams/x", "one")
    error = failure(lambda: Transport(mine, str(base / "empty.git")).push(["refs/streams/x"]))
    assert "no push of that size" in error.cause
    assert "maximum allowed size" in error.stderr


def test_a_store_is_not_pushed_to(base: Path, mine: Path) -> None:
    """It hides its streams from pushes; the error says where to push instead."""
    git(base / "empty.git", "config", "receive.hideRefs", "refs/streams")
    commit(mine, "refs/streams/x", "one")
    error = failure(lambda: Transport(mine, str(base / "empty.git")).push(["refs/streams/x"]))
    assert "event store" in error.cause
    assert "git init --bare" in error.hint


@pytest.mark.parametrize("way", WAYS)
def test_a_clone_is_a_mirror(
    serve: Callable[[str], str], base: Path, tmp_path: Path, way: str
) -> None:
    """All refs under their own names; the remote is ``origin``."""
    url = f"{serve(way)}/theirs.git"
    into = tmp_path / "clone.git"
    Transport(None, url).clone(into)
    assert refs(into) == refs(base / "theirs.git")
    assert git(into, "config", "remote.origin.url").strip() == url
    assert not any((into / "hooks").glob("*"))


def _daemon_without_push(base: Path, stack: ExitStack) -> str:
    return stack.enter_context(daemon(base, receive_pack=False))


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
    _make_large(base / "theirs.git")
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
    _make_large(mine)
    with through(serve("daemon"), up=100_000, stall=True) as proxy:
        transport = Transport(mine, f"{proxy.url}/empty.git", timeout=0.7)
        with pytest.raises(RemoteSilent, match="while pushing"):
            transport.push(["refs/streams/*:refs/streams/*"])
    assert refs(base / "empty.git") == {}


def _make_large(repository: Path) -> None:
    """Give a repository a stream of 300 kB that no compression makes smaller."""
    blob = git(repository, "hash-object", "-w", "--stdin", given=os.urandom(300_000)).strip()
    tree = git(repository, "mktree", given=f"100644 blob {blob}\tdata\n".encode()).strip()
    identity = "T <t@example.org> 1700000000 +0000"
    raw = f"tree {tree}\nauthor {identity}\ncommitter {identity}\n\nlarge\n"
    tip = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", given=raw.encode())
    git(repository, "update-ref", "refs/streams/large", tip.strip())


def test_a_slow_remote_is_not_a_silent_one(
    serve: Callable[[str], str], base: Path, mine: Path
) -> None:
    """The deadline counts from the last sign of life, so a long transfer is not given up."""
    _make_large(base / "theirs.git")
    seen: list[tuple[str, int, int]] = []
    with through(serve("daemon"), rate=80_000) as proxy:
        transport = Transport(
            mine,
            f"{proxy.url}/theirs.git",
            timeout=2.5,
            progress=lambda *told: seen.append(told),
        )
        began = time.monotonic()
        transport.fetch(["refs/streams/*"], mine / "objects")
        assert time.monotonic() - began > 2.5
    assert (f"Receiving objects from {proxy.url}/theirs.git", 8, 8) in seen


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("way", ["daemon", "http"])
def test_a_fetch_that_breaks_off_can_be_repeated(
    mark: str, serve: Callable[[str], str], base: Path, mine: Path, way: str, part: float
) -> None:
    """It says that it broke off, leaves nothing, and the next one brings all."""
    _make_large(base / "theirs.git")
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
    _make_large(mine)
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
    _make_large(base / "theirs.git")

    def stop(*_: object) -> None:
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
