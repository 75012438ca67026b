"""The layout over a rebase: as if it had been made today, whatever happens on the way."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.git.store import GitEventStore
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import ANEW
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.errors import ForeignCheckpoint, StoreCorrupted, StoreUnavailable
from gitstore.sync.copying import StoresDiffer
from gitstore.sync.exporting import export_events
from gitstore.sync.layouts import export_layout, follow_layout
from tests.backends.git.rebasing import noted, rebase
from tests.backends.git.witness import reopen
from tests.sync.support import lines_of

DIED = 9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GitEventStore]:
    """Two streams of a few events."""
    with reopen(tmp_path / "events.git") as opened:
        for n in range(4):
            opened.append(noted("task-1", f"ours-{n}", n))
            opened.append(noted("task-2", f"other-{n}", n))
        yield opened


def fresh(store: GitEventStore, place: Path) -> dict[str, bytes]:
    """What a layout looks like that is made now."""
    export_layout(store, place)
    return lines_of(place)


def diverge(store: GitEventStore) -> None:
    """Theirs come before two of ours, and something after."""
    rebase(store, "task-1", 2, [noted("task-1", "theirs", "x")])
    store.append(noted("task-2", "after", 1))


def test_after_a_rebase_it_is_as_if_made_anew(store: GitEventStore, tmp_path: Path) -> None:
    """The same files with the same lines, and from there on it is kept current as ever."""
    export_layout(store, tmp_path / "layout")
    diverge(store)
    assert export_layout(store, tmp_path / "layout").position == 12
    assert lines_of(tmp_path / "layout") == fresh(store, tmp_path / "fresh")
    store.append(noted("task-1", "more", 1))
    assert export_layout(store, tmp_path / "layout").events == 1
    assert lines_of(tmp_path / "layout") == fresh(store, tmp_path / "fresher")


def test_a_rebase_of_what_is_not_written_yet_rewrites_nothing(
    store: GitEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing that is written was superseded, lines are only added."""
    export_layout(store, tmp_path / "layout")
    monkeypatch.setattr(Folder, "move", lambda *_: pytest.fail("a file was replaced"))
    store.append(noted("task-3", "late", 1))
    rebase(store, "task-3", 0, [noted("task-3", "theirs", 1)])
    assert export_layout(store, tmp_path / "layout").events == 2
    monkeypatch.undo()
    assert lines_of(tmp_path / "layout") == fresh(store, tmp_path / "fresh")


STEPS = ("move", "replace", "remove", "unlink", "made", "open_to_append", "sync", "link")


def die_at(step: int, store: Path, layout: Path) -> bool:
    """Export in a process that dies before so many-th step of the replacing; whether it died."""
    child = os.fork()
    if not child:
        try:
            _export_until(step, store, layout)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED


def _export_until(step: int, store: Path, layout: Path) -> None:
    left = [step, 0]
    for name in STEPS:
        _count(name, left)
    with reopen(store) as opened:
        export_layout(opened, layout)


def _count(name: str, left: list[int]) -> None:
    act = getattr(Folder, name)

    def counting(folder: Folder, *arguments: Any, **options: Any) -> Any:
        left[1] |= arguments[:1] == (ANEW,)  # from here on the layout is made anew
        if left[1]:
            left[0] -= 1
            if left[0] < 0:
                os._exit(DIED)
        return act(folder, *arguments, **options)

    setattr(Folder, name, counting)


