"""What a push does at the remote and here, with real repositories, servers and plain git."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from gitstore import UnsupportedFormat
from gitstore.backends.git.relating import Relation
from gitstore.sync import remotes
from gitstore.sync.transport import RemoteFailed
from tests.sync import servers
from tests.sync.machines import (
    check_sound,
    expected,
    machine,
    opened,
    pushed,
    record,
)
from tests.sync.servers import bare, git, hook, refs

Serve = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """An empty bare repository."""
    return bare(tmp_path / "hub.git")


@pytest.fixture
def laptop(tmp_path: Path, hub: Path) -> Path:
    """A store with three events in two streams, whose remote is ``hub``."""
    where = machine(tmp_path / "laptop.git", "laptop", hub=hub)
    record(where, "task-1", "task-2", "task-1")
    return where


@pytest.fixture
def desktop(tmp_path: Path, laptop: Path, hub: Path) -> Path:
    """A second machine, which began with what the laptop had pushed."""
    pushed(laptop)
    where = tmp_path / "desktop.git"
    git(hub, "clone", "--quiet", "--mirror", hub, where)
    git(where, "remote", "remove", "origin")
    git(where, "update-ref", "-d", "refs/feeds/laptop")
    return machine(where, "desktop", hub=hub)


@pytest.fixture(params=["path", "daemon", "http"])
def url(request: pytest.FixtureRequest, hub: Path) -> Iterator[str]:
    """``hub``, reached in one of three ways."""
    if request.param == "path":
        yield str(hub)
        return
    with getattr(servers, request.param)(hub.parent) as base:
        yield f"{base}/{hub.name}"


def noted(where: Path, remote: str = "hub") -> dict[str, str]:
    """What a store knows of a remote, under the remote's own names."""
    prefix = f"refs/remotes/{remote}/"
    found = {name.removeprefix(prefix): tip for name, tip in refs(where, prefix).items()}
    return {f"refs/{'heads/' if name == 'main' else ''}{name}": tip for name, tip in found.items()}


def test_a_first_push_brings_everything(laptop: Path, hub: Path, url: str) -> None:
    """Streams, format, type index, and the feed under the machine's name: as they are here."""
    git(laptop, "config", "remote.hub.url", url)
    report = pushed(laptop)
    assert report.pushed == {"task-1": (0, 2), "task-2": (0, 1)}
    assert (report.events, report.machine, report.agrees, report.is_complete) == (
        3, "laptop", True, True,
    )  # fmt: skip
    assert refs(hub) == expected(laptop)
    assert noted(laptop) == refs(hub)
    check_sound(laptop)


def test_a_second_push_brings_what_is_new(laptop: Path, hub: Path, url: str) -> None:
    """Only streams with new events are pushed, and their versions are said."""
    git(laptop, "config", "remote.hub.url", url)
    pushed(laptop)
    record(laptop, "task-2", "task-3")
    assert pushed(laptop).pushed == {"task-2": (1, 2), "task-3": (0, 1)}
    assert refs(hub) == expected(laptop) == noted(laptop)


def test_with_nothing_new_there_is_no_push(laptop: Path, hub: Path) -> None:
    """Where the remote has everything, git is not asked to push at all."""
    pushed(laptop)
    hook(hub, "pre-receive", "exit 1")
    with servers.daemon(hub.parent, receive_pack=False) as base:
        git(laptop, "config", "remote.hub.url", f"{base}/hub.git")
        report = pushed(laptop)
    assert (report.pushed, report.is_complete, report.agrees) == ({}, True, True)


def test_plain_git_push_afterwards_has_nothing_to_do(laptop: Path, hub: Path) -> None:
    """The refspecs of ``remote add`` make plain ``git push`` the same as ours."""
    pushed(laptop)
    done = subprocess.run(
        ["git", f"--git-dir={laptop}", "push", "hub"], capture_output=True, text=True, check=True
    )
    assert "Everything up-to-date" in done.stderr


def test_what_plain_git_pushed_is_understood(laptop: Path, hub: Path) -> None:
    """After plain ``git push`` there is nothing left to push, and later events are."""
    with opened(laptop) as store:
        store.index_types()
    git(laptop, "push", "--quiet", "hub")
    assert pushed(laptop).pushed == {}
    record(laptop, "task-1")
    assert pushed(laptop).pushed == {"task-1": (2, 3)}
    assert refs(hub) == expected(laptop)


def test_a_store_without_events_brings_its_format(tmp_path: Path, hub: Path) -> None:
    """An empty store makes the remote an event store, for others to push to."""
    where = machine(tmp_path / "empty.git", "laptop", hub=hub)
    report = pushed(where)
    assert report.pushed == {}
    assert refs(hub) == expected(where)


