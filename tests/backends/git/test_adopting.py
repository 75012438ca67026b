"""What a pull takes in of a remote that may be forged: what is sound, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.backends.git import arrivals, takingin
from gitstore.backends.git.commits import EventCommit, GitObject, encode_commit
from gitstore.backends.git.exchanging import Exchange
from gitstore.backends.git.relating import Relation
from tests.backends.git.forging import START, STREAMS, Forge, pull
from tests.backends.git.witness import assert_sound, filled, git, promise, reopen

Forged = Callable[[Forge], str]
BAD = STREAMS + "task-bad"


def a_wrong_version(remote: Forge) -> str:
    """Version 3 comes right after version 1."""
    return remote.ref(BAD, remote.event("task-bad", 3, remote.event("task-bad")))


def a_gap_at_the_root(remote: Forge) -> str:
    """The first event calls itself the second."""
    return remote.ref(BAD, remote.event("task-bad", 2))


def a_first_event_twice(remote: Forge) -> str:
    """Version 1 has a parent."""
    return remote.ref(BAD, remote.event("task-bad", 1, remote.event("task-bad")))


def another_streams_ref(remote: Forge) -> str:
    """The ref stands at another stream's tip."""
    return remote.ref(BAD, remote.refs()[STREAMS + "task-good"])


def another_stream_below(remote: Forge) -> str:
    """An event continues another stream's."""
    return remote.ref(BAD, remote.event("task-bad", 2, remote.event("task-other")))


def a_blob(remote: Forge) -> str:
    """The ref stands at a blob."""
    return remote.ref(BAD, remote.put(b"no commit", "blob"))


def a_tree(remote: Forge) -> str:
    """The ref stands at a tree."""
    return remote.ref(BAD, remote.put(b"", "tree"))


def a_tag(remote: Forge) -> str:
    """The ref stands at a tag of a sound event."""
    tag = f"object {remote.event('task-bad')}\ntype commit\ntag v1\ntagger a <a@a> 0 +0000\n\n"
    return remote.ref(BAD, remote.put(tag.encode(), "tag"))


def a_blob_for_a_parent(remote: Forge) -> str:
    """The second event's parent is a blob."""
    return remote.ref(BAD, forged_event(2, remote.put(b"no commit", "blob"), remote))


def a_missing_parent(remote: Forge) -> str:
    """The second event's parent is nowhere."""
    return remote.ref(BAD, forged_event(2, "ab" * 20, remote))


def a_missing_tip(remote: Forge) -> str:
    """The ref stands at what is nowhere."""
    return remote.ref(BAD, "cd" * 20)


def a_merge(remote: Forge) -> str:
    """An event has two parents."""
    content = remote.content(remote.chain("task-bad", 2))
    parent = content[content.index(b"parent") :].split(b"\n")[0] + b"\n"
    return remote.ref(BAD, remote.put(content.replace(parent, parent * 2)))