def test_dead_at_any_step_it_is_completed(tmp_path: Path) -> None:
    """Each data file holds whole lines; who reads next finds one state or the other, whole.

    So does who had the layout open all the time; and the next export ends what was begun.
    """
    with reopen(tmp_path / "events.git") as opened:
        for n in range(4):
            opened.append(noted("task-1", f"ours-{n}", n))
            opened.append(noted("task-2", f"other-{n}", n))
        export_layout(opened, tmp_path / "layout")
        former = lines_of(tmp_path / "layout")
        rebase(opened, "task-1", 2, [noted("task-1", "theirs", "x")])
        wanted = fresh(opened, tmp_path / "fresh")
    ends = set()
    for step in range(1_000):
        here = tmp_path / f"layout-{step}"
        shutil.copytree(tmp_path / "layout", here)
        with JsonlEventStore.open(here) as before:
            assert len(list(before.read_all())) == 8
            died = die_at(step, tmp_path / "events.git", here)
            for path in here.glob("????-*/*"):
                assert path.read_bytes().endswith(b"}\n")
            if step % 2:
                check_whole(before, former, wanted, here)
        with JsonlEventStore.open(here) as after:
            check_whole(after, former, wanted, here)
            ends.add(after.last_position())
        with reopen(tmp_path / "events.git") as source:
            export_layout(source, here)
        assert lines_of(here) == wanted
        assert not (here / "indexes" / ANEW).exists()
        shutil.rmtree(here)
        if not died:
            break
    assert step > 30
    assert ends == {8, 9}


def check_whole(
    layout: JsonlEventStore, former: dict[str, bytes], wanted: dict[str, bytes], where: Path
) -> None:
    """It is as it was, or as it is to be, and well."""
    read = [recorded.event.to_json() for recorded in layout.read_all()]
    assert layout.verify().findings == ()
    assert len(read) in (8, 9)
    assert lines_of(where) == (former if len(read) == 8 else wanted)


def test_lines_of_others_stay(store: GitEventStore, tmp_path: Path) -> None:
    """What the store does not know is kept, at the end of its file; also a torn line."""
    export_layout(store, tmp_path / "layout")
    (path,) = (tmp_path / "layout").glob("????-*/task-1.jsonl")
    path.write_bytes(b"somebody's\n" + path.read_bytes() + b'{"id":"torn')
    diverge(store)
    export_layout(store, tmp_path / "layout")
    (wanted,) = (fresh(store, tmp_path / "fresh")[str(path.relative_to(tmp_path / "layout"))],)
    assert path.read_bytes() == wanted + b'somebody\'s\n{"id":"torn\n'


def late(path: Path) -> bytes:
    """A line that another program writes into this file."""
    return b'{"late":"%b"}\n' % path.name.encode()


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("before", ["move", "unlink"])
def test_lines_that_come_while_files_are_replaced_stay(
    store: GitEventStore, tmp_path: Path, before: str, dies: bool
) -> None:
    """From a program that takes no lock, into the file that it has open; whoever dies then."""
    export_layout(store, tmp_path / "layout")
    diverge(store)
    child = os.fork()
    if not child:
        try:
            _export_beside_another(tmp_path, before, dies=dies)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (DIED if dies else 0)
    with JsonlEventStore.open(tmp_path / "layout") as layout:
        assert layout.last_position() == 10
    (path,) = (tmp_path / "layout").glob("????-*/task-1.jsonl")
    assert path.read_bytes().count(late(path)) == 1
    assert not (tmp_path / "layout/indexes" / ANEW).exists()


def _export_beside_another(folder: Path, before: str, *, dies: bool) -> None:
    """``before``: which step after the first file was moved, that of the first file itself too."""
    (path,) = (folder / "layout").glob("????-*/task-1.jsonl")
    other = os.open(path, os.O_WRONLY | os.O_APPEND)
    former = path.stat().st_ino
    act = getattr(Folder, before)

    def acting(held: Folder, name: str, *arguments: Any, **options: Any) -> Any:
        is_time = name == path.name if before == "move" else path.stat().st_ino != former
        if is_time:
            setattr(Folder, before, act)
            os.write(other, late(path))
        result = act(held, name, *arguments, **options)
        if is_time and dies:
            os._exit(DIED)
        return result

    setattr(Folder, before, acting)
    with reopen(folder / "events.git") as opened:
        export_layout(opened, folder / "layout")
    os._exit(0)


