"""Comparing two stores: every state, hostile refs, and that nothing is changed or read in vain."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import DomainEvent, StoreNotFound
from gitstore.backends.git.store import GitEventStore
from gitstore.core.errors import StoreCorrupted, UnsupportedFormat
from gitstore.core.names import encode_name
from gitstore.sync import remotes
from gitstore.sync.comparing import (
    Compared,
    Comparison,
    StreamNotFound,
    compare,
    compare_with,
)
from gitstore.sync.others import open_other
from gitstore.sync.pulling import pull
from gitstore.sync.sides import Pair, Sides
from gitstore.sync.standing import remote_standings
from gitstore.testing.strategies import stream_ids
from tests.backends.git.witness import git, reopen
from tests.sync.servers import daemon

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
LONG = "task-" + "x" * 300
HISTORIES = {
    "task-same": (3, 0, 0),
    "task-ahead": (2, 4, 0),
    "worktree-feature/auth": (2, 0, 3),
    "task-ünï 50%": (1, 2, 1),
    LONG: (0, 1, 1),
    "task-here": (0, 2, 0),
    "%h-there": (0, 0, 2),
    f"{LONG}-there": (0, 0, 1),
}
"""Stream → how many events both have, then only ours, then only theirs."""
EXPECTED = {
    "task-same": ("identical", 0, 0, 3),
    "task-ahead": ("ahead", 4, 0, 2),
    "worktree-feature/auth": ("behind", 0, 3, 2),
    "task-ünï 50%": ("diverged", 2, 1, 1),
    LONG: ("diverged", 1, 1, 0),
    "task-here": ("only-here", 2, 0, 0),
    "%h-there": ("only-there", 0, 2, 0),
    f"{LONG}-there": ("only-there", 0, 1, 0),
}
MIRRORED = {"ahead": "behind", "behind": "ahead", "only-here": "only-there"}
MIRRORED |= {"only-there": "only-here"}


def event(stream: str, number: int, side: str = "", **fields: object) -> DomainEvent:
    """An event that is the same on both sides, or of one side."""
    given: dict[str, object] = {
        "id": f"{encode_name(stream)[:80]}-{len(stream)}-{side}{number}",
        "timestamp": START + timedelta(minutes=number),
        "data": {"n": number, "side": side},
        **fields,
    }
    return DomainEvent(stream, "Noted", **given)  # type: ignore[arg-type]


def fill(store: GitEventStore, histories: Mapping[str, tuple[int, int, int]], side: str) -> None:
    """Record what one side has of these histories."""
    for stream, (common, *own) in histories.items():
        count = own["ab".index(side)]
        store.append_many(
            [
                *(event(stream, n) for n in range(common)),
                *(event(stream, common + n, side) for n in range(count)),
            ]
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores ``a.git`` and ``b.git``."""
    folder = tmp_path_factory.mktemp("made")
    for side in "ab":
        with reopen(folder / f"{side}.git") as store:
            fill(store, HISTORIES, side)
    return folder


@pytest.fixture
def ours(made: Path, tmp_path: Path) -> Iterator[GitEventStore]:
    """Our store, open; theirs is ``b.git`` beside it."""
    for side in "ab":
        shutil.copytree(made / f"{side}.git", tmp_path / f"{side}.git")
    with reopen(tmp_path / "a.git") as store:
        yield store


@pytest.fixture
def theirs(ours: GitEventStore, tmp_path: Path) -> Path:
    """The other store's path."""
    return tmp_path / "b.git"


def states(found: Comparison) -> dict[str, tuple[object, ...]]:
    """State and counts by stream."""
    return {one.stream: one[1:5] for one in found.streams}


