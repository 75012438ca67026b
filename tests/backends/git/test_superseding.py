"""The index across rebases: what the feed lists decides which events are live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitstore.backends.git.index import Index
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects


def row(position: int, version: int, event_id: str, stream: str = "s") -> JournalRow:
    """A row whose commit id says where it stands."""
    commit = b"%020d" % position
    return JournalRow(position, stream, version, "T", 0, event_id, commit, None, 0, b"1", b"{}")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An empty index."""
    layout = StoreLayout(tmp_path, elsewhere=tmp_path)
    made = Index(layout, Objects(layout), wal=True, read_only=False)
    made.create()
    yield made
    made.close()


# Stream s: a b c; then b is recorded here after x of the other side, and c after it.
FIRST = [row(1, 1, "a"), row(2, 2, "b"), row(3, 1, "o", "other"), row(4, 3, "c")]
REBASE = [row(5, 2, "x"), row(6, 3, "b"), row(7, 4, "c")]
AGAIN = [row(8, 2, "y"), row(9, 3, "x"), row(10, 4, "b"), row(11, 5, "c")]


def live(index: Index, stream: str = "s") -> list[tuple[int, str, int, int | None]]:
    """Version, id, position and position before of a stream's events."""
    page = index.stream_page(stream, 0, 99, 99, backwards=False)
    return [(e.version, str(e.event.id), e.position, e.replaces) for e in page]


@pytest.mark.parametrize("apart", [True, False], ids=["commit by commit", "all at once"])
def test_a_rebase_supersedes_what_it_replaces(index: Index, apart: bool) -> None:
    """However feed commits are bundled, the last rebase is live, and knows where it stood."""
    for rows in [FIRST, REBASE, AGAIN] if apart else [[*FIRST, *REBASE, *AGAIN]]:
        index.add(rows, rows[-1].position, "f")
    assert live(index) == [
        (1, "a", 1, None),
        (2, "y", 8, None),
        (3, "x", 9, 5),
        (4, "b", 10, 6),
        (5, "c", 11, 7),
    ]
    assert live(index, "other") == [(1, "o", 3, None)]
    assert index.epoch() == 11
    head = index.head("s")
    assert head is not None
    assert (head.version, head.commit) == (5, b"%020d" % 11)


def test_repeating_changes_nothing(index: Index) -> None:
    """A crash repeats what the index has: also rows that were superseded since."""
    for rows in (FIRST, REBASE, FIRST, [*FIRST, *REBASE], REBASE):
        index.add(rows, rows[-1].position, "f")
    assert live(index) == [(1, "a", 1, None), (2, "x", 5, None), (3, "b", 6, 2), (4, "c", 7, 4)]
    assert index.counts() == (5, 2)
    assert index.epoch() == 7
    head = index.head("s")
    assert head is not None
    assert head.commit == b"%020d" % 7


def test_another_event_in_a_place_is_damage(index: Index) -> None:
    """What was superseded keeps its position: another event there is damage, nothing is added."""
    index.add([*FIRST, *REBASE], 7, "f")
    for wrong in (row(2, 2, "z")._replace(commit_id=b"z" * 20), row(8, 5, "o")):
        with pytest.raises(IndexDamaged):
            index.add([row(9, 1, "n", "new"), wrong], 9, "g")
    assert live(index, "new") == []
    assert index.state() == (7, "f")
