"""Export beside writers, beside other exporters, and killed at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gitstore
from gitstore.core.errors import EventStoreError
from gitstore.sync.exporting import export_events, whole_file
from gitstore.sync.importing import LayoutSource, import_events
from gitstore.sync.layouts import export_layout
from tests.sync import programs
from tests.sync.support import event, exported, lines_of, refs, several, tree

Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start programs; those that still run are killed at the end of the test, each by its id."""
    with contextlib.ExitStack() as ends:

        def begin(*arguments: object, **options: Any) -> subprocess.Popen[str]:
            child = programs.start(*arguments, **options)
            ends.enter_context(child)
            ends.callback(child.kill)
            return child

        yield begin


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a program that must succeed."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until ``holds`` gives something true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store of 1,200 events in 40 streams over 12 days, and its layout."""
    folder = tmp_path_factory.mktemp("thousand")
    with gitstore.open_store(folder / "events.git") as store:
        store.append_many(several(1_200, 40, 4))
        export_layout(store, folder / "layout")
    return folder / "events.git", folder / "layout"


def survive(begin: Begin, source: tuple[Path, Path], tmp_path: Path, kills: int) -> None:
    """Kill exporters at random moments on one layout after the other, and complete it."""
    store, whole = source
    chance = random.Random(kills)
    expected = lines_of(whole)
    where = tmp_path / "layout"
    for _ in range(kills):
        process = begin("layout", store, where, chance.choice([7, 50, 400]))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * chance.choice([0.05, 0.4, 1.0]))
        process.kill()
        process.wait()
        if chance.random() < 0.5:
            finish(begin("layout", store, where, chance.choice([9, 300])))
            assert lines_of(where) == expected
            shutil.rmtree(where)
    finish(begin("layout", store, where, 300))
    assert lines_of(where) == expected


