"""Histories that come back: old tips that live again, and peers that moved their streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.core.timestamps import from_microseconds
from gitstore.sync import remotes
from gitstore.sync.pulling import pull
from gitstore.sync.pushing import push
from tests.backends.git.witness import git, reopen
from tests.sync.peers import machine, publish, stream_refs
from tests.sync.proofs import read
from tests.sync.rebases import assert_sound_rebased, diverged, ids, noted
from tests.sync.servers import bare


def test_an_old_tip_comes_back_to_life(tmp_path: Path) -> None:
    """A commit is superseded and live at once where another hub has the stream as it was."""
    _, _, bob_path = diverged(tmp_path)
    other = bare(tmp_path / "other.git")
    with reopen(bob_path) as bob:
        remotes.add(bob_path, "other", str(other))
        push(bob, "other")
        for number in range(2):
            for hub in ("hub", "other"):
                assert pull(bob, hub, rebase=True).ok
                noted(bob, "s", f"{hub}-{number}")
                push(bob, hub)
        every = list(bob.read_all(superseded=True))
        live = {one.commit for one in bob.read_all()}
    assert any(one.superseded_by and one.commit in live for one in every)
    assert assert_sound_rebased(bob_path) == every
    for path in (bob_path / "gitstore").glob("index.db*"):
        path.unlink()
    assert assert_sound_rebased(bob_path) == every


def test_a_peer_that_has_rebased_has_rewritten_nothing(tmp_path: Path) -> None:
    """Its old tip is let go of: each event of it stands here, or in its new history, by its id."""
    _, ada_path, bob_path = diverged(tmp_path)
    with reopen(ada_path) as ada, reopen(bob_path) as bob:
        remotes.add(ada_path, "bob", str(bob_path))
        assert pull(ada, "bob").adoption.diverged
        pull(bob, "hub", rebase=True)
        report = pull(ada, "bob")
        assert report.ok
        assert ids(ada, "s") == ["s-0", "s-ada", "s-bob"]
    assert git(ada_path, "for-each-ref", "refs/quarantine") == ""


def test_a_peer_diverged_still_has_rewritten_nothing(tmp_path: Path) -> None:
    """It is enough that the history it has now holds all events of the one before."""
    _, ada_path, bob_path = diverged(tmp_path)
    with reopen(ada_path) as ada, reopen(bob_path) as bob:
        remotes.add(ada_path, "bob", str(bob_path))
        pull(ada, "bob")
        noted(ada, "s", "s-more")
        pull(bob, "hub", rebase=True)
        assert pull(ada, "bob").adoption.diverged
    assert git(ada_path, "for-each-ref", "refs/quarantine") == ""


def test_what_both_have_rebased_is_no_loss(tmp_path: Path) -> None:
    """A peer's old tip that we took in, and have superseded since, is kept here already."""
    hub, ada_path, bob_path = diverged(tmp_path)
    with reopen(ada_path) as ada, reopen(bob_path) as bob:
        remotes.add(ada_path, "bob", str(bob_path))
        pull(ada, "bob", rebase=True)
        noted(ada, "s", "x")
        noted(bob, "s", "y")
        pull(ada, "bob", rebase=True)
        pull(bob, "hub", rebase=True)
        publish(bob, hub)
        pull(ada, "bob", rebase=True)
        pull(ada, "hub", rebase=True)
        publish(ada, hub)
        pull(bob, "hub", rebase=True)
        assert stream_refs(ada_path) == stream_refs(bob_path)
    assert_sound_rebased(ada_path)
    assert_sound_rebased(bob_path)


@pytest.mark.parametrize("content", ["other", None], ids=["changed", "gone"])
def test_a_peer_that_lost_one_event_has_rewritten(tmp_path: Path, content: str | None) -> None:
    """The tip it had is kept, also where all other events of it are in its new history."""
    hub, ada_path, bob_path = diverged(tmp_path)
    with reopen(ada_path) as ada, reopen(bob_path) as bob:
        remotes.add(ada_path, "bob", str(bob_path))
        noted(bob, "s", "s-more")
        bob.flush()
        pull(ada, "bob")
        old = stream_refs(bob_path)["refs/streams/s"]
    with machine(tmp_path / "cid.git", hub) as cid:
        pull(cid, "hub")
        bobs = read(bob_path, f"{old}~1")
        at = from_microseconds(bobs.time)
        cid.append(DomainEvent("s", "Noted", {"of": "s-bob"}, id="s-bob", timestamp=at))
        if content:
            cid.append(DomainEvent("s", "Noted", content, id="s-more"))
        cid.flush()
        git(ada_path, "remote", "set-url", "bob", str(tmp_path / "cid.git"))
        with reopen(ada_path) as ada:
            assert pull(ada, "bob").ok
    kept = git(ada_path, "for-each-ref", "--format=%(objectname)", "refs/quarantine")
    assert kept.split() == [old]
