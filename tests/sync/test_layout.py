"""The file layout: where lines stand, what the indexes say, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gitstore
from gitstore.backends.jsonl import filing
from gitstore.backends.jsonl.appending import append_lines
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import is_day, parse_index_line
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import StoreCorrupted, StoreUnavailable, UnsupportedFormat
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.sync import copying
from gitstore.sync.copying import StoresDiffer
from gitstore.sync.exporting import ExportSummary
from gitstore.sync.layouts import export_layout
from tests.sync.support import START, event, exported, lines_of, memory_store, several, tree


@pytest.fixture
def store() -> Iterator[BaseEventStore]:
    """Twelve events in three streams, from 23:00 on into the next day."""
    with memory_store(several(12)) as opened:
        yield opened


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Where the layout is to be."""
    return tmp_path / "layout"


def test_lines_stand_in_the_file_of_their_day_and_stream(
    store: BaseEventStore, where: Path
) -> None:
    """The UTC day of the event; all lines together are those of an export."""
    assert export_layout(store, where) == ExportSummary(12, 12)
    files = tree(where)
    data = [name for name in files if name.endswith(".jsonl")]
    assert data == [
        f"2026-11-{day}/task-{n}.jsonl" for day in (22, 23) for n in range(3)
    ]  # fmt: skip
    lines = [line for name in data for line in files[name].splitlines(keepends=True)]
    assert sorted(lines) == sorted(exported(store).splitlines(keepends=True))


def test_an_index_leads_to_every_line(store: BaseEventStore, where: Path) -> None:
    """Position, time, stream@version, file and offset, in order of position."""
    export_layout(store, where)
    recorded = {r.position: r for r in store.read_all()}
    by_stream = (where / "indexes/by-stream.idx").read_text()
    positions = []
    for line in by_stream.splitlines():
        position, time, name, file, offset = line.split("\t")
        with (where / file).open("rb") as data:
            data.seek(int(offset))
            found = json.loads(data.readline())
        event = recorded[int(position)].event
        assert found["id"] == event.id
        assert (time, name) == (found["timestamp"], f"{event.stream_id}@{event.version}")
        positions.append(int(position))
    assert positions == sorted(recorded)
    by_type = "".join(
        (where / f"indexes/by-type/{kind}.idx").read_text() for kind in ("Noted", "Moved")
    )
    assert sorted(by_type.splitlines()) == sorted(by_stream.splitlines())


def test_only_what_is_new_is_written(store: BaseEventStore, where: Path) -> None:
    """A second run writes nothing; files that are there only grow."""
    export_layout(store, where)
    before = tree(where)
    assert export_layout(store, where) == ExportSummary(0, 12)
    assert tree(where) == before
    before = lines_of(where)
    store.append(event(99, "task-1", hours=2))
    assert export_layout(store, where) == ExportSummary(1, 13)
    after = lines_of(where)
    assert all(after[name].startswith(text) for name, text in before.items())


