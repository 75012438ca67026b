"""Indexes made anew: what keeps positions and the store's id, and what cannot."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore.backends.jsonl.lines import encode_line
from gitstore.core.errors import StoreUnavailable, UnsupportedFormat
from tests.backends.jsonl.support import (
    DAY,
    FILE,
    Recorded,
    append_by_shell,
    event,
    line,
    opened,
    recorded,
)

FORMER = Path(__file__).parent / "former"
FORMER_PART = Path(__file__).parent / "former_part"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Where the layout is."""
    return tmp_path / "events"


@pytest.fixture
def before(where: Path) -> Recorded:
    """Twelve events of three streams; ids in the order of their positions, which is not by time."""
    with opened(where) as store:
        for number in (7, 3, 9, 1, 5, 12, 2, 8, 4, 10, 6, 11):
            store.append(event(number, f"task-{number % 3 + 1}"))
        return recorded(store)


def store_id(where: Path) -> str:
    """What ``state.json`` says."""
    found: str = json.loads((where / "indexes/state.json").read_bytes())["storeId"]
    return found


def remove(path: Path) -> None:
    """A file, or a folder with all it holds."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def cut(path: Path) -> None:
    """The last third of a file, in the middle of a line."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def overwrite(path: Path) -> None:
    """What another tool keeps in a file of this name."""
    path.write_bytes(b"another tool's\n" * 20)


def texts(where: Path) -> dict[str, bytes]:
    """All text indexes."""
    return {str(path.relative_to(where)): path.read_bytes() for path in where.rglob("*.idx")}


@pytest.mark.parametrize("damage", [remove, cut, overwrite], ids=["removed", "cut", "overwritten"])
@pytest.mark.parametrize("name", ["index.db", "by-stream.idx", "by-type/Noted.idx"])
def test_one_index_alone_is_made_anew_from_the_others(
    where: Path, before: Recorded, name: str, damage: Callable[[Path], None]
) -> None:
    """Same positions, same store, same text indexes; and it is as it should be."""
    was, held = store_id(where), texts(where)
    damage(where / "indexes" / name)
    with opened(where) as store:
        assert recorded(store) == before
        assert store.store_id == was
        report = store.verify(deep=True, repair=damage is overwrite)
        assert report.ok, report.findings
    assert texts(where) == held


def test_a_lagging_index_is_brought_up(where: Path, before: Recorded) -> None:
    """An older copy of ``index.db``, put back, takes the rest from the files."""
    index = where / "indexes/index.db"
    shutil.copy(index, where.parent / "old.db")
    with opened(where) as store:
        store.append(event(20))
        after = recorded(store)
    shutil.copy(where.parent / "old.db", index)
    with opened(where) as store:
        assert recorded(store) == after
        assert store.verify().ok


def test_without_any_index_the_events_are_ordered_by_time(where: Path, before: Recorded) -> None:
    """Positions are given anew, so it is another store; no event is lost."""
    was = store_id(where)
    for name in ("index.db", "by-stream.idx", "journal"):
        remove(where / "indexes" / name)
    with opened(where) as store:
        assert store.store_id != was
        found = recorded(store)
        assert [r[0] for r in found] == list(range(1, 13))
        assert sorted(r[1:] for r in found) == sorted(r[1:] for r in before)
        assert store.verify().ok
    with opened(where) as again:
        assert recorded(again) == found


def test_data_files_alone_are_a_store(tmp_path: Path) -> None:
    """What another program wrote, with no folder of indexes at all, in whatever order."""
    where = tmp_path / "events"
    where.mkdir()
    append_by_shell(where / FILE, line(5, 3) + line(1, 1) + line(3, 2))
    append_by_shell(where / DAY / "task-2.jsonl", line(2, 1, "task-2") + line(4, 2, "task-2"))
    with opened(where) as store:
        assert [r[3] for r in recorded(store)] == ["id-1", "id-2", "id-3", "id-4", "id-5"]
        assert store.verify().ok


def test_what_no_index_lists_comes_after_what_it_lists(where: Path, before: Recorded) -> None:
    """An ``index.db`` that is gone, and lines of others since: listed positions stay."""
    was = store_id(where)
    remove(where / "indexes/index.db")
    append_by_shell(where / FILE, line(30, 5))
    with opened(where) as store:
        assert recorded(store) == [*before, (13, "task-1", 5, "id-30")]
        assert store.store_id == was


def test_a_state_that_is_missing_gives_another_id(where: Path, before: Recorded) -> None:
    """The order is kept all the same."""
    was = store_id(where)
    remove(where / "indexes/state.json")
    with opened(where) as store:
        assert recorded(store) == before
        assert store.store_id != was
        assert store.verify().ok


