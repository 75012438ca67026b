"""``pull --rebase`` between real repositories: both sides of a fork are there afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gitstore import DomainEvent, FlushFailed, RecordedEvent
from gitstore.backends.git import refs as refs_module
from gitstore.sync.pulling import pull
from tests.backends.git.witness import git, picture, reopen
from tests.sync.peers import machine, publish, stream_refs
from tests.sync.rebases import assert_sound_rebased, diverged, ids, noted
from tests.sync.servers import bare

SPILLED = "x" * 9_000


def superseded(path: Path) -> dict[str, str]:
    """The refs of old tips as plain git lists them."""
    listed = git(path, "for-each-ref", "--format=%(refname) %(objectname)", "refs/superseded")
    return dict(line.split(" ") for line in listed.splitlines())


def test_ours_follow_theirs_with_their_ids(tmp_path: Path) -> None:
    """Same id, content and time; a new place, the first commit named, the old tip kept."""
    hub, _, bob_path = diverged(tmp_path)
    with reopen(bob_path) as bob:
        old = list(bob.read_stream("s"))[-1]
        told: list[RecordedEvent] = []
        bob.subscribe(told.append)
        report = pull(bob, "hub", rebase=True)
        assert report.ok
        assert report.adoption.rebased["s"] == (1, 1, 1, 0, 2, 3, False)
        assert (report.adoption.events, report.adoption.diverged) == (1, {})
        new = list(bob.read_stream("s"))[-1]
        assert ids(bob, "s") == ["s-0", "s-ada", "s-bob"]
        assert (new.event.data, new.event.timestamp) == (old.event.data, old.event.timestamp)
        assert (new.version, new.position, new.replaces) == (3, 4, old.position)
        assert [(e.event.id, e.replaces) for e in told] == [("s-ada", None), ("s-bob", 2)]
        again = pull(bob, "hub", rebase=True)
        assert (again.ok, again.adoption.rebased) == (True, {})
    assert superseded(bob_path) == {"refs/superseded/s/1": old.commit}
    last = git(bob_path, "log", "-1", "--format=%B", "refs/streams/s").rstrip().splitlines()[-1]
    assert last == f"Event-Origin: {old.commit}"
    assert_sound_rebased(bob_path)
    with reopen(bob_path) as bob:
        publish(bob, hub)


def test_the_other_side_fast_forwards_afterwards(tmp_path: Path) -> None:
    """What one has rebased and pushed, all others take in as usual."""
    hub, ada_path, bob_path = diverged(tmp_path)
    with reopen(bob_path) as bob, reopen(ada_path) as ada:
        pull(bob, "hub", rebase=True)
        publish(bob, hub)
        report = pull(ada, "hub", rebase=True)
        assert (report.adoption.adopted, report.adoption.rebased) == ({"s": (2, 3)}, {})
    assert stream_refs(ada_path) == stream_refs(bob_path) == stream_refs(hub)


def test_two_stores_converge_without_a_hub(tmp_path: Path) -> None:
    """Rebased onto each other at once, the smaller tip stands: the one kept, the other takes it."""
    _, ada_path, bob_path = diverged(tmp_path)
    for path, source in ((bob_path, ada_path), (ada_path, bob_path)):
        _copy(source, tmp_path / f"of-{path.name}")
    with reopen(bob_path) as bob, reopen(ada_path) as ada:
        assert pull(bob, str(tmp_path / "of-bob.git"), rebase=True).adoption.rebased
        assert pull(ada, str(tmp_path / "of-ada.git"), rebase=True).adoption.rebased
        assert stream_refs(ada_path) != stream_refs(bob_path)
        ours, theirs = (stream_refs(path)["refs/streams/s"] for path in (bob_path, ada_path))
        report = pull(bob, str(ada_path), rebase=True)
        assert report.ok
        assert report.adoption.rebased["s"].kept is (ours < theirs)
        pull(ada, str(bob_path), rebase=True)
        assert stream_refs(ada_path) == stream_refs(bob_path)
    assert assert_sound_rebased(bob_path)
    assert assert_sound_rebased(ada_path)


def _copy(source: Path, to: Path) -> None:
    """The store as it is now, for others to pull from later."""
    git(source, "clone", "--quiet", "--mirror", str(source), str(to))


def test_an_event_on_both_sides_is_there_once(tmp_path: Path) -> None:
    """With equal content theirs stands for it, and takes its place here."""
    hub, _, bob_path = diverged(tmp_path)
    with reopen(bob_path) as bob, machine(tmp_path / "cid.git", hub) as cid:
        pull(cid, "hub")
        bobs = list(bob.read_stream("s"))[-1]
        cid.append(
            DomainEvent("s", "Noted", bobs.event.data, id="s-bob", timestamp=bobs.event.timestamp)
        )
        publish(cid, hub)
        report = pull(bob, "hub", rebase=True)
        assert report.adoption.rebased["s"] == (1, 2, 0, 1, 2, 3, False)
        assert list(bob.read_stream("s"))[-1].replaces == bobs.position
    assert stream_refs(bob_path) == stream_refs(hub)
    assert_sound_rebased(bob_path)


def test_an_id_with_two_contents_leaves_the_stream_diverged(tmp_path: Path) -> None:
    """Nothing of either side is lost: the stream stays, with the reason; others are rebased."""
    hub, _, bob_path = diverged(tmp_path, "s", "t")
    with reopen(bob_path) as bob, machine(tmp_path / "cid.git", hub) as cid:
        pull(cid, "hub")
        noted(cid, "u", "u-0")
        cid.append(DomainEvent("s", "Noted", "other", id="s-bob"))
        publish(cid, hub)
        for dry_run in (True, False):
            report = pull(bob, "hub", rebase=True, dry_run=dry_run)
            assert not report.ok
            assert report.adoption.conflicts == {
                "s": "event id 's-bob' stands for another event there"
            }
            assert [*report.adoption.diverged] == ["s"]
            assert [*report.adoption.rebased] == ["t"]
        assert ids(bob, "s") == ["s-0", "s-bob"]
    assert [*superseded(bob_path)] == ["refs/superseded/t/1"]
    assert_sound_rebased(bob_path)


def test_one_stream_may_be_named_without_a_list(tmp_path: Path) -> None:
    """A text is one name, not its letters."""
    _, _, bob_path = diverged(tmp_path)
    with reopen(bob_path) as bob:
        report = pull(bob, "hub", rebase=True, streams="s", dry_run=True)
        assert ([*report.adoption.rebased], report.not_diverged) == (["s"], ())
        report = pull(bob, "hub", rebase=True, streams="other")
        assert ([*report.adoption.diverged], report.not_diverged) == (["s"], ("other",))


def test_an_id_of_another_stream_is_refused(tmp_path: Path) -> None:
    """As a pull without rebase does with streams that continue ours."""
    hub, _, bob_path = diverged(tmp_path)
    with reopen(bob_path) as bob, machine(tmp_path / "cid.git", hub) as cid:
        pull(cid, "hub")
        noted(cid, "s", "mine")
        publish(cid, hub)
        noted(bob, "elsewhere", "mine")
        report = pull(bob, "hub", rebase=True)
        assert report.adoption.refused == {
            "refs/streams/s": "event id 'mine' stands for another event"
        }
        assert ids(bob, "s") == ["s-0", "s-bob"]


def test_only_the_streams_that_are_named(tmp_path: Path) -> None:
    """Others stay diverged; a name that has nothing to rebase is reported."""
    _, _, bob_path = diverged(tmp_path, "s", "t")
    with reopen(bob_path) as bob:
        report = pull(bob, "hub", rebase=True, streams=["t", "unknown"])
        assert ([*report.adoption.rebased], [*report.adoption.diverged]) == (["t"], ["s"])
        assert report.not_diverged == ("unknown",)
        assert not report.ok
        with pytest.raises(ValueError, match="rebase=True"):
            pull(bob, "hub", streams=["s"])


def test_a_dry_run_leaves_no_trace(tmp_path: Path) -> None:
    """It says what the pull then does, and git's part of the store stays as it was."""
    _, _, bob_path = diverged(tmp_path, "s", "t")
    with reopen(bob_path) as bob:
        before = picture(bob_path)
        foreseen = pull(bob, "hub", rebase=True, dry_run=True)
        assert picture(bob_path) == before
        assert pull(bob, "hub", rebase=True).adoption == foreseen.adoption


