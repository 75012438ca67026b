"""A layout that may only be read: all of it is there, nothing is written, appends are refused."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitstore.backends.jsonl.reading_only import ReadOnlyJsonlStore
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.errors import StoreUnavailable
from tests.backends.jsonl.support import DAY, FILE, Recorded, event, filled, opened, recorded

FORMER = Path(__file__).parent / "former"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Where the layout is."""
    return tmp_path / "events"


@pytest.fixture
def before(where: Path) -> Recorded:
    """Twelve events of three streams."""
    return filled(where)


@pytest.fixture
def unchanged(where: Path, before: Recorded) -> Iterator[None]:
    """After the test every file is as it was, and there is no other."""

    def tree() -> dict[Path, tuple[bytes, int]]:
        files = (path for path in where.rglob("*") if path.is_file())
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    was = tree()
    yield
    assert tree() == was


@pytest.mark.usefixtures("unchanged")
def test_everything_can_be_read(where: Path, before: Recorded) -> None:
    """Events, streams, status and verify, with the positions and the id of the store."""
    with ReadOnlyJsonlStore.at(where) as store:
        assert recorded(store) == before
        assert list(store.streams()) == ["task-1", "task-2", "task-3"]
        assert store.status().events == 12
        assert store.verify(deep=True).findings == ()


@pytest.mark.usefixtures("unchanged")
def test_what_would_write_is_refused(where: Path) -> None:
    """In one sentence that names the directory, and says what to do."""
    with ReadOnlyJsonlStore.at(where) as store:
        with pytest.raises(StoreUnavailable, match="may not be written to") as error:
            store.append(event(20))
        assert error.value.hint
        with pytest.raises(StoreUnavailable, match="may not be written to"):
            store.verify(repair=True)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_without_an_index_one_is_made_elsewhere(where: Path, before: Recorded, damage: str) -> None:
    """From ``by-stream.idx``, with the same positions; the damaged one stays as it is."""
    index = where / "indexes/index.db"
    index.unlink() if damage == "missing" else index.write_bytes(b"no database" * 1000)
    with ReadOnlyJsonlStore.at(where) as store:
        assert recorded(store) == before
    assert index.exists() == (damage == "damaged")


def test_what_others_append_is_followed(where: Path, before: Recorded) -> None:
    """Also what stands only in their journal."""
    stop = threading.Event()
    with ReadOnlyJsonlStore.at(where) as reading, opened(where) as writing:
        coming = reading.follow(12, stop=stop)
        for number in range(20, 25):
            writing.append(event(number))
            assert next(coming).event.id == f"id-{number}"
        stop.set()
        assert recorded(reading) == recorded(writing)


def test_a_former_layout_can_be_read(where: Path) -> None:
    """By the positions it has."""
    shutil.copytree(FORMER, where)
    with ReadOnlyJsonlStore.at(where) as store:
        assert [r[0] for r in recorded(store)] == list(range(1, 13))
    assert not (where / "indexes/index.db").exists()


def test_a_layout_whose_positions_cannot_be_told_is_refused(where: Path, before: Recorded) -> None:
    """It says why, and what to do."""
    (where / "indexes/index.db").unlink()
    (where / "indexes/by-stream.idx").write_bytes(b"another tool's\n")
    (where / FILE).unlink()
    with pytest.raises(StoreUnavailable, match="cannot be made anew there") as error:
        ReadOnlyJsonlStore.at(where)
    assert "copy" in error.value.hint


def test_who_reads_what_is_made_anew_is_told(where: Path, before: Recorded) -> None:
    """Its positions are others' now, so nothing of the new one is read as if it went on."""
    with ReadOnlyJsonlStore.at(where) as reading, JsonlEventStore.open(where) as layout:
        events = [found.event for found in layout.read_all()]
        with layout.replaced(layout.store_id) as anew:
            assert anew is not None
            anew.append(event(30, "task-0"))
            anew.append_history(events)
        layout.append(event(31))
        with pytest.raises(StoreUnavailable, match="made anew"):
            recorded(reading)
        assert len(before) == 12


def test_it_is_verified_beside_a_writer(where: Path, before: Recorded) -> None:
    """What comes while it looks is no finding."""
    stop = threading.Event()

    def write() -> None:
        with opened(where) as writing:
            for number in range(100, 2_000):
                if stop.is_set():
                    return
                writing.append(event(number, f"task-{number % 3}", timestamp=f"{DAY}T11:00:00Z"))

    with ThreadPoolExecutor() as pool, ReadOnlyJsonlStore.at(where) as reading:
        done = pool.submit(write)
        findings = [reading.verify().findings for _ in range(15)]
        stop.set()
        done.result()
    assert not any(findings)
    assert len(before) == 12
