"""How two histories of one stream relate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import DomainEvent
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.commits import EventCommit, GitObject, encode_commit
from gitstore.backends.git.layout import tracked
from gitstore.backends.git.relating import Relation, read_tip, relate
from gitstore.backends.git.store import GitEventStore
from gitstore.core.errors import StoreCorrupted
from tests.backends.git.witness import reopen

STREAM = "worktree-feature/auth"
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events go into git when a test says so."""
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitEventStore, GitEventStore]]:
    """Two stores for all examples of a property: each has streams of its own."""
    folder = tmp_path_factory.mktemp("both")
    with reopen(folder / "a.git") as a, reopen(folder / "b.git") as b:
        yield a, b


def event(number: int, side: str = "", stream: str = STREAM) -> DomainEvent:
    """An event that is the same on both sides, or of one side."""
    name = f"{stream[:100]}-{side}{number}"
    return DomainEvent(
        stream, "Noted", {"n": number}, id=name, timestamp=START + timedelta(minutes=number)
    )


def fill(store: GitEventStore, common: int, own: int, side: str, stream: str = STREAM) -> str:
    """Append what both have and what one has, and give the tip; ``""`` for no stream."""
    tip = ""
    for n in range(common):
        tip = store.append(event(n, stream=stream)).commit or ""
    for n in range(own):
        tip = store.append(event(common + n, side, stream)).commit or ""
    return tip


def relation(
    ours: GitEventStore, theirs: GitEventStore, tip: str, stream: str = STREAM
) -> Relation:
    """Relate our stream to the one that ends at ``tip`` in their objects."""
    return relate(ours._parts, stream, tip or None, theirs._parts.objects.read)


@contextmanager
def no_reads(store: GitEventStore) -> Iterator[None]:
    """Take a store's objects away for the block."""
    objects = store._parts.layout.objects
    store._parts.objects.close()
    aside = objects.with_name("aside")
    objects.rename(aside)
    (objects / "pack").mkdir(parents=True)
    try:
        yield
    finally:
        store._parts.objects.close()
        shutil.rmtree(objects)
        aside.rename(objects)


def expected(common: int, here: int, there: int) -> Relation:
    """What a reader of both lists would say."""
    ours, theirs = common + here, common + there
    if ours and not theirs:
        return Relation("only-here", ours, 0, 0)
    if theirs and not ours:
        return Relation("only-there", 0, theirs, 0)
    states = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    return Relation(states.get((here > 0, there > 0), "diverged"), here, there, common)  # type: ignore[arg-type]


_example = iter(range(10_000))


@settings(max_examples=40)
@given(
    common=st.integers(0, 5),
    here=st.integers(0, 5),
    there=st.integers(0, 5),
    pending=st.booleans(),
)
def test_as_a_reader_of_both_would_say(
    both: tuple[GitEventStore, GitEventStore], common: int, here: int, there: int, pending: bool
) -> None:
    """Any two histories with a common beginning relate as their lists of events do."""
    ours, theirs = both
    stream = f"task-{next(_example)}"
    fill(ours, common, here, "a", stream)
    tip = fill(theirs, common, there, "b", stream)
    theirs.flush()
    if not pending:
        ours.flush()
    assert relation(ours, theirs, tip, stream) == expected(common, here, there)


@pytest.mark.parametrize("flushed", [0, 2, 3, 4, 6, 7])
def test_some_of_ours_waits(place: Path, flushed: int) -> None:
    """It makes no difference which of our events are in git already."""
    with reopen(place / "a.git") as a, reopen(place / "b.git") as b:
        for n in range(7):
            a.append(event(n, "" if n < 4 else "a"))
            if n + 1 == flushed:
                a.flush()
        tip = fill(b, 4, 2, "b")
        b.flush()
        assert relation(a, b, tip) == Relation("diverged", 3, 2, 4)


def test_equal_tips_are_not_read(place: Path) -> None:
    """A tip that is ours too is not looked at; theirs may have lost it."""
    with reopen(place / "a.git") as a, reopen(place / "b.git") as b:
        fill(a, 4, 0, "a")
        tip = fill(b, 4, 0, "b")
        b.flush()
        with no_reads(b):
            assert relation(a, b, tip) == Relation("identical", 0, 0, 4)