def picture(store: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and directory with its time and content."""
    return {
        str(path.relative_to(store)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(store.rglob("*"))
    }


def connected(ours: GitEventStore, url: object, name: str = "hub") -> str:
    """Give our store a remote."""
    remotes.add(ours.exchange.layout.root, name, str(url))
    return name


# Every kind of other


def test_another_store_on_this_machine(ours: GitEventStore, theirs: Path) -> None:
    """Each state with its counts, true names, sorted, and the sum of it."""
    found = compare(ours, str(theirs))
    assert states(found) == EXPECTED
    assert [one.stream for one in found.streams] == sorted(EXPECTED)
    assert (found.other, found.basis, found.ok) == (str(theirs), "objects", False)
    assert found.summary["diverged"] == 2
    assert sum(found.summary.values()) == len(EXPECTED)
    assert list(found.summary) == sorted(found.summary)


@pytest.mark.parametrize("way", ["{}", "file://{}"], ids=["objects", "tips"])
def test_a_stream_on_neither_side_is_an_error(ours: GitEventStore, theirs: Path, way: str) -> None:
    """Not a comparison of nothing; one that is on either side is none, whatever is known of it."""
    there = way.format(theirs)
    for stream in EXPECTED:
        assert len(compare(ours, there, streams=[stream]).streams) == 1
    with pytest.raises(StreamNotFound, match="no stream 'task-gone', here or there") as caught:
        compare(ours, there, streams=["task-same", "task-gone"])
    assert caught.value.stream == "task-gone"
    assert "sc-events streams" in caught.value.hint


def test_a_bare_text_is_no_collection_of_streams(ours: GitEventStore, theirs: Path) -> None:
    """Its characters would be the streams."""
    with pytest.raises(ValueError, match=r"\['task-same'\]"):
        compare(ours, str(theirs), streams="task-same")


def test_a_bare_clone_a_work_tree_and_packed_refs(ours: GitEventStore, theirs: Path) -> None:
    """Neither the local state of a store nor loose refs are needed, nor that it is bare."""
    plain = theirs.with_name("plain")
    git(theirs, "clone", "--quiet", "--mirror", str(theirs), str(plain / ".git"))
    git(plain / ".git", "pack-refs", "--all")
    assert states(compare(ours, str(plain))) == EXPECTED
    assert states(compare(ours, str(plain / ".git"))) == EXPECTED


def test_an_empty_repository(ours: GitEventStore, theirs: Path) -> None:
    """Everything is only here."""
    subprocess.run(["git", "init", "--quiet", "--bare", theirs.with_name("new.git")], check=True)
    found = compare(ours, str(theirs.with_name("new.git")))
    assert set(found.summary) == {"only-here"}


@pytest.mark.parametrize("fetch", [False, True], ids=["refs", "fetch"])
def test_a_url(ours: GitEventStore, theirs: Path, fetch: bool) -> None:
    """Its refs tell what they can; a fetch tells the rest, and nothing of it stays."""
    before = git(ours.exchange.layout.root, "for-each-ref")
    found = compare(ours, f"file://{theirs}", fetch=fetch)
    assert git(ours.exchange.layout.root, "for-each-ref") == before
    if fetch:
        assert (found.basis, states(found)) == ("fetch", EXPECTED)
        return
    told = states(found)
    assert found.basis == "tips"
    for stream in ("task-same", "task-ahead", "task-here"):
        assert told.pop(stream) == EXPECTED[stream]
    assert told.pop("%h-there") == ("only-there", 0, None, 0)
    assert told.pop(encode_name(f"{LONG}-there")) == ("only-there", 0, None, 0)
    assert set(told.values()) == {("behind-or-diverged", None, None, None)}
    assert not all(one.is_known for one in found.streams)


def test_over_the_network(ours: GitEventStore, theirs: Path) -> None:
    """As from a path."""
    with daemon(theirs.parent) as base:
        found = compare(ours, f"{base}/b.git", fetch=True)
    assert states(found) == EXPECTED


def test_a_bundle(ours: GitEventStore, theirs: Path) -> None:
    """A file that git fetches from is another store, too."""
    git(theirs, "bundle", "create", "--quiet", str(theirs.with_name("b.bundle")), "--all")
    assert states(compare(ours, str(theirs.with_name("b.bundle")), fetch=True)) == EXPECTED


def test_a_remote_as_of_the_last_fetch(ours: GitEventStore, theirs: Path) -> None:
    """By its name; what it did since is not known, until it is fetched again."""
    hub = connected(ours, theirs)
    first = compare(ours, hub)
    assert (first.basis, first.fetched) == ("never fetched", None)
    begin = datetime.now(UTC) - timedelta(seconds=2)
    assert compare(ours, hub, fetch=True).basis == "fetch"
    found = compare(ours, hub)
    assert (found.basis, states(found)) == ("last fetch", EXPECTED)
    assert found.fetched is not None
    assert begin <= found.fetched <= datetime.now(UTC)
    with reopen(theirs) as store:
        store.append(event("task-new", 1))
    assert states(compare(ours, hub)) == EXPECTED
    fresh = states(compare(ours, hub, fetch=True))
    assert fresh.pop("task-new") == ("only-there", 0, 1, 0)
    assert fresh == EXPECTED


def test_after_a_plain_fetch(ours: GitEventStore, theirs: Path) -> None:
    """What plain git fetched is as good, and its time is known."""
    hub = connected(ours, theirs)
    git(ours.exchange.layout.root, "fetch", "--quiet", hub)
    found = compare(ours, hub)
    assert (found.basis, states(found)) == ("last fetch", EXPECTED)
    assert found.fetched is not None


def test_a_remote_goes_before_a_path(
    ours: GitEventStore, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with git, a name that is both is the remote's."""
    connected(ours, theirs, "hub")
    monkeypatch.chdir(theirs.parent)
    shutil.copytree(ours.exchange.layout.root, "hub")
    assert compare(ours, "hub").basis == "never fetched"
    assert compare(ours, "./hub").ok


def test_what_is_nothing(ours: GitEventStore, theirs: Path, tmp_path: Path) -> None:
    """Is said, and so is what is no event store, or one of another format."""
    with pytest.raises(StoreNotFound, match="nope"):
        compare(ours, "nope")
    with pytest.raises(StoreNotFound, match="no git repository"):
        compare(ours, str(tmp_path / "a.git" / "refs"))
    git(theirs, "update-ref", "refs/heads/main", "refs/feed")
    with pytest.raises(UnsupportedFormat, match="no event store"):
        compare(ours, str(theirs))


# What is promised of all


def test_it_is_symmetric(ours: GitEventStore, theirs: Path) -> None:
    """Seen from there, ahead is behind, and here is there."""
    here = compare(ours, str(theirs))
    with reopen(theirs) as store:
        there = compare(store, str(ours.exchange.layout.root))
    mirrored = [
        Compared(
            one.stream,
            MIRRORED.get(one.state, one.state),  # type: ignore[arg-type]
            one.behind,
            one.ahead,
            one.fork,
            one.same,
        )
        for one in there.streams
    ]
    assert list(here.streams) == mirrored


@settings(max_examples=15)
@given(
    histories=st.dictionaries(
        stream_ids, st.tuples(*[st.integers(0, 3)] * 3).filter(any), max_size=5
    )
)
def test_any_two_stores(
    tmp_path_factory: pytest.TempPathFactory, histories: dict[str, tuple[int, int, int]]
) -> None:
    """Hostile names or not, each stream's counts are those of what was recorded."""
    folder = tmp_path_factory.mktemp("any")
    with reopen(folder / "a.git") as ours, reopen(folder / "b.git") as theirs:
        fill(ours, histories, "a")
        fill(theirs, histories, "b")
        theirs.flush()
        found = compare(ours, str(folder / "b.git"))
    assert not found.odd
    assert {s: (r[1], r[2]) for s, r in states(found).items()} == {
        stream: (here, there) for stream, (_, here, there) in histories.items()
    }


def test_nothing_is_changed(ours: GitEventStore, theirs: Path) -> None:
    """Neither a byte nor a time, there or here."""
    root = ours.exchange.layout.root
    ours.close()
    before = picture(theirs), picture(root)
    with reopen(root, create=False) as store:
        for stream in EXPECTED:
            compare(store, str(theirs), streams=[stream])
        assert states(compare(store, str(theirs))) == EXPECTED
    assert picture(theirs) == before[0]
    assert {name: of[1] for name, of in picture(root).items() if "-shm" not in name} == {
        name: of[1] for name, of in before[1].items()
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written(ours: GitEventStore, theirs: Path) -> None:
    """Reading is enough, on either side."""
    for folder in (theirs, ours.exchange.layout.root):
        folder.chmod(0o500)
    try:
        assert states(compare(ours, str(theirs))) == EXPECTED
    finally:
        for folder in (theirs, ours.exchange.layout.root):
            folder.chmod(0o700)


def test_equal_streams_are_not_read(ours: GitEventStore, theirs: Path) -> None:
    """Where all tips are equal, it makes no difference that there is no object there any more."""
    root = ours.exchange.layout.root
    copy = theirs.with_name("copy.git")
    shutil.copytree(root, copy)
    git(copy, "update-ref", "-d", "refs/heads/main")
    shutil.rmtree(copy / "objects")
    (copy / "objects").mkdir()
    assert compare(ours, str(copy)).ok


def test_what_waits_in_our_journal_counts(ours: GitEventStore, theirs: Path) -> None:
    """An event that is not in git yet is ours all the same."""
    ours.append(event("task-same", 7, "a"))
    ours.append(event("task-brand-new", 7, "a"))
    found = states(compare(ours, str(theirs)))
    assert found["task-same"] == ("ahead", 1, 0, 3)
    assert found["task-brand-new"] == ("only-here", 1, 0, 0)


def test_beside_appends(ours: GitEventStore, theirs: Path) -> None:
    """Appends on both sides meanwhile: every answer is one that was true at some moment."""
    done = threading.Event()

    def append() -> None:
        with reopen(theirs) as there:
            for n in range(60):
                ours.append(event("task-same", 10 + n, "a"))
                there.append(event("task-here", 10 + n, "b"))
        done.set()

    writer = threading.Thread(target=append)
    writer.start()
    seen = []
    while not done.is_set():
        found = states(compare(ours, str(theirs)))
        seen.append(found["task-same"])
        assert found["task-here"] in {
            ("only-here", 2, 0, 0),
            *(("diverged", 2, n, 0) for n in range(1, 61)),
        }
    writer.join()
    assert all(state in {"identical", "ahead"} for state, *_ in seen)
    assert [ahead for _, ahead, *_ in seen] == sorted(ahead for _, ahead, *_ in seen)  # type: ignore[type-var]
    assert states(compare(ours, str(theirs)))["task-same"] == ("ahead", 60, 0, 3)


def test_only_some_streams(ours: GitEventStore, theirs: Path) -> None:
    """Those that are asked for, and of odd refs only theirs."""
    git(theirs, "update-ref", "refs/streams/odd", "refs/heads/main")
    found = compare(ours, str(theirs), streams=["task-ahead", "%h-there"])
    assert states(found) == {s: EXPECTED[s] for s in ("task-ahead", "%h-there")}
    assert not found.odd


# What lies there and is no stream


def _forge(theirs: Path, kind: str) -> str:
    """Put something on a ref that cannot be a stream's, and give the ref's name."""
    name = "refs/streams/task-ahead"
    if kind == "tree":
        git(theirs, "update-ref", name, "4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    elif kind == "other stream":
        git(theirs, "update-ref", name, "refs/streams/task-same")
    elif kind == "no event":
        git(theirs, "update-ref", name, "refs/heads/main")
    elif kind == "missing":
        (theirs / name).write_text("1" * 40 + "\n")
    elif kind == "symbolic":
        git(theirs, "symbolic-ref", name, "refs/streams/task-same")
    elif kind == "no id":
        (theirs / name).write_text("nonsense\n")
    elif kind == "new name":
        name = "refs/streams/%zz"
        git(theirs, "update-ref", name, "refs/streams/task-same")
    else:
        name = "refs/streams/deeper/name"
        git(theirs, "update-ref", name, "refs/streams/task-same")
    return name


KINDS = ["tree", "other stream", "no event", "missing", "symbolic", "no id", "new name", "deeper"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["path", "fetched"])
def test_hostile_refs(ours: GitEventStore, theirs: Path, kind: str, how: str) -> None:
    """Each is named with what is wrong; all other streams are compared."""
    if how == "fetched":
        hub = connected(ours, theirs)
        compare(ours, hub, fetch=True)
        root = ours.exchange.layout.root
        name = _forge_tracked(root, hub, kind)
        found = compare(ours, hub)
    else:
        name = _forge(theirs, kind)
        found = compare(ours, str(theirs))
    assert set(found.odd) == {name}
    assert not found.ok
    expected = dict(EXPECTED)
    if name == "refs/streams/task-ahead":
        del expected["task-ahead"]
    assert states(found) == expected


def _forge_tracked(root: Path, hub: str, kind: str) -> str:
    """``_forge`` below the refs of a remote."""
    name = "refs/streams/task-ahead"
    if kind in {"new name", "deeper"}:
        name = "refs/streams/%zz" if kind == "new name" else "refs/streams/deeper/name"
    there = name.replace("refs/", f"refs/remotes/{hub}/", 1)
    target = {
        "tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "no event": "refs/heads/main",
    }.get(kind, "refs/streams/task-same")
    if kind in {"missing", "no id"}:
        (root / there).parent.mkdir(parents=True, exist_ok=True)
        (root / there).write_text("1" * 40 + "\n" if kind == "missing" else "nonsense\n")
    elif kind == "symbolic":
        git(root, "symbolic-ref", there, target)
    else:
        git(root, "update-ref", there, target)
    return name


# Both sides of a stream


def sides(ours: GitEventStore, other: str, stream: str) -> tuple[list[object], list[object]]:
    """What stands on both sides after the fork, by version, and what has two contents."""
    with open_other(ours, other) as opened:
        (one,) = compare_with(ours, opened, [stream]).streams
        both = Sides(ours, opened, one)
        pairs = [
            (p.version, p.ours and p.ours.event.id, p.theirs and p.theirs.event.id)
            for p in both.pairs()
        ]
        twins = [
            (t.ours.event.id, {f.name: dict(f.values) for f in t.fields}) for t in both.twins()
        ]
        return pairs, twins  # type: ignore[return-value]


def test_both_sides_after_the_fork(ours: GitEventStore, theirs: Path) -> None:
    """Version by version, from the fork on, with what one side lacks."""
    stream = "task-ünï 50%"
    of = {side: [event(stream, n, side).id for n in (1, 2)] for side in "ab"}
    pairs, twins = sides(ours, str(theirs), stream)
    assert pairs == [(2, of["a"][0], of["b"][0]), (3, of["a"][1], None)]
    assert twins == []
    assert sides(ours, str(theirs), "task-same") == ([], [])
    only, _ = sides(ours, str(theirs), "%h-there")
    assert [(version, here) for version, here, _ in only] == [(1, None), (2, None)]  # type: ignore[attr-defined, misc]


def test_one_id_with_two_contents(ours: GitEventStore, theirs: Path) -> None:
    """Field by field, also where ours stands in another stream; where it stands is no content."""
    ours.append(event("task-twin", 1, id="twin", data={"n": 1, "t": "x"}, metadata={"userId": "a"}))
    ours.append(event("task-twin", 2, id="same"))
    ours.append(event("note-elsewhere", 1, id="moved", data=[1]))
    with reopen(theirs) as there:
        there.append(event("task-twin", 2, id="same"))
        there.append(event("task-twin", 5, id="twin", data={"n": True, "t": "x", "z": None}))
        there.append(event("task-twin", 1, id="moved", data=[1.0]))
    _, twins = sides(ours, str(theirs), "task-twin")
    assert dict(twins) == {  # type: ignore[call-overload]
        "twin": {
            "timestamp": {"ours": "2026-11-23T08:01:00.000Z", "theirs": "2026-11-23T08:05:00.000Z"},
            "data.n": {"ours": 1, "theirs": True},
            "data.z": {"theirs": None},
            "metadata.userId": {"ours": "a"},
        },
        "moved": {
            "streamId": {"ours": "note-elsewhere", "theirs": "task-twin"},
            "data": {"ours": [1], "theirs": [1.0]},
        },
    }


# An event that was rebased is the same event


def replayed(ours: GitEventStore, theirs: GitEventStore, stream: str, numbers: range) -> None:
    """Record the same events on both sides, each on what stands there."""
    for store in (ours, theirs):
        store.append_many([event(stream, n, "both") for n in numbers])
    theirs.flush()


def both_sides(ours: GitEventStore, other: Path, stream: str) -> tuple[Compared, list[Pair]]:
    """How the stream stands, and what is on both sides; no id may have two contents."""
    with open_other(ours, str(other)) as opened:
        (one,) = compare_with(ours, opened, [stream]).streams
        both = Sides(ours, opened, one)
        assert not list(both.twins())
        return one, list(both.pairs())


def test_a_rebased_event_is_recognised(ours: GitEventStore, theirs: Path) -> None:
    """By id and content, on both sides, wherever it stands there: all of ours is after theirs."""
    with reopen(theirs) as there:
        fill(there, {"task-r": (2, 0, 2)}, "b")
        fill(ours, {"task-r": (2, 0, 2)}, "a")
        replayed(ours, there, "task-r", range(10, 13))
    one, pairs = both_sides(ours, theirs, "task-r")
    assert one == ("task-r", "diverged", 3, 5, 2, 3)
    assert [(p.version, p.there, p.here) for p in pairs] == [
        (3, 5, None),
        (4, 6, None),
        (5, 7, 3),
        (6, None, 4),
        (7, None, 5),
    ]


def test_what_a_rebase_replayed_is_recognised(
    ours: GitEventStore, theirs: Path, tmp_path: Path
) -> None:
    """By those who still have it as it stood before, whichever side is asked."""
    ours.flush()
    before = tmp_path / "before.git"
    shutil.copytree(ours.exchange.layout.root, before)
    assert pull(ours, str(theirs), rebase=True).adoption.rebased["task-ünï 50%"].replayed == 2
    one, pairs = both_sides(ours, before, "task-ünï 50%")
    assert one == ("task-ünï 50%", "diverged", 3, 2, 1, 2)
    assert [(p.there, p.here) for p in pairs] == [(None, 3), (2, 4), (3, None)]
    with reopen(before) as there:
        one, pairs = both_sides(there, ours.exchange.layout.root, "task-ünï 50%")
    assert one == ("task-ünï 50%", "diverged", 2, 3, 1, 2)
    assert [(p.there, p.here) for p in pairs] == [(3, None), (4, 2), (None, 3)]


def test_the_same_events_in_another_order(ours: GitEventStore, theirs: Path) -> None:
    """Both tails hold the same, at the same or other versions: nothing is of one side alone."""
    both = [event("task-r", n) for n in range(3)]
    ours.append_many(both)
    with reopen(theirs) as there:
        there.append_many(both[::-1])
    one, pairs = both_sides(ours, theirs, "task-r")
    assert one == ("task-r", "diverged", 3, 3, 0, 3)
    assert [(p.there, p.here) for p in pairs] == [(3, 3), (2, 2), (1, 1)]


def test_what_waits_in_our_journal_is_recognised(ours: GitEventStore, theirs: Path) -> None:
    """Before it is in git; and data that lies in a blob is, too."""
    large = event("task-r", 3, data={"text": "x" * 9_000})
    with reopen(theirs) as there:
        there.append_many([event("task-r", 9, "b"), large, event("task-r", 4)])
    ours.append_many([event("task-r", 4), large])
    assert both_sides(ours, theirs, "task-r")[0].same == 2


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"n": 1.0, "side": ""}},
        {"data": {"n": 1, "side": "", "x": None}},
        {"data": "x" * 9_000},
        {"metadata": {"userId": "a"}},
        {"timestamp": START},
    ],
    ids=["a number", "a field", "large", "metadata", "time"],
)
def test_other_content_is_another_event(
    ours: GitEventStore, theirs: Path, other: dict[str, object]
) -> None:
    """However little differs: such an id has two contents."""
    ours.append_many([event("task-r", 0, "a"), event("task-r", 1)])
    with reopen(theirs) as there:
        there.append(event("task-r", 1, **other))
    (one,) = compare(ours, str(theirs), streams=["task-r"]).streams
    assert one == ("task-r", "diverged", 2, 1, 0, 0)
    assert len(sides(ours, str(theirs), "task-r")[1]) == 1


