"""Transport over real connections on loopback: paths, daemon, smart HTTP, something like ssh."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import StoreUnavailable
from gitstore.sync.transport import PushedRef, Transport
from tests.sync.servers import git, hook, refs
from tests.sync.transports import WAYS, commit, failure, fetch_all, packs


@pytest.mark.parametrize("way", WAYS)
def test_refs_are_those_of_the_remote(serve: Callable[[str], str], base: Path, way: str) -> None:
    """Full names and ids, whatever the connection; none of an empty repository."""
    url = serve(way)
    assert Transport(None, f"{url}/theirs.git").refs() == refs(base / "theirs.git")
    assert Transport(None, f"{url}/empty.git").refs() == {}


def test_refs_leave_out_head_and_what_tags_point_to(base: Path) -> None:
    """A tag is listed once, as it is; a ref of one level, as a store's feed is, like any other."""
    theirs = base / "theirs.git"
    git(theirs, "update-ref", "refs/feed", "refs/streams/x")
    commit(theirs, "refs/heads/main", "main")
    git(theirs, "-c", "user.name=t", "-c", "user.email=t@x", "tag", "-a", "-m", "t", "v1", "main")
    assert Transport(None, str(theirs)).refs() == refs(theirs)


def test_names_of_refs_are_taken_as_they_are(base: Path, mine: Path) -> None:
    """Also such as look like ends of lines, and bytes that are no text."""
    theirs = base / "theirs.git"
    for name in (b"a\xe2\x80\xa8b", b"a\xc2\x85b", b"a\xffb", "日本".encode()):
        git(theirs, "update-ref", os.fsdecode(b"refs/streams/" + name), "refs/streams/x")
    transport = Transport(theirs, str(theirs))
    names = {name.encode(errors="surrogateescape") for name in transport.refs()}
    assert {b"refs/streams/a\xe2\x80\xa8b", b"refs/streams/a\xffb"} < names
    assert len(names) == 7
    pushed = Transport(theirs, str(mine)).push(["refs/streams/*:refs/streams/*"])
    assert {ref.name.encode(errors="surrogateescape") for ref in pushed} == names


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
    assert failure(lambda: transport.fetch(["refs/streams/none"], objects)).is_partial


def test_a_fetch_of_an_id_that_is_not_there_says_so(base: Path, mine: Path) -> None:
    """As after a ref was deleted and pruned there; it is known by ``is_partial``."""
    transport = Transport(mine, str(base / "theirs.git"))
    error = failure(lambda: transport.fetch(["1" * 40], mine / "objects"))
    assert error.is_partial
    assert "changed" in error.cause


def test_a_bundle_is_a_remote(base: Path, mine: Path, tmp_path: Path) -> None:
    """Its refs are listed and fetched; one that builds on more than is here says so."""
    theirs, whole, part = base / "theirs.git", tmp_path / "whole", tmp_path / "part"
    git(theirs, "bundle", "create", whole, "--all")
    git(theirs, "bundle", "create", part, "refs/streams/x", "^refs/streams/x~1")
    assert "builds on commits" in failure(lambda: fetch_all(mine, part)).cause
    assert Transport(mine, str(whole)).refs() == refs(theirs)
    fetch_all(mine, whole)
    fetch_all(mine, part)


@pytest.mark.parametrize("way", WAYS)
def test_a_push_says_what_became_of_each_ref(
    serve: Callable[[str], str], base: Path, mine: Path, way: str
) -> None:
    """New, updated, the same, or rejected; one that is rejected holds no other back."""
    transport = Transport(mine, f"{serve(way)}/theirs.git")
    fetch_all(mine, base / "theirs.git")
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


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("hub", "hub"),
        ("ssh://hub.example/events.git", "hub.example/events.git"),
        ("https://ada:s3cret@hub.example/team/a/events.git/", "a/events.git"),
        ("hub:a/b/events.git", "b/events.git"),
        ("/srv/a/events.git", "a/events.git"),
        (f"/srv/{'a' * 30}/events.git", "events.git"),
        (f"/srv/{'a' * 40}", f"…{'a' * 31}"),
        ("/" * 40, f"…{'/' * 31}"),
    ],
)
def test_what_is_waited_for_is_told_first(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str, shown: str
) -> None:
    """Before git is started, without a total; of a long URL so much that a bar has room."""
    told: list[tuple[str, int, int]] = []
    monkeypatch.setenv("PATH", "/nonexistent")  # nobody is asked
    transport = Transport(mine, remote, progress=lambda *each: told.append(each))
    for action in (
        transport.refs,
        lambda: transport.fetch(["0" * 40], mine / "objects"),
        lambda: transport.push(["refs/streams/*"]),
        lambda: transport.clone(tmp_path / "new"),
    ):
        with pytest.raises(StoreUnavailable):
            action()
    assert told == [
        (f"Asking {shown} for its refs", 0, 0),
        (f"Fetching from {shown}", 0, 0),
        (f"Pushing to {shown}", 0, 0),
        (f"Cloning {shown}", 0, 0),
    ]


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_remote_must_have_some_time(mine: Path, timeout: float) -> None:
    """None at all would be up before the first byte."""
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Transport(mine, "hub", timeout=timeout)


def test_paths_may_be_relative(
    base: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the repository, of the view, and of where things go; they start where the caller is."""
    monkeypatch.chdir(tmp_path)
    transport = Transport(Path("mine.git"), str(base / "theirs.git"))
    transport.fetch(["refs/streams/*"], Path("mine.git/objects"))
    tip = transport.refs()["refs/streams/x"]
    assert git(mine, "cat-file", "-t", tip) == "commit\n"
    transport.clone(Path("copy.git"))
    commit(tmp_path / "copy.git", "refs/streams/new", "one")
    pushed = transport.push(["refs/streams/new"], Path("copy.git"))
    assert pushed == [PushedRef("refs/streams/new", "new")]
