"""Type indexes of several stores joined: nothing is lost, nothing forced, nothing hostile taken."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import DomainEvent
from gitstore.backends.git import typechecks, typeindex, typemerging, typewriting
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.typejoining import TypesNotInOrder
from gitstore.core.errors import StoreCorrupted
from tests.backends.git.witness import git, reopen

DAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
THEIRS = "refs/remotes/origin/notes/types"
SAMPLE = [
    DomainEvent(f"task-{n % 3}", "Noted", {}, timestamp=DAY + timedelta(seconds=n), id=f"e{n}")
    for n in range(9)
]


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A folder in memory where there is such a thing: the disk is slow for many small stores."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="gitstore-", dir=memory if usable else None) as name:
        yield Path(name)


def bare(path: Path) -> Path:
    """An empty bare repository of plain git."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    return path


def fetched(store: Path, remote: Path) -> str | None:
    """Where the remote's type index stands; its objects are in the store then."""
    at = git(remote, "rev-parse", "--quiet", "--verify", TYPES, check=False).strip() or None
    if at:
        git(store, "fetch", "--quiet", str(remote), f"+{TYPES}:{THEIRS}")
    return at


def exchanged(store: Path, remote: Path) -> str | None:
    """Join with the remote's, and push with plain git; gives what the join gave."""
    with reopen(store) as opened:
        given_ = opened.exchange.join_types(fetched(store, remote))
    if git(store, "for-each-ref", TYPES):
        git(store, "push", "--quiet", str(remote), f"{TYPES}:{TYPES}")
    return given_


def order(line: str) -> tuple[str, bytes, int]:
    """Where a line belongs in its note: by time, stream and version."""
    when, rest = line.split(" ", 1)
    stream, _, version = rest.rpartition(" ")[0].rpartition("@")
    return when.removesuffix("Z"), stream.encode(), int(version)


def listed(store: Path, ref: str = TYPES) -> dict[tuple[str, str], list[str]]:
    """All lines by type and day, as plain git shows them; the notes are in their form."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    names = git(store, "ls-tree", "-r", "--name-only", ref).splitlines()
    for key in [name for name in names if re.search(r"/\d{4}-\d\d-\d\d(\.\d+)?$", name)]:
        said = git(store, "cat-file", "blob", f"{ref}:{key}").split()
        shown = git(store, "notes", f"--ref={ref}", "show", f"{ref}:{key}").splitlines()
        assert shown == sorted(set(shown), key=order)
        assert 1 <= len(shown) <= 1_000
        lines[said[0], said[1][:10]] += shown
    return lines


def own(opened: GitEventStore) -> dict[tuple[str, str], set[str]]:
    """The lines the store's own events should have."""
    lines: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in opened.read_all():
        when = one.event.timestamp
        assert when is not None
        text = when.isoformat(timespec="milliseconds")[:-6] + "Z"
        place = one.event.type, text[:10]
        lines[place].add(f"{text} {one.stream_id}@{one.version} {one.commit}")
    return lines


def check(opened: GitEventStore) -> list[str]:
    """What is wrong with the type index."""
    with opened._parts.flush_lock.held():
        return list(typechecks.check_types(opened._parts))


def assert_joined(store: Path) -> None:
    """Verify and git find nothing wrong."""
    with reopen(store) as opened:
        report = opened.verify()
        assert report.ok, report.findings
    assert not git(store, "fsck", "--strict", "--no-dangling", "--no-progress").strip()


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["One", "ab", "Zwölf"]),
        st.sampled_from(["task-1", "task 2@1", "x"]),
        st.integers(-1, 0),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=9,
)
_STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.one_of(_EVENTS, st.sampled_from(["exchange", "rebuild"]))),
    min_size=2,
    max_size=12,
)


def appended(opened: GitEventStore, step: list[tuple[str, str, int, int]]) -> None:
    """Append events that are the same in every store where they come at the same version."""
    for kind, stream, day, at in step:
        version = opened.stream_version(stream) + 1
        when = DAY + timedelta(day, seconds=at)
        name = f"{stream}-{version}-{kind}-{day}-{at}"
        opened.append(DomainEvent(stream, kind, {}, timestamp=when, id=name.replace("ö", "o")))


def remade(opened: GitEventStore) -> None:
    """Make the type index anew, where there is one."""
    if list(opened.read_all(limit=1)):
        opened.index_types()
        with opened._parts.flush_lock.held():
            typeindex.rebuild(opened._parts)