@pytest.mark.parametrize("damage", [remove, cut], ids=["removed", "cut"])
def test_a_data_file_that_lost_lines_is_restored(
    where: Path, before: Recorded, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """On opening, from ``index.db``, byte for byte; a warning says so and names the file."""
    content = (where / FILE).read_bytes()
    damage(where / FILE)
    with opened(where) as store:
        assert recorded(store) == before
        assert store.append(event(20)).version == 5
        assert store.verify().findings == ()
    assert (where / FILE).read_bytes().startswith(content)
    assert f"{FILE} was cut" in caplog.text


def test_all_data_files_and_an_index_are_restored(where: Path, before: Recorded) -> None:
    """All that is needed is ``index.db``."""
    content = (where / FILE).read_bytes()
    remove(where / DAY)
    remove(where / "indexes/by-stream.idx")
    with opened(where) as store:
        assert recorded(store) == before
        assert store.verify().ok
    assert (where / FILE).read_bytes() == content


def test_lines_before_which_one_is_lost_for_good_wait(where: Path, before: Recorded) -> None:
    """A line that no index.db remembers: what comes after it is named, and back when it is back."""
    content = (where / FILE).read_bytes()
    lines = content.splitlines(keepends=True)
    (where / FILE).write_bytes(lines[0] + b"".join(lines[2:]))
    remove(where / "indexes/index.db")
    with opened(where) as store:
        assert len(recorded(store)) == 12 - 3
        report = store.verify()
        assert not report.ok
        assert [finding.place for finding in report.findings] == [f"{FILE}:2", f"{FILE}:3"]
        assert "task-1@3 waits for task-1@2" in report.findings[0].message
    with (where / FILE).open("ab") as file:
        file.write(lines[1])
    with opened(where) as store:
        assert len(recorded(store)) == 12
        assert store.verify().ok


def test_a_former_layout_becomes_a_store(where: Path) -> None:
    """In the order in which it was exported, with an id of its own; its lines stay as they are."""
    shutil.copytree(FORMER, where)
    was = store_id(where)
    data = {path: path.read_bytes() for path in where.rglob("*.jsonl")}
    with opened(where) as store:
        assert [(r[0], r[3]) for r in recorded(store)] == [(n, f"id-{n}") for n in range(1, 13)]
        assert store.store_id != was
        assert store.verify(deep=True).ok
        assert {encode_line(r.event) for r in store.read_all()} == {
            text for content in data.values() for text in content.splitlines(keepends=True)
        }
        assert store.append(event(20, "task-AUTH-001")).version == 5
    assert (
        texts(FORMER).items()
        <= {
            name: text if "by-stream" not in name else text.rpartition(b"13\t")[0]
            for name, text in texts(where).items()
        }.items()
    )


def test_a_former_layout_of_a_part_takes_no_events(where: Path) -> None:
    """Its positions go from 1 on without holes; versions keep their gaps."""
    shutil.copytree(FORMER_PART, where)
    with opened(where) as store:
        found = recorded(store)
        assert [r[0] for r in found] == [1, 2, 3, 4, 5]
        assert [r[2] for r in found if r[1] == "task-AUTH-001"] == [2, 4]
        assert store.verify(deep=True).ok
        with pytest.raises(StoreUnavailable, match="part of another"):
            store.append(event(20))


def test_a_newer_layout_is_left_alone(where: Path, before: Recorded) -> None:
    """Nothing is written where the state is of a form that is not known."""
    state = where / "indexes/state.json"
    state.write_bytes(b'{"layout":3}\n')
    with pytest.raises(UnsupportedFormat):
        opened(where)
    assert state.read_bytes() == b'{"layout":3}\n'


def peak_of_rebuild(where: Path, events: int) -> int:
    """The most bytes Python held while a layout of so many events was opened without indexes."""
    with opened(where) as store:
        for start in range(0, events, 2_000):
            store.append_many(
                event(n, f"task-{n % 50}", data="x" * 100, timestamp=f"{DAY}T10:00:00Z")
                for n in range(start, start + 2_000)
            )
    for name in ("index.db", "by-stream.idx"):
        remove(where / "indexes" / name)
    tracemalloc.start()
    try:
        with opened(where) as store:
            assert store.last_position() == events
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Three times the events take no more memory, but for some bytes each."""
    small = peak_of_rebuild(tmp_path / "small", 4_000)
    large = peak_of_rebuild(tmp_path / "large", 12_000)
    assert large - small < 8_000 * 100