def test_who_died_removing_what_is_left_wedges_nothing(
    store: GitEventStore, tmp_path: Path
) -> None:
    """All was in its place; some folders of what was made aside are still there."""
    export_layout(store, tmp_path / "layout")
    with JsonlEventStore.open(tmp_path / "layout") as layout:
        (tmp_path / "layout/indexes" / ANEW / "2026-11-23").mkdir(parents=True)
        replace(layout._parts.state, replacing=True).save(layout._parts.indexes)
    with JsonlEventStore.open(tmp_path / "layout") as layout:
        assert layout.last_position() == 8
        assert not layout._parts.state.replacing
    assert not (tmp_path / "layout/indexes" / ANEW).exists()


def test_a_layout_of_a_part_is_made_anew_too(store: GitEventStore, tmp_path: Path) -> None:
    """With the same filters, as one of that part."""
    export_layout(store, tmp_path / "layout", streams="task-1")
    diverge(store)
    export_layout(store, tmp_path / "layout", streams="task-1")
    export_layout(store, tmp_path / "fresh", streams="task-1")
    assert lines_of(tmp_path / "layout") == lines_of(tmp_path / "fresh")
    with pytest.raises(StoreUnavailable, match="other filters"):
        export_layout(store, tmp_path / "layout")


def test_nothing_is_replaced_that_would_be_lost(store: GitEventStore, tmp_path: Path) -> None:
    """An event of the layout's own, before the rebase or after it: the histories differ."""
    export_layout(store, tmp_path / "layout")
    with JsonlEventStore.open(tmp_path / "layout") as layout:
        layout.append(noted("task-9", "its own", 1))
    before = lines_of(tmp_path / "layout")
    diverge(store)
    with pytest.raises(StoresDiffer, match=r"task-9@1 .* the source has not"):
        export_layout(store, tmp_path / "layout")
    assert lines_of(tmp_path / "layout") == before
    assert not (tmp_path / "layout/indexes" / ANEW).exists()


def test_who_has_it_open_sees_it_made_anew(store: GitEventStore, tmp_path: Path) -> None:
    """With another id, so that checkpoints of before are refused; a reader on the way is told."""
    export_layout(store, tmp_path / "layout")
    with JsonlEventStore.open(tmp_path / "layout") as layout:
        former, checkpoint = layout.store_id, layout.checkpoint()
        following = layout.follow(4)
        assert next(following).position == 5
        diverge(store)
        export_layout(store, tmp_path / "layout")
        with pytest.raises(ForeignCheckpoint, match="made anew"):
            list(following)
        assert layout.last_position() == 10
        assert layout.store_id != former
        with pytest.raises(ForeignCheckpoint):
            layout.resume(checkpoint)
        assert layout.append(noted("task-8", "goes on", 1)).position == 11
        assert layout.verify().findings == ()


def test_a_follower_goes_over_a_rebase(store: GitEventStore, tmp_path: Path) -> None:
    """``follow_layout`` makes it anew when a rebase comes, and goes on."""
    stop = threading.Event()
    following = follow_layout(store, tmp_path / "layout", stop=stop)
    assert next(following).position == 8
    diverge(store)
    while next(following).position < 12:
        pass
    assert lines_of(tmp_path / "layout") == fresh(store, tmp_path / "fresh")
    stop.set()


class Lines(list[bytes]):
    """An output that keeps lines."""

    def write(self, lines: bytes) -> None:
        """Keep them."""
        self.extend(lines.splitlines())


def test_an_export_gives_live_events_and_sees_holes(store: GitEventStore, tmp_path: Path) -> None:
    """Superseded positions are no holes; a row that is gone is one, also a superseded one."""
    diverge(store)
    lines = Lines()
    assert export_events(store, lines).position == 12
    assert len(lines) == 10
    store._parts.index._db().execute("DELETE FROM superseded WHERE position = 5")
    with pytest.raises(StoreCorrupted, match="positions 5 to 5"):
        export_events(store, Lines())