@settings(max_examples=8)
@given(steps=_STEPS)
def test_joined_in_any_order_it_is_the_union(
    steps: list[tuple[int, list[tuple[str, str, int, int]] | str]],
) -> None:
    """Three stores, forks and shared histories in them, one remote; every push by plain git.

    Where all have seen all, each type and day lists the union, each line once.
    """
    with pytest.MonkeyPatch.context() as patch, in_memory() as folder:
        patch.setattr("gitstore.backends.git.typetree.MOST_LINES", 3)
        for module in (typewriting, typeindex, typemerging):
            patch.setattr(module, "AT_ONCE", 4)
        remote = bare(folder / "remote.git")
        stores = [folder / f"{number}.git" for number in range(3)]
        for number, step in [*steps, *((n, [("One", "x", 0, n)]) for n in range(3))]:
            if step == "exchange":
                if stores[number].exists():
                    exchanged(stores[number], remote)
                continue
            with reopen(stores[number]) as opened:
                appended(opened, step) if isinstance(step, list) else remade(opened)
        for store in (*stores, *stores):
            exchanged(store, remote)
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for store in stores:
            assert_joined(store)
            with reopen(store) as opened:
                for place, lines in own(opened).items():
                    wanted[place] |= lines
        for repository in (remote, *stores):
            shown = listed(repository)
            assert {place: sorted(some) for place, some in shown.items()} == {
                place: sorted(some) for place, some in wanted.items()
            }
        assert {exchanged(store, remote) for store in stores} == {None}


@pytest.fixture(name="pair")
def _pair() -> Iterator[tuple[Path, Path]]:
    """A store with some events, and another of other events whose index it can fetch."""
    with in_memory() as folder:
        ours, theirs = folder / "ours.git", folder / "theirs.git"
        for store, events in ((ours, SAMPLE[:5]), (theirs, SAMPLE)):
            with reopen(store) as opened:
                opened.append_many(events)
        yield ours, theirs


def tree_of(store: Path, changes: dict[str, str | None]) -> str:
    """The tree of the type index with some lines of ``ls-tree -r`` replaced, added or taken out."""
    index = {"GIT_INDEX_FILE": str(store.parent / "forged"), "GIT_DIR": str(store)}
    index |= {"PATH": os.environ["PATH"]}
    lines = dict(
        reversed(line.split("\t")) for line in git(store, "ls-tree", "-r", TYPES).splitlines()
    )
    for path, entry in changes.items():
        lines.pop(path, None)
        if entry is not None:
            lines[path] = entry
    given_ = "".join(f"{entry}\t{path}\n" for path, entry in lines.items())
    for command in (["read-tree", "--empty"], ["update-index", "--index-info"]):
        text = given_ if "update-index" in command else ""
        subprocess.run(["git", *command], input=text, text=True, check=True, env=index)
    made = subprocess.run(
        ["git", "write-tree", "--missing-ok"], check=True, env=index, capture_output=True, text=True
    )
    return made.stdout.strip()


def blob(store: Path, content: str) -> str:
    """The entry of a file with this content."""
    return f"100644 blob {git(store, 'hash-object', '-w', '--stdin', stdin=content).strip()}"


def forge(store: Path, tree: str) -> None:
    """Let the type index stand at a commit like the one that is there, with another tree."""
    text = re.sub("tree .*", f"tree {tree}", git(store, "cat-file", "commit", TYPES), count=1)
    made = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text).strip()
    git(store, "update-ref", TYPES, made)


def note(store: Path) -> tuple[str, str]:
    """Path and content of the one note there is."""
    (path,) = [
        name
        for name in git(store, "ls-tree", "-r", "--name-only", TYPES).splitlines()
        if re.match("[0-9a-f]{2}/", name)
    ]
    return path, git(store, "cat-file", "blob", f"{TYPES}:{path}")


def _rewrite(change: Callable[[str], str]) -> Callable[[Path], None]:
    def rewrite(store: Path) -> None:
        path, content = note(store)
        forge(store, tree_of(store, {path: blob(store, change(content))}))

    return rewrite


def _foreign_entry(store: Path) -> None:
    forge(store, tree_of(store, {"README": blob(store, "hello")}))


def _note_on_no_key(store: Path) -> None:
    forge(store, tree_of(store, {f"aa/{'b' * 38}": blob(store, note(store)[1])}))


def _no_note(store: Path) -> None:
    forge(store, tree_of(store, {note(store)[0]: None}))


def _link(store: Path) -> None:
    path = note(store)[0]
    entry = blob(store, "/etc/passwd").replace("100644", "120000")
    forge(store, tree_of(store, {path: entry}))


def _gap(store: Path) -> None:
    key = blob(store, "Noted 2026-11-23.3\n")
    at = key.split()[2]
    changes = {"Noted/2026-11-23.3": key, f"{at[:2]}/{at[2:]}": blob(store, note(store)[1])}
    forge(store, tree_of(store, {**changes}))


def _key_elsewhere(store: Path) -> None:
    key = git(store, "ls-tree", TYPES, "Noted/2026-11-23").partition("\t")[0]
    forge(store, tree_of(store, {"Other/2026-11-23": key}))


def _huge(store: Path) -> None:
    path, content = note(store)
    forge(store, tree_of(store, {path: blob(store, content * 200_000)}))


