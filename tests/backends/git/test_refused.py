"""Places that cannot be written, are full, or are no store of ours: a clear error, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import DomainEvent, StoreNotFound, StoreUnavailable, UnsupportedFormat, open_store
from gitstore.backends.git.background import BackgroundFlush
from tests.backends.git.witness import Ack, assert_sound, filled, git, reopen
from tests.backends.processes import lines

Begin = Callable[..., Popen[str]]


def readable_only(store: Path) -> None:
    """Take everybody's leave to write, and give everybody leave to read."""
    for path in (store, *store.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def writable_again(store: Path) -> None:
    """Undo ``readable_only``."""
    for folder, _, names in os.walk(store):
        Path(folder).chmod(0o700)
        for name in names:
            Path(folder, name).chmod(0o600)


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_store_without_leave_to_write(
    place: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """A read-only store is read in full, pending events too, and refuses appends clearly."""
    source, store = place / "source.git", place / "events.git"
    filled(source)
    monkeypatch.setattr(BackgroundFlush, "wake", lambda self: None)
    with reopen(source) as opened:
        for _ in range(waiting):
            opened.append(DomainEvent("task-0", "Waiting", {}))
        shutil.copytree(source, store)
    if not waiting:
        shutil.rmtree(store)
        shutil.copytree(source, store)
    place.chmod(0o755)
    readable_only(store)
    try:
        said = lines(begin("unprivileged", str(store)))
    finally:
        writable_again(store)
    if isinstance(said[0], list) and said[0][0] == "PermissionError":
        pytest.skip("the folder of this test cannot be reached without privileges")
    assert said[0] == list(range(1, 13 + waiting))
    assert said[1] == ["task-0", "task-1", "task-2"]
    assert said[2] is True
    assert said[3][0] == "StoreUnavailable"  # type: ignore[index]
    assert "read only" in said[3][1]  # type: ignore[index]
    assert said[4] == "closed"
    assert len(assert_sound(store)) == 12 + waiting


# Of one file: below a config, a ref, a page, a database, a log, a pack.
LIMITS = [0, 100, 4_096, 33_000, 66_000, 130_000]


@pytest.mark.parametrize("how", ["single", "batch"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_full_disk(place: Path, begin: Begin, how: str, exists: bool) -> None:
    """Where files cannot grow, errors are the store's own; what was acknowledged stays."""
    for limit in LIMITS:
        store = place / f"{limit}.git"
        acks: list[Ack] = filled(store) if exists else []
        said = lines(begin("bounded", str(store), limit, how))
        for one in said:
            assert isinstance(one, list)
            if one[0] == "error":
                assert one[1] in ("StoreUnavailable", "EventStoreError", "GitFailed"), one
            else:
                acks += one
        assert_sound(store, acks)
        assert [path for path in place.iterdir() if path != store] == []
        shutil.rmtree(store)


def test_a_store_of_another_format(place: Path) -> None:
    """A store whose ``main`` names format 2 is refused as newer, and left as it is."""
    store = place / "events.git"
    filled(store)
    tree = git(store, "rev-parse", "refs/heads/main^{tree}").strip()
    identity = {"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e"}
    identity |= {"GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e"}
    newer = subprocess.run(
        ["git", f"--git-dir={store}", "commit-tree", tree, "-m", "gitstore format 2"],
        env=os.environ | identity,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    git(store, "update-ref", "refs/heads/main", newer)
    for create in (True, False):
        with pytest.raises(UnsupportedFormat, match="format 2"):
            open_store(store, create=create)
    assert git(store, "rev-parse", "refs/heads/main").strip() == newer


def test_places_that_are_no_store(place: Path) -> None:
    """A plain repository, a folder of other things and a file are refused and left alone."""
    plain, folder, file = place / "plain.git", place / "folder", place / "file"
    git(plain, "init", "--quiet", "--bare", str(plain))
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    file.write_text("mine")
    for where, error in (
        (plain, UnsupportedFormat),
        (folder, StoreNotFound),
        (file, StoreNotFound),
        (place / "none.git", StoreNotFound),
    ):
        with pytest.raises(error) as caught:
            open_store(where, create=False)
        assert str(where) in str(caught.value)
        assert caught.value.hint
    for where in (plain, folder, file):
        with pytest.raises((UnsupportedFormat, StoreNotFound)):
            open_store(where)
    assert sorted(path.name for path in place.iterdir()) == ["file", "folder", "plain.git"]
    assert file.read_text() == "mine"


def test_a_place_whose_folder_cannot_be_made(place: Path) -> None:
    """A store below a file cannot be made: a clear error, not the system's own."""
    (place / "file").write_text("mine")
    with pytest.raises((StoreUnavailable, StoreNotFound)):
        open_store(place / "file" / "events.git")