def test_the_same_id_elsewhere_is_not_the_same_event(ours: GitEventStore, theirs: Path) -> None:
    """Only what stands after the fork of the stream itself counts."""
    ours.append_many([event("task-r", 1), event("task-r", 2, "a")])
    ours.append(event("task-other", 3, id="elsewhere"))
    with reopen(theirs) as there:
        there.append_many([event("task-r", 1), event("task-r", 3, id="elsewhere")])
    (one,) = compare(ours, str(theirs), streams=["task-r"]).streams
    assert one == ("task-r", "diverged", 1, 1, 1, 0)


def test_more_than_are_looked_up_at_once(ours: GitEventStore, theirs: Path) -> None:
    """Every event of a long tail is recognised."""
    with reopen(theirs) as there:
        there.append(event("task-r", 1, "b"))
        replayed(ours, there, "task-r", range(1_203))
    one, pairs = both_sides(ours, theirs, "task-r")
    assert one == ("task-r", "diverged", 1_203, 1_204, 0, 1_203)
    assert all(p.there == p.version + 1 for p in pairs if p.ours)


def test_sides_of_a_history_that_is_none(ours: GitEventStore, theirs: Path) -> None:
    """A tip that claims more than stands below it is found out when it is read."""
    with reopen(theirs) as there:
        there.append(event("task-liar", 1))
        tip = there.append(event("task-liar", 2)).commit
        there.flush()
    content = git(theirs, "cat-file", "commit", tip or "").replace("task-liar@2", "task-liar@5")
    forged = git(theirs, "hash-object", "-t", "commit", "-w", "--stdin", stdin=content).strip()
    git(theirs, "update-ref", "refs/streams/task-liar", forged)
    assert states(compare(ours, str(theirs)))["task-liar"] == ("only-there", 0, 5, 0)
    with pytest.raises(StoreCorrupted, match="has version 1, not 4"):
        sides(ours, str(theirs), "task-liar")


# Standing to remotes


def test_standing_to_each_remote(ours: GitEventStore, theirs: Path) -> None:
    """Counts as of the last fetch, without secrets; what was never fetched says so."""
    connected(ours, theirs)
    connected(ours, "https://ada:secret@example.org/e.git", "up")
    hub, up = remote_standings(ours)
    assert (hub.ahead, up.ahead, up.url) == (None, None, "https://***@example.org/e.git")
    compare(ours, "hub", fetch=True)
    hub, up = remote_standings(ours)
    assert (hub.name, hub.ahead, hub.behind, hub.diverged, hub.odd) == ("hub", 2, 3, 2, {})
    assert up.behind is None
