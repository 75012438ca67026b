"""Importing layouts: in an order a store can record, whatever has become of the files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gitstore
from gitstore.backends.jsonl import layoutreading
from gitstore.backends.jsonl.lines import BadLine
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import StoreUnavailable
from gitstore.sync.importing import Import, ImportSummary, LayoutSource, Source, import_events
from gitstore.sync.layouts import export_layout
from tests.sync.support import event, exported, memory_store, several


@pytest.fixture
def store() -> Iterator[BaseEventStore]:
    """Twelve events in three streams, from 23:00 on into the next day."""
    with memory_store(several(12)) as opened:
        yield opened


@pytest.fixture
def where(tmp_path: Path, store: BaseEventStore) -> Path:
    """Their layout."""
    export_layout(store, tmp_path / "layout")
    return tmp_path / "layout"


@pytest.fixture
def empty() -> Iterator[BaseEventStore]:
    """Where it is imported to."""
    with gitstore.open_store("memory:") as opened:
        yield opened


def put(store: BaseEventStore, where: Path, **options: bool) -> ImportSummary:
    """Import one layout."""
    return import_events(store, [LayoutSource(where.name, where)], **options)


def ids(store: BaseEventStore) -> list[str | None]:
    """Of all events, by position."""
    return [r.event.id for r in store.read_all()]


def streams(store: BaseEventStore) -> dict[str, list[str | None]]:
    """The ids of each stream, by version."""
    return {name: [e.id for e in store.get_events(name)] for name in store.streams()}


def test_events_come_in_the_order_they_arrived(
    store: BaseEventStore, where: Path, empty: BaseEventStore
) -> None:
    """Which is neither that of the files nor that of time."""
    assert put(empty, where).imported == 12
    assert exported(empty) == exported(store)
    assert put(empty, where).known == 12


def test_versions_ascend_where_later_ones_have_earlier_days(tmp_path: Path) -> None:
    """Clocks go back; without an index, too."""
    events = [event(n, f"task-{n % 2}", hours=-30 * n) for n in range(8)]
    with memory_store(events) as store, memory_store([]) as one, memory_store([]) as two:
        export_layout(store, tmp_path / "layout")
        put(one, tmp_path / "layout")
        assert exported(one) == exported(store)
        (tmp_path / "layout/indexes/by-stream.idx").unlink()
        put(two, tmp_path / "layout")
        assert streams(two) == streams(store)


@pytest.mark.parametrize(
    "index",
    [b"", b"\0" * 100, b"1\t2\n", b"9\tt\ts@1\t../../etc/passwd\t0\n", b"x" * 20_000, None],
    ids=["empty", "zeros", "short", "elsewhere", "long", "missing"],
)
def test_an_index_is_never_trusted(
    store: BaseEventStore, where: Path, empty: BaseEventStore, index: bytes | None
) -> None:
    """Whatever it says, every line is imported, as it says itself; in order of time then."""
    (where / "indexes/by-stream.idx").unlink()
    if index is not None:
        (where / "indexes/by-stream.idx").write_bytes(index)
    assert put(empty, where).imported == 12
    assert streams(empty) == streams(store)
    times = [r.event.timestamp for r in empty.read_all()]
    assert times == sorted(times)  # type: ignore[type-var]


def test_a_stale_index_orders_what_it_lists(
    store: BaseEventStore, where: Path, empty: BaseEventStore
) -> None:
    """The rest comes after."""
    index = where / "indexes/by-stream.idx"
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:7]) + b"torn")
    put(empty, where)
    assert ids(empty)[:7] == ids(store)[:7]
    assert streams(empty) == streams(store)


@given(st.lists(st.integers(1, 40), min_size=12, max_size=12), st.integers(0, 12))
@settings(max_examples=40)
def test_no_index_can_stop_an_import(
    tmp_path_factory: pytest.TempPathFactory, positions: list[int], left: int
) -> None:
    """Law: versions ascend in each stream, whatever positions an index gives."""
    where = tmp_path_factory.mktemp("law") / "layout"
    with memory_store(several(12)) as store, memory_store([]) as empty:
        export_layout(store, where)
        index = where / "indexes/by-stream.idx"
        rows = [line.split(b"\t") for line in index.read_bytes().splitlines(keepends=True)]
        forged = [b"\t".join((b"%d" % p, *r[1:])) for p, r in zip(positions, rows, strict=True)]
        index.write_bytes(b"".join(forged[:left]))
        assert put(empty, where).imported == 12
        assert streams(empty) == streams(store)


def test_a_bad_line_is_named(where: Path, empty: BaseEventStore) -> None:
    """By file and line, with the layout's name as it was given; nothing is imported."""
    file = where / "2026-11-22/task-1.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b'{"id":\n' + lines[1])
    with pytest.raises(BadLine, match=r"^layout/2026-11-22/task-1\.jsonl:2: no JSON"):
        put(empty, where)
    assert ids(empty) == []


