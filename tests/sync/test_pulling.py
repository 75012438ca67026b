"""Pull: what others recorded is here afterwards, and what is wrong with it is left out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreNotFound, UnsupportedFormat
from gitstore.sync.cloning import clone
from gitstore.sync.pulling import pull
from gitstore.sync.pushing import push
from gitstore.sync.transport import RemoteFailed
from tests.backends.git.witness import assert_sound, git
from tests.sync.peers import machine, note, publish, stream_refs
from tests.sync.servers import bare, daemon, http


def test_what_a_remote_has_is_here_afterwards(tmp_path: Path) -> None:
    """Streams are equal refs on both sides, tracked, and nothing is left to do."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        note(ada, "task-1", 3)
        note(ada, "task-2", 1)
        publish(ada, hub)
        report = pull(bob, "hub")
        assert report.ok
        assert report.adoption.events == 4
        assert report.adoption.adopted == {"task-1": (0, 3), "task-2": (0, 1)}
        assert [e.stream_id for e in bob.read_all()].count("task-1") == 3
        again = pull(bob, "hub")
        assert (again.ok, again.adoption.events, again.adoption.adopted) == (True, 0, {})
    assert stream_refs(tmp_path / "a.git") == stream_refs(tmp_path / "b.git")
    listed = git(tmp_path / "b.git", "for-each-ref", "--format=%(refname)", "refs/remotes")
    assert listed.split() == [
        "refs/remotes/hub/main",
        "refs/remotes/hub/streams/task-1",
        "refs/remotes/hub/streams/task-2",
    ]
    assert_sound(tmp_path / "b.git")


def test_plain_fetch_and_pull_leave_the_same_refs(tmp_path: Path) -> None:
    """``git fetch NAME`` does what a pull's fetch does, and the pull then adopts from there."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        note(ada, "task-1", 2)
        ada.index_types()
        publish(ada, hub)
        git(
            tmp_path / "a.git",
            "push",
            "--quiet",
            str(hub),
            "refs/notes/types",
            "refs/feed:refs/feeds/ada",
        )
    for name in ("b", "c"):
        machine(tmp_path / f"{name}.git", hub).close()
    git(tmp_path / "b.git", "fetch", "--quiet", "hub")
    with machine(tmp_path / "b.git") as bob, machine(tmp_path / "c.git") as cid:
        pull(cid, "hub")
        remote_refs = [
            git(tmp_path / f"{name}.git", "for-each-ref", "refs/remotes") for name in "bc"
        ]
        assert remote_refs[0] == remote_refs[1] != ""
        assert pull(bob, "hub").adoption.events == 2
    assert_sound(tmp_path / "b.git")


def test_a_diverged_stream_is_named_and_left(tmp_path: Path) -> None:
    """Both sides of a fork stay; everything beside it is taken in."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        note(ada, "task-1", 2)
        publish(ada, hub)
        pull(bob, "hub")
        note(ada, "task-1", 1, "ada")
        note(ada, "task-2", 1)
        publish(ada, hub)
        mine = note(bob, "task-1", 3, "bob")
        report = pull(bob, "hub")
        assert not report.ok
        relation = report.adoption.diverged["task-1"]
        assert (relation.fork, relation.ahead, relation.behind) == (2, 3, 1)
        assert report.adoption.adopted == {"task-2": (0, 1)}
        assert [e.commit for e in bob.read_stream("task-1", 2)] == [e.commit for e in mine]
        assert git(tmp_path / "b.git", "for-each-ref", "refs/quarantine") == ""
    assert_sound(tmp_path / "b.git")


def test_a_bundle_brings_events_without_a_network(tmp_path: Path) -> None:
    """A file made by ``git bundle`` is pulled like a remote, and tracks nothing."""
    with machine(tmp_path / "a.git") as ada:
        note(ada, "task-1", 2)
        ada.flush()
    bundle = tmp_path / "events.bundle"
    git(tmp_path / "a.git", "bundle", "create", "--quiet", str(bundle), "--all")
    with machine(tmp_path / "b.git") as bob:
        assert pull(bob, str(bundle)).adoption.events == 2
        assert git(tmp_path / "b.git", "for-each-ref", "refs/remotes") == ""
    assert stream_refs(tmp_path / "a.git") == stream_refs(tmp_path / "b.git")
    assert_sound(tmp_path / "b.git")


