"""Checkpoints between machines: what a rewritten, shortened or rebased history shows as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.backends.git.checkpointing import Made
from gitstore.backends.git.proving import Proof
from gitstore.core.names import encode_name
from gitstore.sync.checkpoints import Checked, NoCheckpoint, check_against, checkpoint
from gitstore.sync.cloning import clone
from gitstore.sync.pulling import pull
from gitstore.sync.transport import RemoteFailed
from tests.sync.machines import check_sound, machine, opened, pushed, record
from tests.sync.proofs import forged, put, read, replayed
from tests.sync.servers import bare, git, refs

LAPTOP = "refs/checkpoints/laptop"
THERE = "refs/remotes/origin/checkpoints/laptop"


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A bare repository."""
    return bare(tmp_path / "hub.git")


@pytest.fixture
def laptop(tmp_path: Path, hub: Path) -> Path:
    """A machine's store with two streams, of three events and one; not pushed."""
    where = machine(tmp_path / "laptop.git", "laptop", hub=hub)
    record(where, "task-1", "task-1", "task-1", "task-2")
    return where


def made(where: Path) -> Made:
    """A checkpoint of the store as it is."""
    with opened(where) as store:
        return checkpoint(store)


def checked(where: Path, named: str) -> list[Checked]:
    """Hold the store against what is named."""
    with opened(where) as store:
        return check_against(store, named)


def proof(where: Path, named: str) -> Proof:
    """The proof of the one checkpoint that is named."""
    (one,) = checked(where, named)
    assert one.proof is not None, one.why
    return one.proof


def states(found: Proof) -> dict[str, str]:
    """Stream → state, of those that did not simply stay or go on."""
    return {one.stream: one.state for one in found.findings}


def cloned(hub: Path, where: Path) -> Path:
    """A new machine's store."""
    clone(str(hub), where)
    return where


# On the way


def test_push_brings_our_checkpoints_and_pull_tracks_them(
    laptop: Path, hub: Path, tmp_path: Path
) -> None:
    """The same refs that plain git moves; nothing is done twice."""
    first = made(laptop).commit
    assert pushed(laptop).is_complete
    assert refs(hub, "refs/checkpoints") == {LAPTOP: first}
    assert refs(laptop, "refs/remotes/hub/checkpoints").popitem()[1] == first
    copy = cloned(hub, tmp_path / "copy.git")
    assert refs(copy, "refs/remotes/origin/checkpoints") == {THERE: first}
    assert not refs(copy, "refs/checkpoints")
    record(laptop, "task-1")
    second = made(laptop).commit
    assert pushed(laptop).checkpoints == (LAPTOP,)
    assert pushed(laptop).checkpoints == ()
    with opened(copy) as store:
        assert pull(store, "origin").ok
    assert refs(copy, THERE) == {THERE: second} != {THERE: first}
    before = refs(copy)
    git(copy, "fetch", "--quiet", "origin")
    assert refs(copy) == before
    check_sound(copy)
    check_sound(laptop)


def test_a_push_of_a_checkpoint_is_never_forced(laptop: Path, hub: Path, tmp_path: Path) -> None:
    """Another machine of this name keeps its own; it is said, all else goes through."""
    made(laptop)
    other = machine(tmp_path / "other.git", "laptop", hub=hub)
    record(other, "task-9")
    theirs = made(other).commit
    git(other, "push", "--quiet", "hub", "refs/heads/main", f"{LAPTOP}:{LAPTOP}")
    report = pushed(laptop)
    assert report.refused == {LAPTOP: "checkpoints of another machine stand there"}
    assert refs(hub, LAPTOP) == {LAPTOP: theirs}
    assert len(refs(hub, "refs/streams")) == 2


def test_an_older_checkpoint_of_ours_is_not_pushed_back(laptop: Path, hub: Path) -> None:
    """Such as of a restored backup: the newer one there stands, and that is no failure."""
    first = made(laptop).commit
    record(laptop, "task-1")
    second = made(laptop).commit
    pushed(laptop)
    git(laptop, "update-ref", LAPTOP, first)
    report = pushed(laptop)
    assert report.is_complete
    assert refs(hub, LAPTOP) == {LAPTOP: second}