def test_a_damaged_middle_can_be_left_out(where: Path, empty: BaseEventStore) -> None:
    """With what hangs on it, each line listed; the other streams are whole."""
    file = where / "2026-11-22/task-1.jsonl"
    text = bytearray(file.read_bytes())
    text[5:40] = b"\0" * 35
    file.write_bytes(text)
    summary = put(empty, where, keep_going=True)
    assert summary.imported == 8
    assert {out.file for out in summary.left_out} == {
        "layout/2026-11-22/task-1.jsonl", "layout/2026-11-23/task-1.jsonl"
    }  # fmt: skip
    assert empty.stream_version("task-0") == 4


@pytest.mark.parametrize("value", ["[]", "{}", '{"streamId":7}', '{"streamId":"a","version":"1"}',
                                   '{"streamId":"a","type":"T","timestamp":"soon"}'])  # fmt: skip
def test_json_that_is_no_event_is_a_bad_line(
    where: Path, empty: BaseEventStore, value: str
) -> None:
    """Found before anything else."""
    (where / "2026-11-23/x.jsonl").write_text(value)
    with pytest.raises(BadLine, match=r"^layout/2026-11-23/x\.jsonl:1: "):
        put(empty, where)


def test_a_torn_last_line_is_told_of(where: Path, empty: BaseEventStore) -> None:
    """The exporter that was killed completes it; --keep-going leaves it out."""
    file = where / "2026-11-23/task-2.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadLine, match=r"task-2\.jsonl:3"):
        put(empty, where)
    assert put(empty, where, keep_going=True).imported == 11


def test_editors_do_no_harm(store: BaseEventStore, where: Path, empty: BaseEventStore) -> None:
    """CRLF, a byte order mark, empty lines, no line end at the end."""
    for path in where.glob("2*/*.jsonl"):
        text = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n")
        path.write_bytes(text.removesuffix(b"\r\n\r\n"))
    assert put(empty, where).imported == 12
    assert streams(empty) == streams(store)


def test_lines_say_themselves_what_they_are(
    store: BaseEventStore, where: Path, empty: BaseEventStore
) -> None:
    """In whatever file and on whatever day they stand, once or twice."""
    (where / "2026-11-22/task-0.jsonl").rename(where / "2026-11-22/zzz.jsonl")
    (where / "2026-01-01").mkdir()
    lines = [path.read_bytes() for path in sorted(where.glob("2026-11-23/*"))]
    (where / "2026-01-01/all.jsonl").write_bytes(b"".join(reversed(lines)))
    assert put(empty, where) == ImportSummary(12, 3, 0, 7, ())
    assert streams(empty) == streams(store)


def test_what_is_no_layouts_is_passed_over(where: Path, empty: BaseEventStore) -> None:
    """Hidden files, editors' copies, other folders; and no file of ours is missed for them."""
    for name in ("2026-11-22/.task-0.jsonl.swp", "2026-11-22/task-0.jsonl~", "2026-11-22/.x.jsonl",
                 "notes.txt", "2026-11-22/README"):  # fmt: skip
        (where / name).write_text("{not json")
    (where / "old").mkdir()
    (where / "old/a.jsonl").write_text("{not json")
    assert put(empty, where).imported == 12


def test_absence_is_no_deletion(store: BaseEventStore, where: Path) -> None:
    """What is in the store and not in the files stays."""
    before = exported(store)
    (where / "2026-11-23/task-1.jsonl").unlink()
    assert put(store, where).imported == 0
    assert exported(store) == before