def test_only_above_the_fork_is_read(place: Path) -> None:
    """Of theirs each commit after the fork is read, once, and none that both have."""
    with reopen(place / "a.git") as a, reopen(place / "b.git") as b:
        fill(a, 50, 3, "a")
        tip = fill(b, 50, 2, "b")
        b.flush()
        read: list[str] = []

        def reader(commit: str) -> bytes:
            read.append(commit)
            return b._parts.objects.read(commit)

        assert relate(a._parts, STREAM, tip, reader) == Relation("diverged", 3, 2, 50)
        above = [e.commit for e in b.read_stream(STREAM, 50, backwards=True)]
        assert read == above


def test_an_older_tip_takes_one_read(place: Path) -> None:
    """Where theirs is an older commit of ours, that alone is read."""
    with reopen(place / "a.git") as a, reopen(place / "b.git") as b:
        fill(a, 9, 20, "a")
        tip = fill(b, 9, 0, "b")
        b.flush()
        read: list[str] = []

        def reader(commit: str) -> bytes:
            read.append(commit)
            return b._parts.objects.read(commit)

        assert relate(a._parts, STREAM, tip, reader) == Relation("ahead", 20, 0, 9)
        assert read == [tip]


def test_neither_has_it(place: Path) -> None:
    """A stream that nobody has is the same on both sides."""
    with reopen(place / "a.git") as a:
        assert relation(a, a, "", "task-none") == Relation("identical", 0, 0, 0)


def commit(version: int, parent: str | None, stream: str = STREAM) -> GitObject:
    """A commit that says so, whatever its parent is."""
    made = EventCommit(stream, "Noted", version, 0, f"{stream}-{version}-x", {}, parent, 0)
    return encode_commit(made, b"{}")[-1]


ZEROS = "0" * 40
FORGED = {
    "version below": [commit(2, None)],
    "parent below version 1": [commit(1, ZEROS)],
    "version jumps": [(low := commit(1, None)), commit(3, low.id)],
    "version stays": [(low := commit(2, ZEROS)), commit(2, low.id)],
    "other stream below": [(low := commit(1, None, "task-2")), commit(2, low.id)],
    "other stream": [commit(1, None, "task-2")],
    "parent missing": [commit(2, ZEROS)],
    "no event": [GitObject.of("commit", b"tree x\n")],
    "a tree": [GitObject.of("tree", b"")],
}

BELOW_THE_TIP = ("version jumps", "version stays", "other stream below", "parent missing")


@pytest.mark.parametrize("why", sorted(FORGED))
@pytest.mark.parametrize("ours", [0, 3], ids=["new", "known"])
def test_malformed_theirs(place: Path, why: str, ours: int) -> None:
    """What is no history of the stream is refused with a sentence that names the commit."""
    with reopen(place / "a.git") as a, reopen(place / "b.git") as b:
        fill(a, ours, 0, "a")
        chain = FORGED[why]
        b._parts.objects.add(chain)
        if not ours and why in BELOW_THE_TIP:
            assert relation(a, b, chain[-1].id).state == "only-there"  # its tip alone is read
            return
        with pytest.raises(StoreCorrupted, match=r"[0-9a-f]{40}"):
            relation(a, b, chain[-1].id)


def test_the_stream_of_a_ref(place: Path) -> None:
    """A ref's stream is what its tip says, where that fits the ref; hashed names too."""
    long = "task-" + "x" * 300
    with reopen(place / "a.git") as a:
        tips = {name: fill(a, 1, 0, "", name) for name in (STREAM, long)}
        a.flush()
        refs = a._parts.refs.under("refs/streams/")
        read = a._parts.objects.read
        assert {read_tip(name, tip, read).stream_id for name, tip in refs.items()} == {STREAM, long}
        with pytest.raises(StoreCorrupted, match="not of this ref's"):
            read_tip("refs/streams/task-1", tips[STREAM], read)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("refs/streams/task-1", "refs/remotes/desk/streams/task-1"),
        ("refs/heads/main", "refs/remotes/desk/main"),
        ("refs/notes/types", "refs/remotes/desk/notes/types"),
        ("refs/feeds/laptop", "refs/remotes/desk/feeds/laptop"),
        ("", "refs/remotes/desk/"),
    ],
)
def test_tracked_names(name: str, there: str) -> None:
    """Each of our refs has its place below the remote's."""
    assert tracked("desk", name) == there