@pytest.mark.parametrize("name", ["a/b:c", "long" * 100, "Ünïcode"], ids=["odd", "hashed", "wide"])
def test_streams_of_any_name_that_share_nothing(tmp_path: Path, name: str) -> None:
    """A fork at 0, with spilled data and metadata at its limit, is a rebase like any other."""
    hub = bare(tmp_path / "hub.git")
    about = {"userId": "ada", "more": "m" * 65_000}
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        ada.append(DomainEvent(name, "Noted", SPILLED, about, id="ada"))
        publish(ada, hub)
        bob.append(DomainEvent(name, "Noted", SPILLED + "b", about, id="bob"))
        report = pull(bob, "hub", rebase=True)
        assert report.adoption.rebased[name] == (0, 1, 1, 0, 1, 2, False)
        found = [(e.event.data, e.event.metadata) for e in bob.read_stream(name)]
        assert found == [(SPILLED, about), (SPILLED + "b", about)]
    assert_sound_rebased(tmp_path / "b.git")


def test_many_streams_come_in_several_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends with a whole stream; one that is longer than a batch goes alone."""
    monkeypatch.setattr("gitstore.backends.git.rebasing.AT_ONCE", 3)
    names = [f"s{n}" for n in range(4)]
    hub, _, bob_path = diverged(tmp_path, *names)
    with reopen(bob_path) as bob:
        noted(bob, "s1", *(f"more-{n}" for n in range(5)))
        assert sorted(pull(bob, "hub", rebase=True).adoption.rebased) == names
        assert ids(bob, "s1") == ["s1-0", "s1-ada", "s1-bob", *(f"more-{n}" for n in range(5))]
        publish(bob, hub)
    feeds = git(bob_path, "log", "-4", "--format=%s", "refs/feed").splitlines()
    assert sorted(int(one.split()[0]) for one in feeds) == [2, 2, 2, 7]
    assert_sound_rebased(bob_path)


@pytest.mark.parametrize("ref", ["refs/streams/s", "refs/feed"], ids=["stream", "feed"])
def test_a_ref_that_cannot_be_moved_is_put_right_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    """The rebase counts all the same: it is read, appended to, and the ref follows."""
    monkeypatch.setattr(refs_module, "_LOCK_TIMEOUT", 0.05)
    _, _, bob_path = diverged(tmp_path)
    with reopen(bob_path) as bob:
        tip = git(bob_path, "rev-parse", ref).strip()
        lock = bob_path / f"{ref}.lock"
        lock.touch()
        assert pull(bob, "hub", rebase=True).adoption.rebased
        assert ids(bob, "s") == ["s-0", "s-ada", "s-bob"]
        noted(bob, "s", "after")
        with pytest.raises(FlushFailed):
            bob.flush()
        assert git(bob_path, "rev-parse", ref).strip() == tip
        lock.unlink()
        bob.flush()
        assert git(bob_path, "rev-parse", ref).strip() != tip
        assert ids(bob, "s") == ["s-0", "s-ada", "s-bob", "after"]
    assert_sound_rebased(bob_path)


@pytest.mark.parametrize("ref", ["refs/streams/s", "refs/feed"], ids=["stream", "feed"])
def test_the_next_open_puts_it_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    """Also where the process that rebased has gone."""
    monkeypatch.setattr(refs_module, "_LOCK_TIMEOUT", 0.05)
    _, _, bob_path = diverged(tmp_path)
    lock = bob_path / f"{ref}.lock"
    with reopen(bob_path) as bob:
        lock.touch()
        assert pull(bob, "hub", rebase=True).adoption.rebased
    lock.unlink()
    assert len(assert_sound_rebased(bob_path)) == 4


def test_a_tip_that_cannot_be_kept_leaves_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old tip comes first: where it cannot be kept the stream stays diverged, others do not."""
    monkeypatch.setattr(refs_module, "_LOCK_TIMEOUT", 0.05)
    _, _, bob_path = diverged(tmp_path, "s", "t")
    lock = bob_path / "refs" / "superseded" / "s" / "1.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with reopen(bob_path) as bob:
        report = pull(bob, "hub", rebase=True)
        assert "could not be kept" in report.adoption.conflicts["s"]
        assert [*report.adoption.rebased] == ["t"]
        assert ids(bob, "s") == ["s-0", "s-bob"]
        lock.unlink()
        assert [*pull(bob, "hub", rebase=True).adoption.rebased] == ["s"]
    assert_sound_rebased(bob_path)


def test_what_is_appended_meanwhile_is_replayed_or_follows(tmp_path: Path) -> None:
    """Threads append while streams are rebased: every event is there once, in its order."""
    names = [f"s{n}" for n in range(20)]
    _, _, bob_path = diverged(tmp_path, *names)
    with reopen(bob_path) as bob, reopen(bob_path) as other:
        done = threading.Event()

        def write() -> None:
            for n in range(2_000):
                other.append(DomainEvent(names[n % 20], "Noted", n, id=f"{names[n % 20]}-w{n:05}"))
                if done.is_set():
                    return

        writer = threading.Thread(target=write)
        writer.start()
        report = pull(bob, "hub", rebase=True)
        done.set()
        writer.join()
        assert report.ok
        assert sorted(report.adoption.rebased) == sorted(names)
        for name in names:
            found = ids(bob, name)
            assert found[:3] == [f"{name}-0", f"{name}-ada", f"{name}-bob"]
            assert found[3:] == sorted(found[3:])
    assert_sound_rebased(bob_path)