def _message(store: Path) -> None:
    text = git(store, "cat-file", "commit", TYPES) + "Newer: yes\n"
    made = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text).strip()
    git(store, "update-ref", TYPES, made)


def _tree(store: Path) -> None:
    (store / TYPES).write_text(git(store, "rev-parse", f"{TYPES}^{{tree}}"))


def _stream(store: Path) -> None:
    git(store, "update-ref", TYPES, "refs/streams/task-0")


FORGERIES: dict[str, Callable[[Path], None]] = {
    "a line cut short": _rewrite(lambda text: text[:-20]),
    "no line": _rewrite(lambda text: ""),
    "out of order": _rewrite(lambda text: "\n".join(text.splitlines()[::-1]) + "\n"),
    "a line twice": _rewrite(lambda text: text.partition("\n")[0] + "\n" + text),
    "another day": _rewrite(lambda text: text.replace("11-23T", "11-24T")),
    "no time": _rewrite(lambda text: text.replace("T08", "T28")),
    "a known commit as another event": _rewrite(
        lambda text: text.replace("task-0@1 ", "task-7@1 ")
    ),
    "a control character": _rewrite(lambda text: text.replace("task-0", "task\r0")),
    "a foreign entry": _foreign_entry,
    "a note on no key": _note_on_no_key,
    "a key without a note": _no_note,
    "a symbolic link": _link,
    "a gap in a day": _gap,
    "a key in another folder": _key_elsewhere,
    "a huge note": _huge,
    "a newer message": _message,
    "a tree": _tree,
    "a stream": _stream,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_malformed_index_is_left_as_it_is(pair: tuple[Path, Path], forgery: str) -> None:
    """It is refused by name; ours is up to date, in order, and joins it once it is good again."""
    ours, theirs = pair
    good = git(theirs, "rev-parse", TYPES).strip()
    FORGERIES[forgery](theirs)
    with reopen(ours) as opened:
        opened.append(replace(SAMPLE[0], id="new"))
        at = fetched(ours, theirs)
        with pytest.raises(TypesNotInOrder) as caught:
            opened.exchange.join_types(at)
        assert caught.value.commit == at
        assert check(opened) == []
        assert "Joined" not in git(ours, "cat-file", "commit", TYPES)
    (theirs / TYPES).write_text(f"{good}\n")
    with reopen(ours) as opened:
        assert opened.exchange.join_types(fetched(ours, theirs)) is not None
        assert check(opened) == []
    assert sum(map(len, listed(ours).values())) == 10
    assert_joined(ours)


def test_theirs_is_taken_into_ours_and_ours_goes_on(pair: tuple[Path, Path]) -> None:
    """Joined, updated, joined again: nothing to push where theirs lists all of ours."""
    ours, theirs = pair
    with reopen(ours) as opened:
        first = opened.exchange.join_types(fetched(ours, theirs))
        assert first is None, "theirs lists all of ours"
        assert "Joined" in git(ours, "cat-file", "commit", TYPES)
        opened.append_many(SAMPLE[5:])  # what theirs has listed here already
        opened.append(replace(SAMPLE[0], id="new"))
        opened.index_types()
        assert check(opened) == []
        assert opened.exchange.join_types(fetched(ours, theirs)) is not None
    assert sum(map(len, listed(ours).values())) == 10
    git(ours, "push", "--quiet", str(theirs), f"{TYPES}:refs/notes/other")
    git(ours, "merge-base", "--is-ancestor", THEIRS, TYPES)
    assert_joined(ours)


def test_a_clone_reads_a_joined_index(pair: tuple[Path, Path]) -> None:
    """Events that only the other store has are passed over; one that is lost is an error."""
    ours, theirs = pair
    with reopen(ours) as opened:
        opened.exchange.join_types(fetched(ours, theirs))
        wanted = [event.id for event in opened.get_events_by_type("Noted")]
    clone = bare(ours.parent / "clone.git")
    git(clone, "symbolic-ref", "HEAD", "refs/heads/main")
    refs = [f"{name}:{name}" for name in ("refs/heads/main", "refs/streams/*", TYPES)]
    git(clone, "fetch", "--quiet", str(ours), *refs)
    with GitEventStore.open(clone, create=False) as opened:
        assert sorted(event.id for event in opened.get_events_by_type("Noted")) == sorted(wanted)
    lost = git(clone, "rev-parse", "refs/streams/task-0").strip()
    _lose(clone, lost)
    with (
        GitEventStore.open(clone, create=False) as opened,
        pytest.raises(StoreCorrupted, match=lost),
    ):
        list(opened.get_events_by_type("Noted"))


def _lose(store: Path, lost: str) -> None:
    """Take one object away."""
    for pack in list((store / "objects" / "pack").glob("*.pack")):
        moved = pack.rename(store / "moved.pack")
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as content:
            command = ["git", f"--git-dir={store}", "unpack-objects", "-q"]
            subprocess.run(command, stdin=content, check=True)
    (store / "objects" / lost[:2] / lost[2:]).unlink()