def an_early_date(remote: Forge) -> str:
    """The committer date goes back behind the parent's."""
    parent = remote.event("task-bad", second=100)
    event = EventCommit("task-bad", "Noted", 2, START, "early", {}, parent, START // 1_000_000)
    return remote.ref(BAD, remote.put(encode_commit(event, b"{}")[-1].content))


def changed(old: bytes, new: bytes, data: bytes = b'{"a":1,"b":2}') -> Forged:
    """A sound event in which some bytes were exchanged."""

    def forge(remote: Forge) -> str:
        content = remote.content(remote.event("task-bad", data=data))
        assert old in content
        return remote.ref(BAD, remote.put(content.replace(old, new, 1)))

    return forge


def a_lying_spill(size: int) -> Forged:
    """The message promises less than the 100 MB that its blob holds."""

    def forge(remote: Forge) -> str:
        blob = remote.put(bytes(100 << 20), "blob")
        tree = remote.put(b"100644 data.json\0" + bytes.fromhex(blob), "tree")
        told = f"data.json {size} bytes sha256:{hashlib.sha256(b'').hexdigest()}"
        content = remote.content(remote.event("task-bad"))
        content = content.replace(b"\n{}\n", f"\n{told}\n".encode())
        empty = GitObject.of("tree", b"").id
        return remote.ref(BAD, remote.put(content.replace(empty.encode(), tree.encode())))

    return forge


def a_huge_blob(remote: Forge) -> str:
    """The ref stands at 100 MB."""
    return remote.ref(BAD, remote.put(bytes(100 << 20), "blob"))


def a_huge_commit(remote: Forge) -> str:
    """A commit has 100 MB."""
    content = remote.content(remote.event("task-bad"))
    return remote.ref(BAD, remote.put(content + bytes(100 << 20)))


def our_event_id(remote: Forge) -> str:
    """An event has the id of one that is here."""
    return remote.ref(BAD, remote.event("task-bad", event_id="ours"))


def an_event_id_twice(remote: Forge) -> str:
    """Two events of one stream have one id."""
    first = remote.event("task-bad", event_id="twice")
    return remote.ref(BAD, remote.event("task-bad", 2, first, event_id="twice"))


def forged_event(version: int, parent: str, remote: Forge) -> str:
    """An event on any parent."""
    event = EventCommit("task-bad", "Noted", version, START, "x", {}, parent, START // 1_000_000)
    return remote.put(encode_commit(event, b"{}")[-1].content)


FORGED: dict[str, tuple[Forged, str]] = {
    "wrong version": (a_wrong_version, "comes after version 1"),
    "gap at the root": (a_gap_at_the_root, "comes after version 0"),
    "first event twice": (a_first_event_twice, "comes after version 1"),
    "another's ref": (another_streams_ref, "is of stream 'task-good'"),
    "another below": (another_stream_below, "is of stream 'task-other'"),
    "blob": (a_blob, "is a blob, not a commit"),
    "tree": (a_tree, "is a tree, not a commit"),
    "tag": (a_tag, "is a tag, not a commit"),
    "blob in the chain": (a_blob_for_a_parent, "is a blob, not a commit"),
    "missing parent": (a_missing_parent, "is missing"),
    "missing tip": (a_missing_tip, "is missing"),
    "merge": (a_merge, "headers are not those of an event"),
    "early date": (an_early_date, "committer date"),
    "keys out of order": (changed(b'{"a":1,"b":2}', b'{"b":2,"a":1}'), "canonical form"),
    "spaces": (changed(b'{"a":1,"b":2}', b'{"a": 1,"b":2}'), "canonical form"),
    "float": (changed(b'{"a":1,"b":2}', b'{"a":1e0}'), "canonical form"),
    "key twice": (changed(b'{"a":1,"b":2}', b'{"a":1,"a":1}'), "twice"),
    "no JSON": (changed(b'{"a":1,"b":2}', b"{"), "JSON"),
    "signed": (changed(b"+0000\n\nNoted", b"+0000\ngpgsig x\n\nNoted"), "headers"),
    "encoding": (changed(b"+0000\n\nNoted", b"+0000\nencoding x\n\nNoted"), "headers"),
    "other committer": (changed(b"committer scopecraft", b"committer mallory"), "canonical form"),
    "other author": (changed(b"author scopecraft", b"author mallory"), "canonical form"),
    "bytes behind": (changed(b".000Z\n", b".000Z\n\n"), "not that of an event"),
    "time not in its form": (changed(b".000Z\n", b".000000Z\n"), "canonical form"),
    "newer": (changed(b".000Z\n", b".000Z\nTrace-Id: 1\n"), "newer version"),
    "huge blob": (a_huge_blob, "is a blob, not a commit"),
    "huge commit": (a_huge_commit, "more than"),
    "lying size": (a_lying_spill(9_000), "more than 9000"),
    "our event id": (our_event_id, "event id 'ours' stands for another event"),
    "event id twice": (an_event_id_twice, "event id 'twice' stands for another event"),
}


@pytest.fixture
def remote(place: Path) -> Forge:
    """A remote with two sound streams."""
    forge = Forge(place / "remote.git")
    forge.stream("task-good")
    forge.stream("worktree-a/b", 2)
    return forge


INCOMPLETE = ("missing tip", "missing parent", "blob in the chain")


@pytest.mark.parametrize("case", FORGED)
def test_nothing_forged_is_adopted_and_all_else_is(place: Path, remote: Forge, case: str) -> None:
    """A stream that fails a check is named and kept aside; the others come in beside it."""
    forge, why = FORGED[case]
    tip = forge(remote)
    store = place / "events.git"
    with reopen(store) as opened:
        ours = opened.append(DomainEvent("task-ours", "Noted", {}, id="ours"))
        before = peak_memory(reset=True)
        adoption = pull(opened, remote)
        if case in ("huge blob", "huge commit", "lying size"):
            assert peak_memory() - before < 50 << 20
        assert {name: why in said for name, said in adoption.refused.items()} == {BAD: True}
        assert adoption.adopted == {"task-good": (0, 3), "worktree-a/b": (0, 2)}
        assert (adoption.events, adoption.diverged) == (5, {})
        assert git(store, "for-each-ref", "--format=%(refname)", STREAMS).split() == [
            STREAMS + name for name in ("task-good", "task-ours", "worktree-a%2Fb")
        ]
        kept = git(store, "for-each-ref", "--format=%(objectname)", "refs/quarantine/origin")
        # A ref on what is not here as a whole would stop git, and tell it not to fetch the rest.
        assert kept.split() == ([] if case in INCOMPLETE else [tip])
        assert [f.kind for f in opened.verify().findings] == ["quarantine"] * len(kept.split())
        assert [e.position for e in opened.read_all()] == list(range(1, 7))
        assert promise(next(opened.read_all())) == promise(ours)
        assert pull(opened, remote).adopted == {}


def peak_memory(*, reset: bool = False) -> int:
    """The most bytes this process has held, since the last reset; 0 where nobody says."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        return 0
    if reset:
        clear.write_text("5")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) << 10


@pytest.mark.parametrize(
    "name",
    ["a/b", "task%2dx", "t%61sk", "%h" + "0" * 64, "task-caf\u00e9", "%", "x" * 201],
)
def test_refs_outside_the_encoding_are_foreign(place: Path, remote: Forge, name: str) -> None:
    """A sound stream under a name that no encoding gives is not adopted."""
    remote.ref(STREAMS + name, remote.chain("task-x", 2))
    with reopen(place / "events.git") as opened:
        adoption = pull(opened, remote)
        assert list(adoption.refused) == [STREAMS + name]
        assert "encoding" in adoption.refused[STREAMS + name]
        assert sorted(adoption.adopted) == ["task-good", "worktree-a/b"]
        assert [f.kind for f in opened.verify().findings] == ["quarantine"]


def test_foreign_names_do_not_hide_each_other(place: Path, remote: Forge) -> None:
    """Two refused refs whose names are encoded alike are both kept."""
    tips = {remote.ref(STREAMS + n, remote.event(f"no-{n}")) for n in ("a%41", "a%2541")}
    store = place / "events.git"
    with reopen(store) as opened:
        assert len(pull(opened, remote).refused) == 2
    kept = git(store, "for-each-ref", "--format=%(objectname)", "refs/quarantine/origin").split()
    assert set(kept) == tips


def test_a_hashed_name_is_adopted(place: Path, remote: Forge) -> None:
    """A stream whose name is too long for a ref is known by its events."""
    remote.stream("task-" + "x" * 300, 2)
    with reopen(place / "events.git") as opened:
        assert pull(opened, remote).adopted["task-" + "x" * 300] == (0, 2)
    assert_sound(place / "events.git")


def test_of_twins_in_one_pull_the_first_comes_in(place: Path, remote: Forge) -> None:
    """Of two streams with one event id that begins first stays, whatever their names are."""
    remote.ref(STREAMS + "b-first", remote.event("b-first", event_id="one", second=500))
    remote.ref(STREAMS + "a-second", remote.event("a-second", event_id="one", second=501))
    later = remote.event("c-third", event_id="two", second=502)
    remote.ref(STREAMS + "c-third", later)
    remote.ref(
        STREAMS + "a-second",
        remote.event(
            "a-second", 2, remote.refs()[STREAMS + "a-second"], event_id="two", second=503
        ),
    )
    with reopen(place / "events.git") as opened:
        adoption = pull(opened, remote)
        assert list(adoption.refused) == [STREAMS + "a-second"]
        assert {"b-first", "c-third"} < adoption.adopted.keys()
    assert_sound(place / "events.git")


def test_case_twins_where_case_is_folded(place: Path, remote: Forge) -> None:
    """Of streams that differ in case only, ours stays, else the one that begins first."""
    remote.stream("task-OURS", 1)
    remote.ref(STREAMS + "new-b", remote.event("new-b", second=500))
    remote.ref(STREAMS + "new-B", remote.event("new-B", second=501))
    with reopen(place / "events.git") as opened:
        opened.append(DomainEvent("task-ours", "Noted", {}))
        opened._parts = replace(opened._parts, folds_case=True)
        adoption = pull(opened, remote)
        assert sorted(adoption.refused) == [STREAMS + "new-B", STREAMS + "task-OURS"]
        assert sorted(adoption.adopted) == ["new-b", "task-good", "worktree-a/b"]
        assert "in case only" in adoption.refused[STREAMS + "new-B"]


def test_spilled_data_comes_in(place: Path, remote: Forge) -> None:
    """Data that lies in a blob is read like any other."""
    large = b'"%b"' % (b"x" * 100_000)
    remote.ref(STREAMS + "task-large", remote.event("task-large", data=large))
    with reopen(place / "events.git") as opened:
        pull(opened, remote)
        assert [e.event.data for e in opened.read_stream("task-large")] == ["x" * 100_000]
    assert_sound(place / "events.git")


def test_a_fork_is_no_fault(place: Path, remote: Forge) -> None:
    """Where both sides went on, the stream is left, and named with the place of the fork."""
    store = place / "events.git"
    with reopen(store) as opened:
        pull(opened, remote)
        good = remote.refs()[STREAMS + "task-good"]
        remote.ref(STREAMS + "task-good", remote.chain("task-good", 2, good, 3))
        ours = [promise(opened.append(DomainEvent("task-good", "Ours", {}))) for _ in range(3)]
        adoption = pull(opened, remote)
        assert adoption.diverged == {"task-good": Relation("diverged", 3, 2, 3)}
        assert (adoption.adopted, adoption.refused) == ({}, {})
    assert_sound(store, ours)
    assert git(store, "for-each-ref", "refs/quarantine") == ""


def test_a_forged_fork_is_a_fault(place: Path, remote: Forge) -> None:
    """A chain that forks from ours and fails a check besides is refused, not diverged."""
    with reopen(place / "events.git") as opened:
        pull(opened, remote)
        good = remote.refs()[STREAMS + "task-good"]
        opened.append(DomainEvent("task-good", "Ours", {}))
        remote.ref(STREAMS + "task-good", remote.event("task-good", 5, good))
        adoption = pull(opened, remote)
        assert (list(adoption.refused), adoption.diverged) == ([STREAMS + "task-good"], {})


@pytest.mark.parametrize("rewritten", [2, 3, 5])
def test_a_rewritten_history_displaces_nothing(place: Path, rewritten: int) -> None:
    """A remote that gives a stream another past has diverged; what was adopted stays."""
    remote = Forge(place / "remote.git")
    remote.stream("task-a", 3)
    store = place / "events.git"
    with reopen(store) as opened:
        pull(opened, remote)
        held = [promise(e) for e in opened.read_all()]
        remote.stream("task-a", rewritten)
        adoption = pull(opened, remote)
        assert adoption.diverged == {"task-a": Relation("diverged", 3, rewritten, 0)}
    assert len(assert_sound(store, held)) == 3


def test_what_is_in_order_again_leaves_the_quarantine(place: Path, remote: Forge) -> None:
    """A refused tip is kept until its stream passes; other remotes' are not touched."""
    store = place / "events.git"
    a_blob(remote)
    with reopen(store) as opened:
        pull(opened, remote)
        pull(opened, remote, "other")
        remote.ref(BAD, remote.chain("task-bad", 2))
        assert pull(opened, remote).adopted == {"task-bad": (0, 2)}
    names = git(store, "for-each-ref", "--format=%(refname)", "refs/quarantine").split()
    assert names == ["refs/quarantine/other/streams/task-bad"]


def test_what_is_known_is_neither_recorded_nor_moved(place: Path, remote: Forge) -> None:
    """Equal tips and older ones change nothing."""
    store = place / "events.git"
    with reopen(store) as opened:
        pull(opened, remote)
        opened.append(DomainEvent("task-good", "Ours", {}))
        opened.flush()
        refs = git(store, "for-each-ref")
        older = {STREAMS + "task-good": git(store, "rev-parse", f"{STREAMS}task-good~2").strip()}
        for tips in (remote.refs(), older, {}):
            adoption = pull(opened, remote, tips=tips)
            assert (adoption.adopted, adoption.diverged, adoption.refused) == ({}, {}, {})
        assert git(store, "for-each-ref") == refs


def test_the_order_is_that_of_the_events(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions follow committer date, stream and version over the whole pull, in any chunks."""
    monkeypatch.setattr(arrivals, "AT_ONCE", 2)
    remote = Forge(place / "remote.git")
    for stream, seconds in (("b", (5, 1, 7)), ("a", (5, 6, 6)), ("c", (1, 2, 9))):
        tip = None
        for version, second in enumerate(seconds, 1):
            tip = remote.event(stream, version, tip, second=second)
        assert tip is not None
        remote.ref(STREAMS + stream, tip)
    with reopen(place / "events.git") as opened:
        pull(opened, remote)
        order = [f"{e.stream_id}{e.version}" for e in opened.read_all()]
    assert order == ["c1", "c2", "a1", "b1", "b2", "a2", "a3", "b3", "c3"]
    assert_sound(place / "events.git")


@pytest.mark.parametrize("how", ["same stream", "same id", "beside"])
def test_an_append_between_check_and_record(
    place: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What is appended here meanwhile stands; the rest of that stream has diverged from it."""
    monkeypatch.setattr(arrivals, "AT_ONCE", 3)
    remote = Forge(place / "remote.git")
    remote.stream("task-a", 6)
    last = remote.ref(STREAMS + "task-b", remote.event("task-b", event_id="b"))
    assert last
    store = place / "events.git"
    ours = []
    with reopen(store) as opened:

        def append(what: str, done: int, _total: int) -> None:
            if what.startswith("Recording") and not ours:
                stream = "task-a" if how == "same stream" else "task-here"
                given = "b" if how == "same id" else None
                ours.append(promise(opened.append(DomainEvent(stream, "Ours", {}, id=given))))
                assert done == 3

        adoption = pull(opened, remote, progress=append)
    if how == "same stream":
        assert adoption.adopted == {"task-a": (0, 3), "task-b": (0, 1)}
        assert adoption.diverged == {"task-a": Relation("diverged", 1, 3, 3)}
    elif how == "same id":
        assert adoption.adopted == {"task-a": (0, 6)}
        assert list(adoption.refused) == [STREAMS + "task-b"]
    else:
        assert adoption.adopted == {"task-a": (0, 6), "task-b": (0, 1)}
    assert_sound(store, ours)


def test_subscribers_get_what_is_adopted(place: Path, remote: Forge) -> None:
    """Handlers of this store object get each adopted event once, in order, durable."""
    seen: list[tuple[int, str]] = []
    with reopen(place / "events.git") as opened:
        opened.append(DomainEvent("task-ours", "Noted", {}))
        opened.subscribe(lambda e: seen.append((e.position, e.commit or "")))
        pull(opened, remote)
        pull(opened, remote)
        assert seen == [(e.position, e.commit) for e in opened.read_all(1)]
        assert [position for position, _ in seen] == [2, 3, 4, 5, 6]


def test_an_adopted_stream_goes_on_here(place: Path, remote: Forge) -> None:
    """The store that pulled appends right after what it adopted, also in another process."""
    store = place / "events.git"
    with reopen(store) as opened, reopen(store) as other:
        other.append(DomainEvent("task-good-not", "Noted", {}))
        pull(opened, remote)
        assert opened.append(DomainEvent("task-good", "Ours", {}), 3).version == 4
        assert other.append(DomainEvent("worktree-a/b", "Ours", {}), 2).version == 3
    assert_sound(store)


def test_only_the_git_store_has_an_exchange_that_writes(place: Path) -> None:
    """The way in is there for a store that can be written."""
    with reopen(place / "events.git") as opened:
        assert isinstance(opened.exchange, Exchange)
        assert opened.exchange.layout.root == place / "events.git"


def test_tips_are_ours_after_a_flush(place: Path) -> None:
    """What was just appended is in the tips."""
    store = place / "events.git"
    filled(store, 3, 3)
    with reopen(store) as opened:
        last = opened.append(DomainEvent("task-0", "Noted", {}))
        assert opened.exchange.tips()[STREAMS + "task-0"] == last.commit


@pytest.mark.parametrize("program", ["python", "false", "missing"])
def test_many_new_streams_are_checked_by_several_processes(
    place: Path, remote: Forge, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """The same comes in, and is refused, as in one process; also where none can be started."""
    monkeypatch.setattr(takingin, "_MANY_STREAMS", 1)
    if program != "python":
        monkeypatch.setattr(sys, "executable", shutil.which(program) or "/nowhere/python")
    remote.ref(STREAMS + "b-first", remote.event("b-first", event_id="one", second=500))
    remote.ref(STREAMS + "a-twin", remote.event("a-twin", event_id="one", second=501))
    changed(b".000Z\n", b".000Z\nTrace-Id: 1\n")(remote)
    store = place / "events.git"
    with reopen(store) as opened:
        adoption = pull(opened, remote)
        assert sorted(adoption.refused) == [STREAMS + "a-twin", BAD]
        assert "newer version" in adoption.refused[BAD]
        assert sorted(adoption.adopted) == ["b-first", "task-good", "worktree-a/b"]
        good = remote.refs()[STREAMS + "task-good"]
        remote.ref(STREAMS + "task-good", remote.chain("task-good", 2, good, 3))
        remote.stream("task-new", 2)
        assert pull(opened, remote).adopted == {"task-good": (3, 5), "task-new": (0, 2)}
    assert len(assert_sound(store)) == 10