def test_what_was_proved_is_not_read_again(
    store: BaseEventStore, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run begins where the one before ended."""
    export_layout(store, where)
    store.append(event(99, "task-1", hours=2))
    read = []

    def counted(*arguments: object, **filters: object) -> Iterator[RecordedEvent]:
        for recorded in type(store).read_all(store, *arguments, **filters):
            read.append(recorded.position)
            yield recorded

    monkeypatch.setattr(store, "read_all", counted)
    assert export_layout(store, where) == ExportSummary(1, 13)
    assert set(read) == {12, 13}


def test_files_are_private(store: BaseEventStore, where: Path) -> None:
    """0600 and 0700, whatever the umask."""
    before = os.umask(0)
    try:
        export_layout(store, where)
    finally:
        os.umask(before)
    for path in [where, *where.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


HOSTILE = [
    "../../x", "a/b", ".", "..", "/etc/passwd", "a\\b", "-rf", "x" * 900, "ü" * 90, "CON",
    "task-a", "task-A", "a\u00a0b", "a%2Fb", "%h", ".hidden", "a.lock", "~root", "$HOME", "a@3",
]  # fmt: skip


def test_no_stream_or_type_leads_out_of_the_directory(tmp_path: Path) -> None:
    """Names are one component of a path, reversible or hashed; each stream has its own file."""
    names = [name for name in HOSTILE if name not in {"a\u00a0b"}]
    events = [event(n, name, name[:200].replace(" ", "")) for n, name in enumerate(names)]
    inside = tmp_path / "a" / "b" / "layout"
    with memory_store(events) as store:
        export_layout(store, inside)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    day = inside / "2026-11-22"
    assert len(list(day.iterdir())) == len(names)
    assert len(list((inside / "indexes/by-type").iterdir())) == len(names)
    streams = {json.loads(path.read_text())["streamId"] for path in day.iterdir()}
    assert streams == set(names)


def test_years_have_four_digits(tmp_path: Path, where: Path) -> None:
    """From 0001 to 9999."""
    first = DomainEvent("a", "T", timestamp=START.replace(year=1))
    last = DomainEvent("a", "T", timestamp=START.replace(year=9999))
    with memory_store([first, last]) as store:
        export_layout(store, where)
    assert sorted(path.name for path in where.iterdir()) == ["0001-11-22", "9999-11-22", "indexes"]


def test_filters_hold_for_the_life_of_a_layout(store: BaseEventStore, where: Path) -> None:
    """Other filters are refused; the same ones, in any order, go on."""
    wanted = ["Noted", "Moved"]
    export_layout(store, where, types=wanted, since=START, after_position=3)
    again = export_layout(store, where, types=wanted[::-1], since=START, after_position=3)
    assert again == ExportSummary(0, 12)
    for other in ({}, {"types": "Noted"}, {"types": wanted, "since": START}):
        with pytest.raises(StoreUnavailable, match="other filters") as caught:
            export_layout(store, where, **other)
        assert "directory of its own" in caught.value.hint


def test_what_is_not_wanted_is_not_read_again(store: BaseEventStore, where: Path) -> None:
    """The layout goes as far as the store, also where the last events are left out."""
    assert export_layout(store, where, streams="task-0") == ExportSummary(4, 12)
    state = json.loads((where / "indexes/state.json").read_text())
    assert state["source"]["position"] == 12
    assert state["part"] == {"streams": ["task-0"]}


def test_a_layout_of_another_store_is_refused(store: BaseEventStore, where: Path) -> None:
    """Where it says otherwise, also where it has all the events; nothing is changed."""
    export_layout(store, where)
    before = tree(where)
    with memory_store([event(50), *several(12)]) as other:
        with pytest.raises(StoresDiffer, match="differ after position 0") as caught:
            export_layout(other, where)
        assert "directory of its own" in caught.value.hint
    with memory_store(several(3)) as other, pytest.raises(StoresDiffer, match="has not"):
        export_layout(other, where)
    assert tree(where) == before


def test_an_older_copy_of_the_store_is_refused(tmp_path: Path, where: Path) -> None:
    """Its next events would not be those the layout has."""
    with gitstore.open_store(tmp_path / "events.git") as store:
        store.append(event(1))
    shutil.copytree(tmp_path / "events.git", tmp_path / "backup.git")
    with gitstore.open_store(tmp_path / "events.git") as store:
        store.append(event(2))
        export_layout(store, where)
    state = where / "indexes/state.json"
    with gitstore.open_store(tmp_path / "backup.git") as backup:
        given = json.loads(state.read_text())
        given["source"]["storeId"] = backup.store_id
        state.write_text(json.dumps(given))
        with pytest.raises(StoresDiffer, match=r"the target has task-1@2 .* the source has not"):
            export_layout(backup, where)
        backup.append(event(3))
        with pytest.raises(StoresDiffer, match="the source goes on with"):
            export_layout(backup, where)


def test_a_directory_with_something_else_is_refused(store: BaseEventStore, where: Path) -> None:
    """And left as it is; an empty one is as good as none."""
    where.mkdir()
    (where / "mine").write_text("mine")
    with pytest.raises(StoreUnavailable, match="holds something that is no event store") as caught:
        export_layout(store, where)
    assert "import" in caught.value.hint
    assert tree(where) == {"mine": b"mine"}
    (where / "mine").unlink()
    (where / "indexes").mkdir()
    (where / "indexes/mine").write_text("mine")
    with pytest.raises(StoreUnavailable, match="holds something that is no event store"):
        export_layout(store, where)
    assert tree(where) == {"indexes/mine": b"mine"}
    shutil.rmtree(where / "indexes")
    assert export_layout(store, where).events == 12


def test_a_layout_whose_making_was_cut_off_is_begun_again(
    store: BaseEventStore, where: Path
) -> None:
    """Before its state was written there is nothing but the lock."""
    (where / "indexes").mkdir(parents=True)
    (where / "indexes/.lock").touch()
    (where / "indexes/.state.json.new").write_text("{")
    assert export_layout(store, where).events == 12
    assert not (where / "indexes/.state.json.new").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"layout": 2}', '{"layout":2,"source":7}'])
def test_a_damaged_state_is_no_reason_to_write_everything_again(
    store: BaseEventStore, where: Path, text: str
) -> None:
    """It is put back from the index; where that is gone too, it is an error."""
    export_layout(store, where)
    before = lines_of(where)
    (where / "indexes/state.json").write_text(text)
    assert export_layout(store, where) == ExportSummary(0, 12)
    assert lines_of(where) == before
    (where / "indexes/state.json").write_text(text)
    for path in where.glob("indexes/index.db*"):
        path.unlink()
    with pytest.raises(StoreCorrupted, match=r"state\.json is damaged"):
        export_layout(store, where)


def test_a_layout_with_events_of_its_own_is_not_written_to(
    store: BaseEventStore, where: Path
) -> None:
    """It is a store that anybody may append to; then the histories differ."""
    export_layout(store, where)
    with gitstore.open_store(f"jsonl:{where}") as opened:
        opened.append(event(99))
    before = lines_of(where)
    with pytest.raises(StoresDiffer, match=r"the target has task-1@5 \(id id-99\)"):
        export_layout(store, where)
    store.append(event(98, "task-0"))
    with pytest.raises(StoresDiffer, match="the source goes on with"):
        export_layout(store, where)
    assert lines_of(where) == before


FORMER = Path(__file__).parents[1] / "backends/jsonl/former"


def test_a_layout_of_a_former_version_goes_on(tmp_path: Path, where: Path) -> None:
    """What it has is compared, and only what is new is written."""
    shutil.copytree(FORMER, where)
    with gitstore.open_store(f"jsonl:{shutil.copytree(FORMER, tmp_path / 'read')}") as given:
        events = [recorded.event for recorded in given.read_all()]
    with memory_store([*events, event(99)]) as source:
        assert export_layout(source, where).events == 1
        export_layout(source, where.with_name("whole"))
    assert lines_of(where) == lines_of(where.with_name("whole"))


def test_a_former_layout_that_is_half_of_two_is_refused(store: BaseEventStore, where: Path) -> None:
    """It was killed while it replaced the files of one by those of the other."""
    shutil.copytree(FORMER, where)
    state = where / "indexes/state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "replacing": True}))
    with pytest.raises(StoreUnavailable, match="killed while") as caught:
        export_layout(store, where)
    assert "remove this layout" in caught.value.hint


def test_a_store_is_not_exported_into_itself(where: Path) -> None:
    """It has all of that already."""
    with gitstore.open_store(f"jsonl:{where}") as opened:
        opened.append(event(1))
        with pytest.raises(StoreUnavailable, match="is the store itself"):
            export_layout(opened, where)


def test_a_newer_layout_is_not_touched(store: BaseEventStore, where: Path) -> None:
    """Its form is unknown."""
    export_layout(store, where)
    (where / "indexes/state.json").write_text('{"layout":3}')
    with pytest.raises(UnsupportedFormat):
        export_layout(store, where)


@pytest.mark.parametrize(
    "name",
    [
        "2026-11-22", "2026-11-22/task-0.jsonl", "indexes", "indexes/by-type",
        "indexes/by-type/Noted.idx", "indexes/by-stream.idx", "indexes/.lock",
    ],
)  # fmt: skip
def test_links_are_not_followed(
    store: BaseEventStore, where: Path, tmp_path: Path, name: str
) -> None:
    """Whatever is a link in a layout, what it leads to stays as it was, and the error names it."""
    export_layout(store, where)
    outside = tmp_path / "outside"
    (where / name).rename(outside)
    (where / name).symlink_to(outside)
    before = tree(tmp_path / "outside") if outside.is_dir() else outside.read_bytes()
    for n in range(20, 24):
        store.append(event(n, f"task-{n % 3}"))
    with pytest.raises(StoreUnavailable, match=rf"{name} is a link$") as caught:
        export_layout(store, where)
    assert "never followed" in caught.value.hint
    assert (tree(outside) if outside.is_dir() else outside.read_bytes()) == before


def test_a_link_in_place_of_the_state_is_refused(
    store: BaseEventStore, where: Path, tmp_path: Path
) -> None:
    """It is not read through."""
    export_layout(store, where)
    (where / "indexes/state.json").rename(tmp_path / "state")
    (where / "indexes/state.json").symlink_to(tmp_path / "state")
    with pytest.raises(StoreUnavailable, match="is a link"):
        export_layout(store, where)


@pytest.mark.parametrize("name", ["2026-11-22/task-0.jsonl", "indexes/by-stream.idx"])
def test_odd_files_are_not_waited_for(store: BaseEventStore, where: Path, name: str) -> None:
    """A named pipe has no end to append to; a directory is no file."""
    export_layout(store, where)
    store.append(event(20, "task-0"))
    (where / name).unlink()
    os.mkfifo(where / name)
    with pytest.raises(StoreUnavailable, match=rf"{name} is no file"):
        export_layout(store, where)
    (where / name).unlink()
    (where / name).mkdir()
    with pytest.raises(StoreUnavailable, match=rf"{name} is no file"):
        export_layout(store, where)


def test_an_error_in_the_middle_is_made_up_for(store: BaseEventStore, where: Path) -> None:
    """What was in the way is removed, and the layout is what it would have been."""
    export_layout(store, where)
    store.append(event(20, "task-0"))
    store.append(event(21, "task-1"))
    (where / "indexes/by-stream.idx").rename(where / "aside")
    (where / "indexes/by-stream.idx").mkdir()
    with pytest.raises(StoreUnavailable):
        export_layout(store, where)
    (where / "indexes/by-stream.idx").rmdir()
    (where / "aside").rename(where / "indexes/by-stream.idx")
    export_layout(store, where)
    export_layout(store, where.with_name("whole"))
    assert lines_of(where) == lines_of(where.with_name("whole"))


def test_what_others_wrote_is_kept(store: BaseEventStore, where: Path) -> None:
    """A line of theirs without its end gets one; the index leads past it."""
    export_layout(store, where)
    file = where / "2026-11-22/task-0.jsonl"
    file.write_bytes(file.read_bytes() + b"theirs")
    before = file.read_bytes()
    store.append(event(20, "task-0"))
    export_layout(store, where)
    line = exported(store, after_position=12)
    assert file.read_bytes() == before + b"\n" + line
    entry = parse_index_line(
        (where / "indexes/by-stream.idx").read_bytes().split(b"\n")[-2] + b"\n"
    )
    assert entry is not None
    assert file.read_bytes()[entry.offset :] == line


LINES = [b'{"id":"a"}\n', b'{"id":"bb"}\n', b'{"id":"ab"}\n']


@given(
    st.binary(max_size=8),
    st.integers(0, sum(map(len, LINES))),
    st.sampled_from([b"", b"\n", b"\ntheirs\n", b"\ntheirs", b"\n{"]),
)
def test_appending_again_adds_what_is_missing(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, cut: int, theirs: bytes
) -> None:
    """Law: after any part of our lines, and lines of others, each of ours stands there once."""
    file = tmp_path_factory.mktemp("append") / "f"
    own = b"".join(LINES)[:cut]
    gap = b"\n" if cut and before and not before.endswith(b"\n") else b""
    written = before + gap + own + theirs
    file.write_bytes(written)
    with Folder.at(file.parent) as folder:
        descriptor, _ = folder.open_to_append("f")
        offsets = append_lines(descriptor, LINES, len(before))
        again = append_lines(descriptor, LINES, len(before))
        os.close(descriptor)
    found = file.read_bytes()
    assert found.startswith(written)
    assert again == offsets
    for line, offset in zip(LINES, offsets, strict=True):
        assert found[offset:].startswith(line)
        assert offset == 0 or found[offset - 1 : offset] == b"\n"
        assert found[len(before) :].splitlines(keepends=True).count(line) == 1
    if not theirs:
        assert found == before + (gap or (b"\n" if before[-1:] not in (b"", b"\n") else b"")) + (
            b"".join(LINES)
        )


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_batches_make_no_difference(
    store: BaseEventStore, where: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Nor does it how files are made durable."""
    export_layout(store, where)
    monkeypatch.setattr(copying, "CHUNK", batch)
    monkeypatch.setattr(filing, "_FEW", 4)
    export_layout(store, where.with_name("other"))
    assert lines_of(where) == lines_of(where.with_name("other"))


@pytest.mark.parametrize("name", ["2026-11-23", "0001-01-01"])
def test_days_are_folders_of_events(name: str) -> None:
    """Of the calendar, in ASCII digits."""
    assert is_day(name)


@pytest.mark.parametrize(
    "name", ["2026-02-30", "2026-11-2", "indexes", "12026-11-23", "２０２６-11-23", ".2026-11-23"]
)
def test_other_names_are_none(name: str) -> None:
    """They are passed over by who reads a layout."""
    assert not is_day(name)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"1\tt\ts@1\tf\t0",
        b"x\tt\ts@1\tf\t0\n",
        b"1\tt\ts@1\tf\n",
        b"9" * 19 + b"\tt\ts\tf\t0\n",
    ],
)
def test_a_damaged_index_line_says_nothing(line: bytes) -> None:
    """Torn, too short, no number, a number that is none of ours."""
    assert parse_index_line(line) is None