@pytest.mark.parametrize("name", ["../../x", "a/b", "x.lock", "%zz", "a b", "-d", "\u202ename"])
def test_a_checkpoint_under_a_hostile_name_is_left_there(
    laptop: Path, hub: Path, tmp_path: Path, name: str
) -> None:
    """Nothing is tracked under a name that is no machine's; the others are."""
    tip = made(laptop).commit
    pushed(laptop)
    with (hub / "packed-refs").open("ab") as packed:
        packed.write(f"{tip} refs/checkpoints/{name}\n".encode())
    copy = tmp_path / "copy.git"
    try:
        clone(str(hub), copy)
    except RemoteFailed:
        return  # git itself gives up on it
    tracked = refs(copy, "refs/remotes/origin/checkpoints")
    assert THERE in tracked
    assert set(tracked) <= {THERE, f"{THERE.removesuffix('laptop')}{encode_name(name)}"}
    check_sound(copy)


# What the store is held against


def test_what_names_a_checkpoint(laptop: Path, hub: Path) -> None:
    """A ref in full or short, its machine, a commit's id or its beginning, a remote."""
    commit = made(laptop).commit
    pushed(laptop)
    full = [LAPTOP, "checkpoints/laptop", "laptop"]
    for named in [*full, commit, commit[:10], "hub", "hub/checkpoints/laptop"]:
        (one,) = checked(laptop, named)
        assert one.commit == commit
        assert one.ref == (LAPTOP if named in full else one.ref)
        assert one.proof is not None
        assert one.proof.agrees
        assert one.proof.summary == {"stands": 2}


@pytest.mark.parametrize("named", ["nope", "", "-d", "^laptop", "--all", "laptop..laptop", "a b"])
def test_what_names_none_is_an_error_that_says_which_there_are(laptop: Path, named: str) -> None:
    """Whatever is typed."""
    made(laptop)
    with pytest.raises(NoCheckpoint) as caught:
        checked(laptop, named)
    assert LAPTOP in caught.value.hint


def test_a_remote_without_checkpoints_is_an_error(laptop: Path) -> None:
    """It proves nothing."""
    pushed(laptop)
    with pytest.raises(NoCheckpoint, match="'hub' has no checkpoints"):
        checked(laptop, "hub")


def test_all_checkpoints_of_a_remote_are_held_against(
    laptop: Path, hub: Path, tmp_path: Path
) -> None:
    """One that is none is named, and the others go on."""
    made(laptop)
    pushed(laptop)
    desktop = cloned(hub, tmp_path / "desktop.git")
    git(desktop, "config", "gitstore.machine", "desktop")
    record(desktop, "task-3")
    made(desktop)
    pushed(desktop, "origin")
    git(hub, "update-ref", "refs/checkpoints/broken", "refs/heads/main")
    names = [one.ref.rpartition("/")[2] for one in checked(laptop, "hub")]
    assert names == ["broken", "desktop", "laptop"]
    broken, theirs, ours = checked(laptop, "hub")
    assert broken.proof is None
    assert "no checkpoint" in broken.why
    assert theirs.proof is not None
    assert states(theirs.proof) == {"task-3": "behind"}
    assert ours.proof is not None
    assert ours.proof.summary == {"stands": 2}


# What it shows


def test_a_store_that_has_gone_on_agrees(laptop: Path) -> None:
    """Every event of the checkpoint is where it was; also with an event that is not in git yet."""
    made(laptop)
    record(laptop, "task-1", "task-3", "task-2")
    assert proof(laptop, LAPTOP).summary == {"stands": 2}
    with opened(laptop) as store:
        store.append(DomainEvent("task-1", "Noted"))
        (one,) = check_against(store, LAPTOP)
        assert one.proof is not None
        assert one.proof.summary == {"stands": 2}


def test_a_store_that_has_not_pulled_is_behind(laptop: Path, hub: Path, tmp_path: Path) -> None:
    """Which is no fault: a pull brings the rest, and a stream it never saw."""
    pushed(laptop)
    copy = cloned(hub, tmp_path / "copy.git")
    record(laptop, "task-1", "task-3")
    made(laptop)
    pushed(laptop)
    found = proof(copy, "origin")
    assert found.agrees
    assert states(found) == {"task-1": "behind", "task-3": "behind"}
    with opened(copy) as store:
        pull(store, "origin")
    assert proof(copy, "origin").summary == {"stands": 3}


def _shorten(hub: Path) -> None:
    git(hub, "update-ref", "refs/streams/task-1", refs(hub)["refs/streams/task-1"] + "~1")