def test_a_bundle_of_news_needs_what_it_stands_on(tmp_path: Path) -> None:
    """A bundle with prerequisites says so where they are missing, and nothing is taken in."""
    with machine(tmp_path / "a.git") as ada:
        note(ada, "task-1", 2)
        ada.flush()
        git(tmp_path / "a.git", "tag", "then", "refs/streams/task-1")
        note(ada, "task-1", 1)
        ada.flush()
    bundle = tmp_path / "news.bundle"
    git(
        tmp_path / "a.git",
        "bundle",
        "create",
        "--quiet",
        str(bundle),
        "refs/streams/task-1",
        "^then",
    )
    with machine(tmp_path / "b.git") as bob:
        with pytest.raises(RemoteFailed, match=r"news\.bundle"):
            pull(bob, str(bundle))
        assert list(bob.read_all()) == []


def test_another_machines_store_is_a_source(tmp_path: Path) -> None:
    """A path to a store in use, events of which wait in its journal or not, can be pulled from."""
    with machine(tmp_path / "a.git") as ada, machine(tmp_path / "b.git", tmp_path / "a.git") as bob:
        note(ada, "task-1", 2)
        ada.flush()
        assert pull(bob, "hub").adoption.events == 2
        note(ada, "task-1", 1)
        ada.flush()
        assert pull(bob, str(tmp_path / "a.git")).adoption.adopted == {"task-1": (2, 3)}


def test_an_empty_remote_gives_nothing(tmp_path: Path) -> None:
    """Nothing there is no error."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        report = pull(ada, "hub")
    assert (report.ok, report.is_empty, report.adoption.events) == (True, True, 0)


def _commit(repository: Path, subject: str) -> str:
    tree = git(repository, "mktree").strip()
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    return git(repository, *who, "commit-tree", tree, "-m", subject).strip()


@pytest.mark.parametrize(
    ("ref", "subject", "said"),
    [
        ("refs/heads/main", "Initial commit", "no event store"),
        ("refs/heads/master", "Initial commit", "no event store"),
        ("refs/heads/main", "gitstore format 7", "has format 7"),
    ],
)
def test_what_is_no_store_of_this_format_is_refused(
    tmp_path: Path, ref: str, subject: str, said: str
) -> None:
    """A repository of code, or a store of a later format: an error, and nothing fetched stays."""
    hub = bare(tmp_path / "hub.git")
    git(hub, "update-ref", ref, _commit(hub, subject))
    with machine(tmp_path / "a.git", hub) as ada:
        with pytest.raises(UnsupportedFormat, match=said):
            pull(ada, "hub")
        assert git(tmp_path / "a.git", "for-each-ref", "refs/remotes") == ""
        assert not list((tmp_path / "a.git/gitstore/incoming").glob("*"))


def test_refs_that_are_none_of_ours_are_left_there(tmp_path: Path) -> None:
    """Branches and tags beside a store are not fetched."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        note(ada, "task-1")
        publish(ada, hub)
        theirs = _commit(hub, "somebody's work")
        git(hub, "update-ref", "refs/heads/feature", theirs)
        git(hub, "update-ref", "refs/tags/v1", theirs)
        assert pull(bob, "hub").adoption.events == 1
        assert "missing" in git(tmp_path / "b.git", "cat-file", "--batch-check", stdin=theirs)


def test_a_source_that_is_nothing_says_what_there_is(tmp_path: Path) -> None:
    """A misspelt remote is told from an unreachable one."""
    with machine(tmp_path / "a.git", tmp_path / "gone.git") as ada:
        with pytest.raises(StoreNotFound, match="hbu") as caught:
            pull(ada, "hbu")
        assert "hub" in caught.value.hint
        with pytest.raises(RemoteFailed, match="hub"):
            pull(ada, "hub")