def test_a_stream_deleted_there_is_pushed_again(laptop: Path, hub: Path) -> None:
    """What the remote has lost it gets back."""
    pushed(laptop)
    git(hub, "update-ref", "-d", "refs/streams/task-1")
    assert pushed(laptop).pushed == {"task-1": (0, 2)}
    assert refs(hub) == expected(laptop)


def test_a_stream_that_is_only_ahead_there_is_said(laptop: Path, desktop: Path, hub: Path) -> None:
    """Newer events of others are no disagreement: nothing is pushed over them, all else goes."""
    record(desktop, "task-1", "task-9", by="bob")
    pushed(desktop)
    theirs = refs(hub)["refs/streams/task-1"]
    record(laptop, "task-2")
    report = pushed(laptop)
    assert report.pushed == {"task-2": (1, 2)}
    assert report.behind == {"task-1": Relation("behind", 0, 1, 2)}
    assert (report.only_there, report.agrees, report.is_complete) == (1, True, True)
    assert refs(hub)["refs/streams/task-1"] == theirs
    assert noted(laptop)["refs/streams/task-1"] == theirs


def test_a_stream_that_went_on_differently_is_named(laptop: Path, desktop: Path, hub: Path) -> None:
    """Both versions and the fork are known, theirs stays there, ours here, all others go."""
    record(desktop, "task-1", "task-1", by="bob")
    pushed(desktop)
    there = refs(hub)["refs/streams/task-1"]
    record(laptop, "task-1", "task-2", "task-3")
    for _ in range(2):
        report = pushed(laptop)
        assert report.diverged == {"task-1": Relation("diverged", 1, 2, 2)}
        assert not report.agrees
        assert refs(hub)["refs/streams/task-1"] == there
    assert refs(hub)["refs/streams/task-3"] == refs(laptop)["refs/streams/task-3"]
    assert noted(laptop)["refs/streams/task-1"] == there
    check_sound(laptop)
    check_sound(desktop)


def test_two_machines_take_turns(laptop: Path, desktop: Path, hub: Path) -> None:
    """Each pushes its own streams, both feeds lie there, and the type index lists all."""
    for turn in range(3):
        record(laptop, f"task-a{turn}")
        assert pushed(laptop).is_complete
        record(desktop, f"task-b{turn}", by="bob")
        assert pushed(desktop).is_complete
    assert {f"refs/feeds/{name}" for name in ("laptop", "desktop")} <= refs(hub).keys()
    tree = git(hub, "ls-tree", "-r", "--name-only", "refs/notes/types").split()
    day = next(name for name in tree if name.startswith("Noted/"))
    listed = git(hub, "notes", "--ref=types", "show", f"refs/notes/types:{day}")
    for stream in ("task-a0", "task-a2", "task-b0", "task-b2"):
        assert f" {stream}@1 " in listed


def test_two_remotes_do_not_know_of_each_other(laptop: Path, tmp_path: Path, hub: Path) -> None:
    """Each remote gets everything, whatever another one has."""
    other = bare(tmp_path / "other.git")
    remotes.add(laptop, "other", str(other))
    pushed(laptop)
    record(laptop, "task-3")
    assert len(pushed(laptop, "other").pushed) == 3
    assert refs(other) == expected(laptop) == noted(laptop, "other")
    assert "refs/streams/task-3" not in refs(hub)


def test_another_machine_of_the_same_name_keeps_its_feed(
    laptop: Path, tmp_path: Path, hub: Path
) -> None:
    """The second machine takes another name, for good, and says so once."""
    pushed(laptop)
    twin = machine(tmp_path / "twin.git", "laptop", hub=hub)
    record(twin, "task-7")
    first = refs(hub)["refs/feeds/laptop"]
    report = pushed(twin)
    with opened(twin) as store:
        name = f"laptop-{store.store_id[:8]}"
    assert (report.machine, report.renamed) == (name, "laptop")
    assert refs(hub)["refs/feeds/laptop"] == first
    assert refs(hub)[f"refs/feeds/{name}"] == refs(twin)["refs/feed"]
    again = pushed(twin)
    assert (again.machine, again.renamed, again.is_complete) == (name, None, True)


def test_a_declined_stream_is_named_with_the_remotes_words(laptop: Path, hub: Path) -> None:
    """One stream a hook declines holds up no other."""
    hook(hub, "update", 'if [ "$1" = refs/streams/task-1 ]; then echo "not today" >&2; exit 1; fi')
    report = pushed(laptop)
    assert report.pushed == {"task-2": (0, 1)}
    assert list(report.refused) == ["task-1"]
    assert "hook declined" in report.refused["task-1"]
    assert "not today" in report.said
    assert (report.is_complete, report.agrees) == (False, True)
    hook(hub, "update", "exit 0")
    assert pushed(laptop).pushed == {"task-1": (0, 2)}
    assert refs(hub) == expected(laptop)