def test_a_killed_export_is_completed_by_the_next(
    begin: Begin, thousand: tuple[Path, Path], tmp_path: Path
) -> None:
    """Kill -9 at any moment: then every file is, byte for byte, what one run had written."""
    survive(begin, thousand, tmp_path, kills=5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_killed_exports_are_completed_by_the_next(
    begin: Begin, thousand: tuple[Path, Path], tmp_path: Path
) -> None:
    """The same for long."""
    survive(begin, thousand, tmp_path, kills=100)


@pytest.mark.parametrize("seed", range(8))
def test_every_torn_state_converges(thousand: tuple[Path, Path], tmp_path: Path, seed: int) -> None:
    """Files cut at any byte, or missing: the next run restores lines, and the index of the types.

    The positions are those it had: the index keeps them.
    """
    store, whole = thousand
    chance = random.Random(seed)
    where = tmp_path / "layout"
    shutil.copytree(whole, where)
    before = json.loads((where / "indexes/state.json").read_text())
    for path in [*where.glob("2*/*"), *where.glob("indexes/**/*.idx")]:
        size = path.stat().st_size
        cut = chance.choice([0, size, chance.randrange(size), chance.randrange(size), None])
        if cut is None:
            path.unlink()
        else:
            with path.open("r+b") as file:
                file.truncate(cut)
    with gitstore.open_store(store) as opened:
        export_layout(opened, where)
    assert lines_of(where) == lines_of(whole)
    assert json.loads((where / "indexes/state.json").read_text()) == before


def test_two_exporters_take_turns(
    begin: Begin, thousand: tuple[Path, Path], tmp_path: Path
) -> None:
    """On one directory, from its making on: nothing is written twice."""
    store, whole = thousand
    both = [begin("layout", store, tmp_path / "layout", batch) for batch in (20, 33)]
    for process in both:
        finish(process)
    assert lines_of(tmp_path / "layout") == lines_of(whole)


def test_export_beside_eight_writers(begin: Begin, tmp_path: Path) -> None:
    """Each export is a prefix of the history; a followed layout ends complete."""
    where = tmp_path / "events.git"
    with gitstore.open_store(where) as store:
        store.append(event(0))
    follower = begin("follow", where, tmp_path / "layout")
    writers = [begin("append", where, n, 40) for n in range(8)]
    seen = []
    with gitstore.open_store(where, create=False) as store:
        while any(writer.poll() is None for writer in writers):
            seen.append(exported(store))
        for writer in writers:
            finish(writer)
        history = exported(store)
        assert history.count(b"\n") == 1 + 8 * 40
        assert all(history.startswith(export) for export in seen)
        last = store.last_position()
        assert follower.stdout is not None
        assert any(int(line) == last for line in follower.stdout)
        follower.kill()
        export_layout(store, tmp_path / "once")
    assert lines_of(tmp_path / "layout") == lines_of(tmp_path / "once")
    with gitstore.open_store(tmp_path / "copy.git") as copy:
        import_events(copy, [LayoutSource("layout", tmp_path / "layout")])
        assert exported(copy) == history
    assert refs(tmp_path / "copy.git") == refs(where)


def test_a_file_that_cannot_be_completed_stays_as_it_was(
    begin: Begin, thousand: tuple[Path, Path], tmp_path: Path
) -> None:
    """A full disk leaves the old export and nothing else."""
    file = tmp_path / "history.jsonl"
    file.write_text("old")
    process = begin("bounded", thousand[0], file, 20_000)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "history.jsonl cannot be written: File too large" in err
    assert tree(tmp_path) == {"history.jsonl": b"old"}


@pytest.mark.parametrize("limit", [100, 5_000, 60_000])
def test_a_layout_goes_on_where_a_full_disk_stopped_it(
    begin: Begin, thousand: tuple[Path, Path], tmp_path: Path, limit: int
) -> None:
    """In a data file or an index: the error says so, and the next run completes it."""
    store, whole = thousand
    process = begin("bounded_layout", store, tmp_path / "layout", limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.search("cannot be (written: File too large|used: disk I/O error)", err)
    with gitstore.open_store(store) as opened:
        export_layout(opened, tmp_path / "layout")
    assert lines_of(tmp_path / "layout") == lines_of(whole)


def test_an_interrupted_file_stays_as_it_was(tmp_path: Path) -> None:
    """Ctrl-C too."""
    file = tmp_path / "history.jsonl"
    file.write_text("old")

    def interrupted() -> None:
        with whole_file(file) as out:
            out.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert tree(tmp_path) == {"history.jsonl": b"old"}


def test_a_whole_file_replaces_the_old_one(tmp_path: Path) -> None:
    """At its end, through a link, with the old one's mode; a new one is private."""
    file, link, new = tmp_path / "f", tmp_path / "link", tmp_path / "new"
    file.write_text("old")
    file.chmod(0o644)
    link.symlink_to(file)
    with whole_file(link) as out:
        out.write(b"new")
        out.flush()
        assert file.read_text() == "old"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o644)
    assert link.is_symlink()
    with whole_file(new):
        pass
    assert new.stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A device is not replaced by a file."""
    with whole_file(Path("/dev/null")) as out:
        out.write(b"x")
    assert Path("/dev/null").is_char_device()


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """With the name that was given."""
    file = whole_file(tmp_path / "missing/f")
    with pytest.raises(EventStoreError, match="missing/f cannot be written") as caught:
        file.__enter__()
    assert caught.value.hint


def test_a_named_pipe_gets_all_of_it(thousand: tuple[Path, Path], tmp_path: Path) -> None:
    """It stays a pipe."""
    pipe, copy = tmp_path / "pipe", tmp_path / "copy"
    os.mkfifo(pipe)
    with copy.open("wb") as out, subprocess.Popen(["cat", pipe], stdout=out) as reader:
        with gitstore.open_store(thousand[0]) as store:
            with whole_file(pipe) as given:
                export_events(store, given)
            history = exported(store)
        assert reader.wait(timeout=30) == 0
    assert copy.read_bytes() == history
    assert pipe.is_fifo()
