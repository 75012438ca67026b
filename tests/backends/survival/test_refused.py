"""Places that cannot be written, or are no store of ours: a clear error, and left as they are."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import (
    DomainEvent,
    EventStoreError,
    StoreCorrupted,
    StoreNotFound,
    StoreUnavailable,
    UnsupportedFormat,
    open_store,
)
from tests.backends.processes import lines
from tests.backends.survival.deaths import struck
from tests.backends.survival.witness import address, assert_sound, filled, path_of

Begin = Callable[..., Popen[str]]


@contextlib.contextmanager
def readable_only(folder: Path) -> Iterator[None]:
    """Take everybody's leave to write for a while, and give everybody leave to read."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for root, _, names in os.walk(folder):
            Path(root).chmod(0o700)
            for name in names:
                Path(root, name).chmod(0o600)


@pytest.mark.parametrize("left", ["closed", "killed"])
def test_a_store_without_leave_to_write(place: Path, begin: Begin, kind: str, left: str) -> None:
    """A read-only store is read in full, also what a killed writer left; appends are refused."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))
    folder = template
    if left == "killed":
        last = struck("crash_everywhere", kind, template, "batch", 1)[-2]
        folder = last.folder
        before += last.acknowledged
    place.chmod(0o755)
    folder.parent.chmod(0o755)
    with readable_only(folder):
        said = lines(begin("unprivileged", address(kind, folder)))
    if said[0] and said[0][0] == "PermissionError":
        pytest.skip("the folder of this test cannot be reached without privileges")
    read, streams, versions, findings, events, refused, closed = said
    assert read == before
    assert streams == sorted({ack["streamId"] for ack in before})
    assert versions == list(range(1, len(versions) + 1))
    assert findings == []
    assert events == len(before)
    assert refused[0] == "StoreUnavailable"
    assert refused[2]
    assert closed == "closed"
    assert_sound(address(kind, folder), before)


def untouched(path: Path) -> object:
    """What is at a path, to the last byte."""
    if path.is_dir():
        return sorted((str(p), p.read_bytes() if p.is_file() else b"") for p in path.rglob("*"))
    return path.read_bytes()


def _no_database(path: Path) -> None:
    path.write_text("These are my notes, and no store at all.\n" * 200)


def _other_schema(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE songs(title); INSERT INTO songs VALUES ('mine')")


def _table_of_the_same_name(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE events(what); INSERT INTO events VALUES ('mine')")


def _newer(path: Path) -> None:
    filled(f"sqlite:{path}")
    with contextlib.closing(sqlite3.connect(path)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {version + 1}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _half_a_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\0" * 20)


def _one_byte(path: Path) -> None:
    path.write_bytes(b"x")


def _a_line(path: Path) -> None:
    path.write_text("mine\n")


def _half_a_page(path: Path) -> None:
    path.write_bytes(b"m" * 511)


NO_SQLITE = [
    _one_byte,
    _a_line,
    _half_a_page,
    _no_database,
    _other_schema,
    _table_of_the_same_name,
    _newer,
    _half_a_header,
]


@pytest.mark.parametrize("make", NO_SQLITE)
def test_files_that_are_no_sqlite_store(place: Path, make: Callable[[Path], None]) -> None:
    """A file of something else is refused by name with a hint, and left as it is to the byte."""
    file = place / "events"
    make(file)
    for leftover in place.glob("events?*"):
        leftover.unlink()
    before = untouched(file)
    for create in (True, False):
        with pytest.raises((UnsupportedFormat, StoreCorrupted, StoreNotFound)) as caught:
            open_store(f"sqlite:{file}", create=create)
        assert str(file) in str(caught.value)
        assert caught.value.hint
    assert untouched(file) == before


def test_an_empty_file_is_an_empty_sqlite_store(place: Path) -> None:
    """A file of no bytes becomes a store where one may be made."""
    file = place / "events"
    file.touch()
    with open_store(f"sqlite:{file}") as store:
        assert list(store.read_all()) == []
        store.append(DomainEvent("task-1", "First", {}))
    assert len(assert_sound(f"sqlite:{file}")) == 1


def _of_other_things(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def _newer_layout(path: Path) -> None:
    filled(f"jsonl:{path}")
    state = path / "indexes/state.json"
    state.write_text(state.read_text().replace('"layout":2', '"layout":3'))


NO_LAYOUT = [_no_database, _of_other_things, _newer_layout]


@pytest.mark.parametrize("make", NO_LAYOUT)
def test_directories_that_are_no_jsonl_store(place: Path, make: Callable[[Path], None]) -> None:
    """A place of something else is refused by name with a hint, and left as it is to the byte."""
    where = place / "events"
    make(where)
    before = untouched(where)
    for create in (True, False):
        with pytest.raises((UnsupportedFormat, StoreUnavailable, StoreNotFound)) as caught:
            open_store(f"jsonl:{where}", create=create)
        assert str(where) in str(caught.value)
        assert caught.value.hint
    assert untouched(where) == before


def test_places_that_are_not_there(place: Path, kind: str) -> None:
    """Nothing is made where nothing may be, or can be."""
    (place / "file").write_text("mine")
    with pytest.raises(StoreNotFound) as caught:
        open_store(f"{kind}:{place}/none", create=False)
    assert str(place / "none") in str(caught.value)
    for create in (True, False):
        with pytest.raises((StoreUnavailable, StoreNotFound)):
            open_store(f"{kind}:{place}/file/events", create=create)
    assert [path.name for path in place.iterdir()] == ["file"]


def test_a_link_in_the_place_of_a_data_file_is_not_followed(place: Path) -> None:
    """A link that somebody planted below a layout is refused, and what it names stays as it is."""
    where = address("jsonl", place)
    acks = filled(where)
    victim = place / "victim"
    data = next(path_of(where).glob("2*/task-0.jsonl"))
    shutil.copy(data, victim)
    content = victim.read_bytes()
    data.unlink()
    data.symlink_to(victim)
    with contextlib.suppress(EventStoreError), open_store(where) as store:
        with contextlib.suppress(EventStoreError):
            store.append(DomainEvent("task-0", "Linked", {}))
        store.verify(repair=True)
    assert victim.read_bytes() == content
    data.unlink()
    shutil.copy(victim, data)
    assert_sound(where, acks)