def test_a_remote_that_takes_nothing_at_all_says_so(laptop: Path, hub: Path) -> None:
    """Where not even the format ref is taken, that is the error, and nothing else was tried."""
    hook(hub, "update", "exit 1")
    with pytest.raises(RemoteFailed, match=r"declined refs/heads/main.*hook declined"):
        pushed(laptop)
    assert refs(hub) == {}


def test_somebodys_store_is_not_pushed_to(laptop: Path, tmp_path: Path) -> None:
    """A machine's own store takes no streams from others, and so gets nothing else either."""
    other = machine(tmp_path / "other.git", "other")
    record(other, "task-9")
    before = refs(other)
    remotes.add(laptop, "other", str(other))
    with pytest.raises(RemoteFailed, match="somebody's event store"):
        pushed(laptop, "other")
    assert refs(other) == before


def commit(repository: Path, subject: str) -> str:
    """Make a commit on the empty tree that no ref holds."""
    tree = git(repository, "hash-object", "-wt", "tree", "--stdin").strip()
    who = ("-c", "user.name=Eve", "-c", "user.email=eve@example.org")
    return git(repository, *who, "commit-tree", "-m", subject, tree).strip()


def test_a_format_in_other_words_is_left_as_it_is(laptop: Path, hub: Path) -> None:
    """Another release words the pages anew; only the number counts."""
    other = commit(hub, "gitstore format 1")
    git(hub, "update-ref", "refs/heads/main", other)
    for _ in range(2):
        assert pushed(laptop).is_complete
        assert refs(hub) == {**expected(laptop), "refs/heads/main": other}
        record(laptop, "task-1")


def test_a_store_of_an_earlier_release_pushes_its_own_format(laptop: Path, hub: Path) -> None:
    """The format ref that goes is the one that is here, in whichever words."""
    git(laptop, "update-ref", "refs/heads/main", commit(laptop, "gitstore format 1"))
    assert pushed(laptop).is_complete
    assert refs(hub) == expected(laptop) == noted(laptop)


@pytest.mark.parametrize(
    ("branch", "subject", "words"),
    [
        ("main", "gitstore format 2", "has format 2"),
        ("main", "Initial commit", "no event store"),
        ("trunk", "Initial commit", "no event store"),
    ],
    ids=["newer", "project", "other-branch"],
)
def test_what_is_no_store_of_this_format_gets_nothing(
    laptop: Path, hub: Path, branch: str, subject: str, words: str
) -> None:
    """A repository of something else, or of a later format, is refused before anything is sent."""
    git(hub, "update-ref", f"refs/heads/{branch}", commit(hub, subject))
    before = refs(hub), git(hub, "count-objects", "-v")
    with pytest.raises(UnsupportedFormat, match=words):
        pushed(laptop)
    assert (refs(hub), git(hub, "count-objects", "-v")) == before
    assert not noted(laptop)
    check_sound(laptop)


def test_refs_of_others_beside_a_store_are_left_alone(laptop: Path, hub: Path) -> None:
    """Branches and tags beside the format ref are nobody's business here."""
    pushed(laptop)
    theirs = commit(hub, "Something else")
    others = {"refs/heads/docs": theirs, "refs/tags/v1": theirs, "refs/notes/commits": theirs}
    for name, tip in others.items():
        git(hub, "update-ref", name, tip)
    record(laptop, "task-1")
    assert pushed(laptop).is_complete
    assert refs(hub) == {**expected(laptop), **others}
    assert noted(laptop) == expected(laptop)


@pytest.mark.parametrize("kind", ["commit", "tree"])
def test_what_is_no_history_of_the_stream_is_named(laptop: Path, hub: Path, kind: str) -> None:
    """Something else under a stream's name is neither overwritten nor taken over."""
    pushed(laptop)
    tip = (
        commit(hub, "Hello")
        if kind == "commit"
        else git(hub, "hash-object", "-wt", "tree", "--stdin").strip()
    )
    git(hub, "update-ref", "refs/streams/task-1", tip)
    record(laptop, "task-1", "task-2")
    report = pushed(laptop)
    assert list(report.foreign) == ["task-1"]
    assert report.pushed == {"task-2": (1, 2)}
    assert not report.agrees
    assert refs(hub)["refs/streams/task-1"] == tip
    check_sound(laptop)
