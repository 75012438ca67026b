"""Clone: a whole store in one step, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreUnavailable, UnsupportedFormat
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git import takingin
from gitstore.sync.cloning import clone
from gitstore.sync.pulling import pull
from gitstore.sync.transport import RemoteFailed
from tests.backends.git.witness import assert_sound, git, reopen
from tests.sync.peers import machine, note, publish, stream_refs
from tests.sync.servers import bare


@pytest.mark.parametrize("many", [1, 1_000])
def test_a_clone_is_a_store_that_answers_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Refs, positions, index and type index are there; it appends, and pulls from its origin.

    Also where there are so many streams that all of it is made side by side.
    """
    monkeypatch.setattr(takingin, "_MANY_STREAMS", many)
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        for stream in ("task-1", "task-2"):
            note(ada, stream, 3)
        ada.append(DomainEvent("task-3", "Noted", {"long": "x" * 20_000}))
        publish(ada, hub)
        report = clone(str(hub), tmp_path / "deep" / "b.git")
        assert (report.ok, report.adoption.events) == (True, 7)
        assert stream_refs(tmp_path / "deep/b.git") == stream_refs(tmp_path / "a.git")
        note(ada, "task-1", 1)
        publish(ada, hub)
        with reopen(tmp_path / "deep/b.git", create=False) as bob:
            assert len(list(bob.get_events_by_type("Noted"))) == 7
            notes = git(tmp_path / "deep/b.git", "log", "-1", "--format=%s", "refs/notes/types")
            assert notes == "complete to position 7\n"
            assert bob.store_id != ada.store_id
            assert pull(bob, "origin").adoption.adopted == {"task-1": (3, 4)}
            bob.append(DomainEvent("task-1", "Noted"), expected_version=4)
    assert_sound(tmp_path / "deep/b.git")


def test_clones_of_one_remote_number_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions are given in an order that depends on the events alone, in large and small ones."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        for n in range(30):
            note(ada, f"task-{n * 7 % 5}")
        publish(ada, hub)
    orders = []
    types = set()
    for name, many in (("b", 1_000), ("c", 1_000), ("d", 1)):
        monkeypatch.setattr(takingin, "_MANY_STREAMS", many)
        clone(str(hub), tmp_path / f"{name}.git")
        with reopen(tmp_path / f"{name}.git") as store:
            orders.append([(e.position, e.commit) for e in store.read_all()])
        types.add(git(tmp_path / f"{name}.git", "rev-parse", "refs/notes/types^{tree}"))
    assert orders[0] == orders[1] == orders[2]
    assert len(types) == 1


def test_a_large_clone_leaves_out_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream with another's event id, or of no event at all, is kept aside, and named."""
    monkeypatch.setattr(takingin, "_MANY_STREAMS", 1)
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        who = {"userId": "ada", "correlationId": "run-1"}
        ada.append(DomainEvent("task-1", "Noted", {}, who, "one"))
        publish(ada, hub)
        bob.append(DomainEvent("task-2", "Noted", id="one"))
        tip = bob.exchange.tips()["refs/streams/task-2"]
    git(tmp_path / "b.git", "push", "-q", str(hub), f"{tip}:refs/streams/task-2")
    git(hub, "update-ref", "refs/streams/task-3", "refs/heads/main")
    report = clone(str(hub), tmp_path / "c.git")
    assert sorted(report.adoption.refused) == ["refs/streams/task-2", "refs/streams/task-3"]
    with reopen(tmp_path / "c.git", create=False) as store:
        assert [event.stream_id for event in store.read_all()] == ["task-1"]
        found = store.read_all(users="ada", correlations="run-1")
        assert [event.stream_id for event in found] == ["task-1"]
        assert store.append(DomainEvent("task-1", "Noted")).position == 2
    assert_sound(tmp_path / "c.git")


@pytest.mark.parametrize("kind", ["loose", "borrowed"])
def test_a_source_may_keep_its_objects_anyhow(tmp_path: Path, kind: str) -> None:
    """Loose objects, or objects borrowed from a third repository: the clone has its own."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        note(ada, "task-1", 3)
        publish(ada, hub)
    source = hub
    if kind == "borrowed":
        source = tmp_path / "thin.git"
        git(hub, "clone", "--quiet", "--mirror", "--shared", str(hub), str(source))
    assert not (source / "objects/info/alternates").exists() or kind == "borrowed"
    assert clone(str(source), tmp_path / "b.git").adoption.events == 3
    hub.rename(tmp_path / "gone.git")
    assert_sound(tmp_path / "b.git")


def test_an_empty_remote_makes_an_empty_store(tmp_path: Path) -> None:
    """The first machine may clone the hub too."""
    report = clone(str(bare(tmp_path / "hub.git")), tmp_path / "a.git")
    assert (report.ok, report.is_empty) == (True, True)
    with reopen(tmp_path / "a.git") as store:
        note(store, "task-1")
    assert_sound(tmp_path / "a.git")


def test_a_clone_may_be_named_by_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a store may everywhere; also by a relative path."""
    with machine(tmp_path / "laptop.git") as store:
        store.append(DomainEvent("task-1", "Noted"))
    monkeypatch.chdir(tmp_path)
    assert clone("laptop.git", "a.git").adoption.events == 1
    assert (tmp_path / "a.git" / "HEAD").exists()


def test_nothing_is_put_where_something_is(tmp_path: Path) -> None:
    """A store, or a file, is never overwritten."""
    hub = bare(tmp_path / "hub.git")
    (tmp_path / "file").write_text("mine")
    machine(tmp_path / "store.git").close()
    for name in ("file", "store.git"):
        with pytest.raises(StoreUnavailable, match="already"):
            clone(str(hub), tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_clone_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither of what is not there, nor of what is no event store."""
    code = bare(tmp_path / "code.git")
    tree = git(code, "mktree").strip()
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    git(
        code,
        "update-ref",
        "refs/heads/main",
        git(code, *who, "commit-tree", tree, "-m", "x").strip(),
    )
    place = tmp_path / "here"
    with pytest.raises(UnsupportedFormat, match="no event store"):
        clone(str(code), place / "a.git")
    with pytest.raises(RemoteFailed):
        clone(str(tmp_path / "gone.git"), place / "a.git")
    assert list(place.iterdir()) == []


def test_a_killed_clone_is_cleared_by_the_next(tmp_path: Path) -> None:
    """What it left beside the place goes; one that is still at work is left alone."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        note(ada, "task-1")
        publish(ada, hub)
    place = tmp_path / "here"
    place.mkdir()
    with FileLock(place / ".b.git.0123.clone.lock").held():
        for mark in ("0123", "4567"):
            (place / f".b.git.{mark}.clone").mkdir()
        (place / ".b.git.4567.clone.lock").touch()
        clone(str(hub), place / "b.git")
        assert {path.name for path in place.iterdir()} == {
            "b.git", ".b.git.0123.clone", ".b.git.0123.clone.lock",
        }  # fmt: skip