def test_a_stream_that_is_gone_there_stays_here(tmp_path: Path) -> None:
    """What a remote loses is dropped from what is known of it, and from nothing else."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        note(ada, "task-1")
        publish(ada, hub)
        pull(bob, "hub")
        git(hub, "update-ref", "-d", "refs/streams/task-1")
        assert pull(bob, "hub").ok
        assert "refs/remotes/hub/streams" not in git(tmp_path / "b.git", "for-each-ref")
        assert [e.stream_id for e in bob.read_all()] == ["task-1"]


def test_subscribers_and_followers_get_what_a_pull_brings(tmp_path: Path) -> None:
    """A handler of this store object is called for each event, after it is durable, in order."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        note(ada, "task-1", 5)
        publish(ada, hub)
        seen: list[int] = []
        bob.subscribe(lambda recorded: seen.append(recorded.position))
        pull(bob, "hub")
        assert seen == [1, 2, 3, 4, 5]
        bob.append(DomainEvent("task-1", "Noted"), expected_version=5)
        assert seen[-1] == 6


@pytest.mark.parametrize("how", ["pull", "clone", "push"])
def test_one_bad_object_does_not_keep_the_rest(tmp_path: Path, how: str) -> None:
    """A parent that is a blob, or is missing, makes git fail a whole fetch: all else comes in."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        for stream in ("task-1", "task-2", "task-3", "task-4"):
            note(ada, stream)
        publish(ada, hub)
    sound = dict(stream_refs(hub))
    blob = git(hub, "hash-object", "-w", "--stdin", stdin="hello").strip()
    for stream, parent in (("task-2", blob), ("task-3", "1" * 40)):
        ref = f"refs/streams/{stream}"
        text = git(hub, "cat-file", "commit", ref).replace("author", f"parent {parent}\nauthor", 1)
        made = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
        (hub / ref).write_text(git(hub, *made, stdin=text))
    with daemon(tmp_path) as url:
        if how == "clone":
            report = clone(f"{url}/hub.git", tmp_path / "b.git")
        elif how == "pull":
            with machine(tmp_path / "b.git", f"{url}/hub.git") as bob:
                report = pull(bob, "hub")
        else:
            with machine(tmp_path / "a.git") as ada:
                note(ada, "task-4")
                pushed = push(ada, "hub")
            assert set(pushed.pushed) == {"task-4"}
            assert set(pushed.refused) == {"task-2", "task-3"}
            return
    assert set(report.adoption.adopted) == {"task-1", "task-4"}
    assert set(report.adoption.refused) == {"refs/streams/task-2", "refs/streams/task-3"}
    left = {f"refs/streams/{name}": sound[f"refs/streams/{name}"] for name in ("task-1", "task-4")}
    assert stream_refs(tmp_path / "b.git") == left
    assert_sound(tmp_path / "b.git")


@pytest.mark.parametrize("way", ["path", "file", "daemon", "http"])
def test_two_machines_meet_by_every_way(tmp_path: Path, way: str) -> None:
    """Push, clone, push back and pull, through whatever git can use: equal refs everywhere."""
    base = tmp_path / "served"
    hub = bare(base / "hub.git")
    ways = {
        "path": lambda: nullcontext(str(base)),
        "file": lambda: nullcontext(base.as_uri()),
        "daemon": lambda: daemon(base),
        "http": lambda: http(base),
    }
    with ways[way]() as url, machine(tmp_path / "a.git", f"{url}/hub.git") as ada:
        note(ada, "task-1", 3)
        ada.append(DomainEvent("task-2", "Noted", {"long": "x" * 20_000}))
        assert push(ada, "hub").events == 4
        assert clone(f"{url}/hub.git", tmp_path / "b.git").adoption.events == 4
        with machine(tmp_path / "b.git") as bob:
            note(bob, "task-1", 2)
            note(bob, "task-3", 1)
            assert push(bob, "origin").events == 3
        assert pull(ada, "hub").adoption.adopted == {"task-1": (3, 5), "task-3": (0, 1)}
    assert stream_refs(tmp_path / "a.git") == stream_refs(tmp_path / "b.git") == stream_refs(hub)
    for name in ("a", "b"):
        assert_sound(tmp_path / f"{name}.git")