@pytest.mark.parametrize("name", ["2026-11-22", "2026-11-22/task-0.jsonl", "indexes",
                                  "indexes/by-stream.idx"])  # fmt: skip
def test_links_are_not_followed(
    where: Path, empty: BaseEventStore, tmp_path: Path, name: str
) -> None:
    """A layout from elsewhere reads no file that is not in it."""
    (where / name).rename(tmp_path / "outside")
    (where / name).symlink_to(tmp_path / "outside")
    with pytest.raises(StoreUnavailable, match=rf"{name} is a link$"):
        put(empty, where)


def test_a_named_pipe_is_not_waited_for(where: Path, empty: BaseEventStore) -> None:
    """It is no file."""
    os.mkfifo(where / "2026-11-22/pipe.jsonl")
    with pytest.raises(StoreUnavailable, match=r"pipe\.jsonl is no file"):
        put(empty, where)


def test_names_of_files_need_not_be_text(where: Path, empty: BaseEventStore) -> None:
    """They are shown escaped, and read."""
    (where / "2026-11-22/task-0.jsonl").rename(where / "2026-11-22" / os.fsdecode(b"\xff.jsonl"))
    assert put(empty, where).imported == 12
    (where / "2026-11-22" / os.fsdecode(b"\xfe.jsonl")).write_text("{")
    with pytest.raises(BadLine, match=r"^layout/2026-11-22/\\udcfe\.jsonl:1"):
        put(empty, where)


def test_few_files_are_open_at_once(
    store: BaseEventStore, where: Path, empty: BaseEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of arrival leads from file to file and back."""
    monkeypatch.setattr(layoutreading, "_MOST_OPEN", 1)
    put(empty, where)
    assert exported(empty) == exported(store)


def test_layouts_files_and_pipes_are_one_input(
    store: BaseEventStore, where: Path, empty: BaseEventStore
) -> None:
    """In the order given."""
    for n in (20, 21):
        store.append(event(n, "task-1"))
    rest = Source("rest", io.BytesIO(exported(store, after_position=12)))
    summary = import_events(empty, [LayoutSource("layout", where), rest])
    assert (summary.imported, exported(empty)) == (14, exported(store))


def test_a_file_that_is_removed_between_the_passes_is_named(
    where: Path, empty: BaseEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded before is passed over when it is run again."""
    monkeypatch.setattr(layoutreading, "_MOST_OPEN", 1)
    with Import([LayoutSource("layout", where)]) as work:
        work.check(empty)
        (where / "2026-11-23/task-1.jsonl").unlink()
        with pytest.raises(StoreUnavailable, match=r"task-1\.jsonl was removed"):
            work.run(empty)


@pytest.mark.parametrize("text", [b"", b"{}\n" * 100])
def test_a_file_that_changes_between_the_passes_is_noticed(
    where: Path, empty: BaseEventStore, text: bytes
) -> None:
    """Nothing that was not checked is recorded."""
    with Import([LayoutSource("layout", where)]) as work:
        work.check(empty)
        (where / "2026-11-23/task-1.jsonl").write_bytes(text)
        with pytest.raises(StoreUnavailable, match=r"task-1\.jsonl was changed"):
            work.run(empty)


def test_a_growing_layout_is_imported_as_it_was(
    store: BaseEventStore, where: Path, empty: BaseEventStore
) -> None:
    """What an exporter writes meanwhile waits for the next import."""
    with Import([LayoutSource("layout", where)]) as work:
        work.check(empty)
        store.append(event(20, "task-0", hours=2))
        export_layout(store, where)
        work.run(empty)
    assert len(ids(empty)) == 12
    assert put(empty, where).imported == 1


def test_lines_may_leave_versions_and_times_to_the_store(
    where: Path, empty: BaseEventStore
) -> None:
    """They come last in their stream, in the order in which they stand."""
    file = where / "2026-11-22/task-0.jsonl"
    bare = [f'{{"id":"new-{n}","streamId":"task-0","type":"T"}}\n' for n in range(2)]
    file.write_bytes(bare[0].encode() + file.read_bytes() + bare[1].encode())
    assert put(empty, where).imported == 14
    assert streams(empty)["task-0"][-2:] == ["new-0", "new-1"]
