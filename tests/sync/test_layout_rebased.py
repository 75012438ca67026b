"""The layout over a rebase: as if it had been made today, whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitstore.backends.git.store import GitEventStore
from gitstore.backends.jsonl.folders import Folder
from gitstore.core.errors import StoreCorrupted
from gitstore.sync.exporting import export_events
from gitstore.sync.layouts import export_layout, follow_layout
from tests.backends.git.rebasing import noted, rebase
from tests.backends.git.witness import reopen


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GitEventStore]:
    """Two streams of a few events."""
    with reopen(tmp_path / "events.git") as opened:
        for n in range(4):
            opened.append(noted("task-1", f"ours-{n}", n))
            opened.append(noted("task-2", f"other-{n}", n))
        yield opened


def files(layout: Path) -> dict[str, bytes]:
    """Every file of a layout but its lock."""
    return {
        str(path.relative_to(layout)): path.read_bytes()
        for path in sorted(layout.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def fresh(store: GitEventStore, place: Path) -> dict[str, bytes]:
    """What a layout looks like that is made now."""
    export_layout(store, place)
    return files(place)


def diverge(store: GitEventStore) -> None:
    """Theirs come before two of ours, and something after."""
    rebase(store, "task-1", 2, [noted("task-1", "theirs", "x")])
    store.append(noted("task-2", "after", 1))


def test_after_a_rebase_it_is_as_if_made_anew(store: GitEventStore, tmp_path: Path) -> None:
    """The same files with the same lines, and from there on it is kept current as ever."""
    export_layout(store, tmp_path / "layout")
    diverge(store)
    assert export_layout(store, tmp_path / "layout").position == 12
    assert files(tmp_path / "layout") == fresh(store, tmp_path / "fresh")
    store.append(noted("task-1", "more", 1))
    assert export_layout(store, tmp_path / "layout").events == 1
    assert files(tmp_path / "layout") == fresh(store, tmp_path / "fresher")


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
    assert files(tmp_path / "layout") == fresh(store, tmp_path / "fresh")


class Killed(BaseException):
    """In place of a death."""


def test_cut_short_anywhere_it_is_completed(
    store: GitEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every step each data file holds whole lines; the next export ends what was begun."""
    steps = 0
    left = 10**6

    def counted(name: str) -> None:
        act = getattr(Folder, name)

        def counting(*arguments: object) -> object:
            nonlocal steps
            for path in (tmp_path / "layout").glob("????-*/*"):
                assert path.read_bytes().endswith(b"}\n")
            steps += 1
            if steps > left:
                raise Killed
            return act(*arguments)

        monkeypatch.setattr(Folder, name, counting)

    diverged = False
    for at in range(1, 200, 3):
        export_layout(store, tmp_path / "layout")
        rebase(store, "task-1", 2, [noted("task-1", f"theirs-{at}", "x")])
        for name in ("move", "replace", "remove", "made", "open_to_append"):
            counted(name)
        steps, left = 0, at
        try:
            export_layout(store, tmp_path / "layout")
        except Killed:
            diverged = True
        else:
            break
        finally:
            monkeypatch.undo()
            left = 10**6
        export_layout(store, tmp_path / "layout")
        assert files(tmp_path / "layout") == fresh(store, tmp_path / f"fresh-{at}")
    assert diverged
    assert at > 10


def test_lines_of_others_stay(store: GitEventStore, tmp_path: Path) -> None:
    """What the store does not know is kept, at the end of its file."""
    export_layout(store, tmp_path / "layout")
    (path,) = (tmp_path / "layout").glob("????-*/task-1.jsonl")
    path.write_bytes(b"somebody's\n" + path.read_bytes() + b'{"id":"torn')
    diverge(store)
    export_layout(store, tmp_path / "layout")
    (wanted,) = (fresh(store, tmp_path / "fresh")[str(path.relative_to(tmp_path / "layout"))],)
    assert path.read_bytes() == wanted + b"somebody's\n"


def test_a_follower_goes_over_a_rebase(store: GitEventStore, tmp_path: Path) -> None:
    """``follow_layout`` makes it anew when a rebase comes, and goes on."""
    stop = threading.Event()
    following = follow_layout(store, tmp_path / "layout", stop=stop)
    assert next(following).position == 8
    diverge(store)
    while next(following).position < 12:
        pass
    assert files(tmp_path / "layout") == fresh(store, tmp_path / "fresh")
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