def _rewrite(hub: Path) -> None:
    tip = refs(hub)["refs/streams/task-1"]
    parent = git(hub, "rev-parse", f"{tip}~1").strip()
    other = replayed(hub, read(hub, tip), parent, data=b'{"by":"eve"}')
    git(hub, "update-ref", "refs/streams/task-1", other)


def _delete(hub: Path) -> None:
    git(hub, "update-ref", "-d", "refs/streams/task-1")


@pytest.mark.parametrize(
    ("change", "state", "here"),
    [(_shorten, "lost", "behind"), (_rewrite, "lost", "rewritten"), (_delete, "missing", "behind")],
    ids=["shortened", "rewritten", "deleted"],
)
def test_a_history_that_was_changed_on_the_remote_shows(
    laptop: Path, hub: Path, tmp_path: Path, change: Callable[[Path], None], state: str, here: str
) -> None:
    """A new clone, which knows nothing else, names the stream; one with the old objects knows."""
    made(laptop)
    pushed(laptop)
    old = git(hub, "rev-parse", "refs/streams/task-1").strip()
    change(hub)
    copy = cloned(hub, tmp_path / "copy.git")
    found = proof(copy, "origin")
    assert not found.agrees
    assert states(found) == {"task-1": state}
    assert found.findings[0].commit == old
    assert found.summary == {state: 1, "stands": 1}
    git(copy, "fetch", "--quiet", str(laptop), f"{old}:refs/kept/old")
    assert states(proof(copy, "origin")) == {"task-1": here}
    check_sound(copy)
    assert proof(laptop, "hub").summary == {"stands": 2}


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "older"])
def test_a_checkpoint_that_the_remote_takes_back_is_held_against(
    laptop: Path, hub: Path, tmp_path: Path, *, gone: bool
) -> None:
    """Who cuts a stream there, and puts an older checkpoint in its place, is found out."""
    first = made(laptop).commit
    pushed(laptop)
    copy = cloned(hub, tmp_path / "copy.git")
    record(laptop, "task-1")
    second = made(laptop).commit
    pushed(laptop)
    assert [one.commit for one in checked(copy, "origin")] == [second]
    git(hub, "update-ref", "refs/streams/task-1", refs(hub)["refs/streams/task-1"] + "~1")
    git(hub, "update-ref", *(["-d", LAPTOP] if gone else [LAPTOP, first]))
    found = checked(copy, "origin")
    assert [one.commit for one in found] == ([second] if gone else [first, second])
    assert found[-1].proof is not None
    assert states(found[-1].proof) == {"task-1": "behind"}


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "shortened"])
def test_what_this_very_store_had_is_not_only_behind(laptop: Path, *, gone: bool) -> None:
    """The checkpoint is its own: where a stream ends before it, events are gone."""
    made(laptop)
    tip = refs(laptop)["refs/streams/task-1"]
    copy = bare(laptop.with_name("copy.git"))
    git(copy, "fetch", "--quiet", str(laptop), "refs/heads/main:refs/heads/main")
    if not gone:
        git(copy, "fetch", "--quiet", str(laptop), f"{tip}:refs/streams/task-1")
        git(copy, "update-ref", "refs/streams/task-1", f"{tip}~2")
    git(copy, "fetch", "--quiet", str(laptop), f"{tip}:refs/kept/old", f"{LAPTOP}:{LAPTOP}")
    with opened(copy) as store:
        own = forged(copy, {"task-1": tip}, store=store.store_id)
    assert states(proof(copy, own)) == {"task-1": "missing" if gone else "truncated"}
    assert states(proof(copy, LAPTOP))["task-1"] == "behind"


def _rebased(laptop: Path, hub: Path, **changes: object) -> str:
    """The hub as a rebase leaves it: the last two events after another's; gives the old tip."""
    pushed(laptop)
    old = git(laptop, "rev-parse", "refs/streams/task-1").strip()
    fork, second = git(laptop, "rev-parse", f"{old}~2", f"{old}~1").split()
    git(hub, "update-ref", "refs/streams/task-1", fork)
    elsewhere = hub.with_name("elsewhere.git")
    cloned(hub, elsewhere)
    record(elsewhere, "task-1", by="bob")
    tip = git(elsewhere, "rev-parse", "refs/streams/task-1").strip()
    for commit in (second, old):
        changed = changes if commit == old else {}
        tip = replayed(elsewhere, read(laptop, commit), tip, origin=commit, **changed)
    git(elsewhere, "push", "--quiet", str(hub), f"{tip}:refs/streams/task-1")
    return old


