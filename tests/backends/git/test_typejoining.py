"""Type indexes of several stores joined: nothing is lost, nothing forced, nothing hostile taken."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import DomainEvent
from gitstore.backends.git import typechecks, typeindex, typemerging
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.store import GitEventStore
from tests.backends.git.witness import git, reopen

DAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
THEIRS = "refs/remotes/origin/notes/types"
SAMPLE = [
    DomainEvent(f"task-{n % 3}", "Noted", {}, timestamp=DAY + timedelta(seconds=n), id=f"e{n}")
    for n in range(9)
]


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
    git(store, "push", "--quiet", str(remote), f"{TYPES}:{TYPES}")
    return given_


def listed(store: Path, ref: str = TYPES) -> dict[tuple[str, str], list[str]]:
    """All lines by type and day, as plain git shows them; the notes are in their form."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    names = git(store, "ls-tree", "-r", "--name-only", ref).splitlines()
    for key in [name for name in names if re.search(r"/\d{4}-\d\d-\d\d(\.\d+)?$", name)]:
        said = git(store, "cat-file", "blob", f"{ref}:{key}").split()
        shown = git(store, "notes", f"--ref={ref}", "show", f"{ref}:{key}").splitlines()
        assert shown == sorted(set(shown))
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


@settings(max_examples=30)
@given(steps=_STEPS)
def test_joined_in_any_order_it_is_the_union(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, list[tuple[str, str, int, int]] | str]],
) -> None:
    """Three stores, forks and shared histories in them, one remote; every push by plain git.

    Where all have seen all, each type and day lists the union, each line once.
    """
    folder = tmp_path_factory.mktemp("law")
    remote = bare(folder / "remote.git")
    stores = [folder / f"{number}.git" for number in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gitstore.backends.git.typetree.MOST_LINES", 3)
        patch.setattr("gitstore.backends.git.typenotes.MOST_LINES", 3)
        for module in (typeindex, typemerging):
            patch.setattr(module, "AT_ONCE", 4)
        patch.setattr(typechecks, "MOST_LINES", 3)
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for number, step in [*steps, *((n, [("One", "x", 0, n)]) for n in range(3))]:
            if step == "exchange":
                if stores[number].exists():
                    exchanged(stores[number], remote)
                continue
            with reopen(stores[number]) as opened:
                if isinstance(step, list):
                    opened.append_many(
                        # Equal events give equal commits: some of the histories are shared.
                        DomainEvent(stream, kind, {}, timestamp=DAY + timedelta(day, seconds=at))
                        for kind, stream, day, at in step
                    )
                elif list(opened.read_all(limit=1)):
                    opened.index_types()
                    with opened._parts.flush_lock.held():
                        typeindex.rebuild(opened._parts)
        for store in (*stores, *stores):
            exchanged(store, remote)
        for store in stores:
            assert_joined(store)
            with reopen(store) as opened:
                for place, lines in own(opened).items():
                    wanted[place] |= lines
        for repository, ref in [(remote, TYPES), *((store, THEIRS) for store in stores)]:
            shown = listed(repository, ref)
            assert {place: sorted(lines) for place, lines in shown.items()} == {
                place: sorted(lines) for place, lines in wanted.items()
            } or repository != remote
        assert {exchanged(store, remote) for store in stores} == {None}
