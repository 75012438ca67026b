"""Where states are kept: each whole at any time, whatever the disk does."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from gitstore import StoreUnavailable, open_store
from gitstore.projections import FolderStates, MemoryStates, ProjectionManager, forget, states_of
from gitstore.projections import states as states_module
from tests.projections.support import Log, all_ids, note


def _full(path: Path, content: bytes) -> None:
    Path(path).write_bytes(content[: len(content) // 2])
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["write_new", "sync_directory"])
def test_a_full_disk_is_told_and_leaves_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As any error of the store; once there is space, it is saved."""
    with open_store(tmp_path / "events.git") as store:
        note(store, "a", "b")
        manager = ProjectionManager(store, [Log])
        manager.catch_up()
        note(store, "c")
        with monkeypatch.context() as patch:
            patch.setattr(states_module, step, _full if step == "write_new" else _failing)
            with pytest.raises(StoreUnavailable, match="No space left"):
                manager.catch_up()
            with pytest.raises(StoreUnavailable, match="No space left"):
                list(manager.follow(_set()))
        kept: Any = ProjectionManager(store, [Log]).state("Log")
        assert kept["seen"] in (["a", "b"], ["a", "b", "c"])
        manager.catch_up()
        again = ProjectionManager(store, [Log])
        assert again.state("Log") == {"seen": all_ids(store)}
        assert store.verify().ok
    assert not list(tmp_path.rglob("*.new"))


def _failing(path: Path) -> None:
    raise OSError(28, "No space left on device")


def _set() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_what_cannot_be_written_to_is_where_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, so that a projection can be had of a store that is only read."""
    with open_store(tmp_path / "events.git") as store:
        note(store, "a", "b")
        ProjectionManager(store, [Log]).catch_up()
        note(store, "c")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
        real = os.access
        denied = lambda path, mode, **more: mode != os.W_OK and real(path, mode, **more)  # noqa: E731
        monkeypatch.setattr(os, "access", denied)
        states = states_of(store)
        assert isinstance(states, MemoryStates)
        manager = ProjectionManager(store, [Log])
        assert manager.position("Log") == 2
        manager.catch_up()
        assert manager.state("Log") == {"seen": ["a", "b", "c"]}
        forget("Log", states)
        assert states.read("Log") is None
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    """A folder is made by the first write, and what is removed need not be there."""
    states = FolderStates(tmp_path / "projections")
    assert states.read("Log") is None
    assert list(tmp_path.iterdir()) == []
    forget("Log", states)
    with states.held():
        states.write("Log", b"x")
    assert states.read("Log") == b"x"


def test_what_a_killed_writer_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """The next one writes over it."""
    states = FolderStates(tmp_path / "projections")
    with states.held():
        (tmp_path / "projections" / ".Log.new").write_bytes(b"half")
        states.write("Log", b"whole")
    assert states.read("Log") == b"whole"
    assert not (tmp_path / "projections" / ".Log.new").exists()