def test_a_rebased_history_holds_all_that_was(laptop: Path, hub: Path, tmp_path: Path) -> None:
    """Each event that was moved aside stands in the stream by its id, with equal content."""
    made(laptop)
    old = _rebased(laptop, hub)
    copy = cloned(hub, tmp_path / "copy.git")
    git(copy, "fetch", "--quiet", str(laptop), f"{old}:refs/superseded/task-1/1")
    found = proof(copy, "origin")
    assert found.agrees
    assert states(found) == {"task-1": "rebased"}


@pytest.mark.parametrize(
    "changes",
    [{"data": b'{"by":"eve"}'}, {"event_id": "other"}, {"metadata": {"n": True}}],
    ids=str,
)
def test_a_rebase_that_lost_something_is_a_rewriting(
    laptop: Path, hub: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    """Whatever it says of where its events came from."""
    made(laptop)
    old = _rebased(laptop, hub, **changes)
    copy = cloned(hub, tmp_path / "copy.git")
    git(copy, "fetch", "--quiet", str(laptop), f"{old}:refs/superseded/task-1/1")
    found = proof(copy, "origin")
    assert states(found) == {"task-1": "rewritten"}
    assert read(laptop, old).event_id in found.findings[0].message


def test_what_was_rebased_elsewhere_cannot_be_compared(
    laptop: Path, hub: Path, tmp_path: Path
) -> None:
    """An event says which commit it stands for, but that is not here: said, and no fault."""
    made(laptop)
    _rebased(laptop, hub)
    found = proof(cloned(hub, tmp_path / "copy.git"), "origin")
    assert found.agrees
    assert states(found) == {"task-1": "unverifiable"}


def test_what_this_very_store_had_is_not_excused_by_an_event(
    laptop: Path, hub: Path, tmp_path: Path
) -> None:
    """Its own rebases keep what they move aside: where that is gone, an origin says nothing."""
    made(laptop)
    old = _rebased(laptop, hub)
    copy = cloned(hub, tmp_path / "copy.git")
    with opened(copy) as store:
        own = forged(copy, {"task-1": old}, store=store.store_id)
    found = proof(copy, own)
    assert not found.agrees
    assert states(found) == {"task-1": "lost"}


def test_a_checkpoint_that_names_what_no_stream_held(laptop: Path) -> None:
    """Names that decode to nothing, commits of other streams, and what is no event."""
    tips = refs(laptop)
    task, other = tips["refs/streams/task-1"], tips["refs/streams/task-2"]
    odd = {
        "%zz": task,
        "a b": task,
        "\u202e": task,
        "task-1": other,
        "task-2": tips["refs/heads/main"],
        "task-3": put(laptop, b"", "tree"),
        "task-4": "1" * 40,
        "task-5": "0" * 40,
        "%h" + "0" * 64: task,
    }
    found = proof(laptop, forged(laptop, odd))
    assert not found.agrees
    expected = dict.fromkeys(odd, "invalid") | {"task-4": "missing", "task-5": "missing"}
    assert states(found) == {name.encode().decode(): state for name, state in expected.items()}


def test_a_checkpoint_that_does_not_list_what_it_says_is_none(laptop: Path) -> None:
    """And one whose tree is missing, or holds something else."""
    tip = refs(laptop)["refs/streams/task-1"]
    for facts, why in (
        ({"streams": 7}, "speaks of 7 streams, and lists 1"),
        ({"tree": "1" * 40}, "missing"),
        ({"tree": put(laptop, b"100644 task-1\0" + bytes(20), "tree")}, "something else"),
        ({"tree": put(laptop, b"", "blob")}, "not a tree"),
    ):
        (one,) = checked(laptop, forged(laptop, {"task-1": tip}, **facts))
        assert one.proof is None
        assert why in one.why


def test_a_checkpoint_too_large_is_not_loaded(
    laptop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is looked at first."""
    monkeypatch.setattr("gitstore.backends.git.proving.MOST_BYTES", 40)
    made(laptop)
    (one,) = checked(laptop, LAPTOP)
    assert "more than 40" in one.why
