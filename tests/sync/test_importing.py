"""Import: all or nothing, never twice, in any store."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gitstore
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.jsonl.lines import BadLine
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import StoreUnavailable, WrongExpectedVersion
from gitstore.core.event import DomainEvent
from gitstore.sync.importing import (
    HistoriesDisagree,
    Import,
    ImportSummary,
    LeftOut,
    Source,
    import_events,
)


@pytest.fixture(params=["memory", "git"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseEventStore]:
    """Each kind of store; a git store is verified at the end."""
    where = "memory:" if request.param == "memory" else tmp_path / "events.git"
    with gitstore.open_store(where) as opened:
        yield opened
        if isinstance(opened, GitEventStore):
            assert opened.verify().ok


@pytest.fixture
def memory() -> Iterator[BaseEventStore]:
    """The reference store, where the kind makes no difference."""
    with gitstore.open_store("memory:") as opened:
        yield opened


def line(stream: str, version: int | None, event_id: str | None = None, **more: Any) -> str:
    """One line of a file."""
    given = {"streamId": stream, "type": "Noted", "timestamp": "2026-01-02T03:04:05.678Z", **more}
    if version is not None:
        given["version"] = version
    if event_id is not None:
        given["id"] = event_id
    return json.dumps(given)


def source(*lines: str, name: str = "f") -> Source:
    """A file of these lines."""
    return Source(name, io.BytesIO("".join(x + "\n" for x in lines).encode()))


def put(store: BaseEventStore, *lines: str, **options: Any) -> ImportSummary:
    """Import these lines."""
    return import_events(store, [source(*lines)], **options)


def events(store: BaseEventStore) -> list[tuple[str, int, str | None]]:
    """Stream, version and id of each event, by position."""
    return [(r.stream_id, r.version, r.event.id) for r in store.read_all()]


ABC = (line("a", 1, "x"), line("b", 1, "y"), line("a", 2, "z"))


def test_events_arrive_in_file_order_with_all_they_carry(store: BaseEventStore) -> None:
    """Id, version, time, data and metadata are the file's; the position is the store's."""
    rich = line("a", 1, "x", data={"n": [1, 2.5, None]}, metadata={"userId": "u", "traceId": "t"})
    summary = put(store, rich, *ABC[1:])
    assert summary == ImportSummary(imported=3, streams=2, known=0, duplicates=0, left_out=())
    assert events(store) == [("a", 1, "x"), ("b", 1, "y"), ("a", 2, "z")]
    first = next(store.read_all()).event
    assert first == DomainEvent.from_json(rich)
    assert first.timestamp == datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)


def test_importing_again_adds_nothing(store: BaseEventStore) -> None:
    """Whether all, the first, or the last of the events are there already."""
    put(store, *ABC[:1])
    assert (put(store, *ABC).imported, put(store, *ABC).imported) == (2, 0)
    assert put(store, *ABC[1:]).known == 2
    assert len(events(store)) == 3


def test_known_events_in_the_middle_of_a_chunk_are_passed_over(store: BaseEventStore) -> None:
    """A file that brings new streams between those that are there."""
    put(store, line("b", 1, "y"))
    summary = put(store, *ABC)
    assert (summary.imported, summary.known, summary.streams) == (2, 1, 1)
    assert sorted(events(store)) == [("a", 1, "x"), ("a", 2, "z"), ("b", 1, "y")]


def test_a_large_store_is_asked_for_ids_instead_of_read(store: BaseEventStore) -> None:
    """The answer is the same where the input is small beside the store."""
    put(store, *(line("big", n, f"i{n}") for n in range(1, 41)))
    summary = put(store, line("big", 40, "i40"), line("big", 41, "i41"))
    assert (summary.imported, summary.known) == (1, 1)


def test_chunks_make_no_difference(memory: BaseEventStore, tmp_path: Path) -> None:
    """The same commits, whatever the length of the batches."""
    lines = [line(f"s{n % 3}", n // 3 + 1, f"i{n}") for n in range(20)]
    heads = []
    for chunk in (1, 7, 1000):
        with gitstore.open_store(tmp_path / f"{chunk}.git") as store:
            with Import([source(*lines)]) as work:
                work.check(store)
                work.run(store, chunk)
            heads.append([r.commit for r in store.read_all()])
    assert heads[0] == heads[1] == heads[2]


def test_long_lines_make_shorter_chunks(memory: BaseEventStore) -> None:
    """Large data is appended before it fills the memory."""
    given = [line("a", n, f"i{n}", data="x" * 3_000_000) for n in range(1, 8)]
    seen: list[int] = []
    with Import([source(*given)], progress=lambda what, done, _: seen.append(done)) as work:
        work.check(memory)
        seen.clear()
        work.run(memory)
    assert seen == [2, 4, 6, 7]


def test_a_bad_line_stops_all(store: BaseEventStore) -> None:
    """Its file and line are named, and nothing of the import is recorded."""
    with pytest.raises(BadLine, match=r"^f:3: no JSON"):
        put(store, *ABC[:2], "{oops")
    assert events(store) == []


def test_what_json_reads_but_no_event_can_hold_is_a_bad_line(memory: BaseEventStore) -> None:
    """Nesting beyond what can be written again is found in the first pass."""
    with pytest.raises(BadLine, match=r"^f:2: "):
        put(
            memory,
            ABC[0],
            line("a", 2, "z").replace("}", ', "data": ' + "[" * 300 + "]" * 300 + "}"),
        )
    with pytest.raises(BadLine, match=r"^f:1: metadata has"):
        put(memory, line("a", 1, "x", metadata={"k": "v" * 70_000}))
    assert events(memory) == []


def test_keep_going_leaves_out_bad_lines_and_what_hangs_on_them(store: BaseEventStore) -> None:
    """Each is listed with file, line and reason; no event gets a version it did not have."""
    summary = put(
        store, ABC[0], "{oops", ABC[1], line("a", 3, "later"), line("a", 2, "z"), keep_going=True
    )
    assert summary.imported == 3
    assert [(out.file, out.line) for out in summary.left_out] == [("f", 2), ("f", 4)]
    assert summary.left_out[1].reason == "a@3 comes after a@1 (f:1), so version 2 is missing"
    assert events(store) == [("a", 1, "x"), ("b", 1, "y"), ("a", 2, "z")]


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ((1, 3), r"^f:2: a@3 comes after a@1 \(f:1\), so version 2 is missing"),
        ((1, 5), r"^f:2: a@5 comes after a@1 \(f:1\), so versions 2 to 4 are missing"),
        ((1, 2, 2), r"^f:3: a@2 comes after a@2 \(f:2\), so one version stands twice"),
        ((1, 2, 1), r"^f:3: a@1 comes after a@2 \(f:2\), so versions go backwards"),
        ((2, 1), r"^f:1: a@2 comes before a@1 \(f:2\), so versions go backwards"),
    ],
)
def test_wrong_numbers_name_both_lines(
    memory: BaseEventStore, versions: tuple[int, ...], message: str
) -> None:
    """A gap, a repeat, a step backwards; the hint is --renumber."""
    with pytest.raises(BadLine, match=message) as caught:
        put(memory, *(line("a", v, f"i{n}") for n, v in enumerate(versions)))
    assert "--renumber" in caught.value.hint
    assert events(memory) == []


def test_both_lines_are_named_across_files(memory: BaseEventStore) -> None:
    """Two files are one input, in the order they are given."""
    sources = [source(line("a", 1, "x"), name="one"), source(line("a", 3, "y"), name="two")]
    with pytest.raises(BadLine, match=r"^two:1: a@3 comes after a@1 \(one:1\)"):
        import_events(memory, sources)


def test_renumber_appends_in_file_order(store: BaseEventStore) -> None:
    """With new versions; the original one stays in metadata, where it differs."""
    given = [line("a", v, f"i{n}", metadata={"userId": "u"}) for n, v in enumerate((1, 3, 3, 2))]
    assert put(store, *given, renumber=True).imported == 4
    assert [(r.version, dict(r.event.metadata)) for r in store.read_all()] == [
        (1, {"userId": "u"}),
        (2, {"userId": "u", "originalVersion": 3}),
        (3, {"userId": "u"}),
        (4, {"userId": "u", "originalVersion": 2}),
    ]


@pytest.mark.parametrize("renumber", [True, False])
def test_renumbered_events_are_known_again(store: BaseEventStore, renumber: bool) -> None:
    """Importing the same file adds nothing, with and without the flag."""
    given = [line("a", v, f"i{n}") for n, v in enumerate((1, 3, 7))]
    put(store, *given, renumber=True)
    summary = put(store, *given, renumber=renumber)
    assert (summary.imported, summary.known) == (0, 3)


def test_renumbered_events_travel_on(store: BaseEventStore) -> None:
    """What was renumbered once is imported elsewhere as it is, with its original version."""
    put(store, line("a", 1, "x"), line("a", 5, "y"), renumber=True)
    exported = [r.event.to_json().decode() for r in store.read_all()]
    with gitstore.open_store("memory:") as other:
        put(other, *exported)
        assert [r.event for r in other.read_all()] == [r.event for r in store.read_all()]


def test_renumber_continues_a_stream(memory: BaseEventStore) -> None:
    """Events of another origin are appended after what is there."""
    put(memory, line("a", 1, "here"))
    put(memory, line("a", 1, "there"), renumber=True)
    assert events(memory) == [("a", 1, "here"), ("a", 2, "there")]


def test_a_stream_that_went_elsewhere_is_a_disagreement(store: BaseEventStore) -> None:
    """An unknown id at a version the store has given to another event."""
    put(store, line("a", 1, "x"), line("a", 2, "mine"))
    with pytest.raises(HistoriesDisagree, match=r"^f:2: a@2 ") as caught:
        put(store, line("a", 1, "x"), line("a", 2, "theirs"))
    error = caught.value
    assert isinstance(error, WrongExpectedVersion)
    assert (error.stream_id, error.expected, error.actual) == ("a", 1, 2)
    assert (error.file, error.line) == ("f", 2)
    assert len(events(store)) == 2


def test_a_history_whose_beginning_is_missing_is_a_disagreement(store: BaseEventStore) -> None:
    """Version 5 cannot be the first."""
    with pytest.raises(HistoriesDisagree) as caught:
        put(store, line("a", 5, "x"), line("a", 6, "y"))
    assert (caught.value.expected, caught.value.actual) == (4, 0)


def test_a_part_of_a_history_continues_it(store: BaseEventStore) -> None:
    """A file may begin where the store ends."""
    put(store, line("a", 1, "x"))
    assert put(store, line("a", 2, "y")).imported == 1


def test_a_line_given_twice_counts_once(store: BaseEventStore) -> None:
    """Same id and content: the second is a duplicate, no error."""
    summary = put(store, *ABC, *ABC)
    assert (summary.imported, summary.duplicates) == (3, 3)


def test_an_id_with_two_contents_names_both_lines(memory: BaseEventStore) -> None:
    """Whatever differs: stream, type, time, version, data or metadata."""
    for other in (
        line("b", 1, "x"),
        line("a", 2, "x"),
        line("a", 1, "x", type="Other"),
        line("a", 1, "x", data=1),
        line("a", 1, "x", metadata={"k": 1}),
        line("a", 1, "x", timestamp="2026-01-02T03:04:06.000Z"),
    ):
        with pytest.raises(BadLine, match=r"^f:2: event id 'x' .* in f:1"):
            put(memory, line("a", 1, "x"), other)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (line("b", 1, "x"), "another stream"),
        (line("a", 2, "x"), "another version"),
        (line("a", 1, "x", type="Other"), "another type, other data or other metadata"),
        (line("a", 1, "x", timestamp="2026-01-02T03:04:06.000Z"), "another timestamp"),
    ],
)
def test_an_id_the_store_has_for_something_else(
    store: BaseEventStore, other: str, differs: str
) -> None:
    """The line is named, where the event is recorded, and what differs."""
    put(store, line("a", 1, "x"))
    with pytest.raises(BadLine, match=rf"^f:1: event id 'x' is recorded as a@1 with {differs}"):
        put(store, other)


def test_equal_values_are_compared_as_json(memory: BaseEventStore) -> None:
    """The order of keys and the offset of a time are no differences, 1 and 1.0 are."""
    put(memory, line("a", 1, "x", data={"k": 1, "j": 2}))
    same = line("a", 1, "x", data={"j": 2, "k": 1}, timestamp="2026-01-02T04:04:05.678+01:00")
    assert put(memory, same).known == 1
    with pytest.raises(BadLine):
        put(memory, line("a", 1, "x", data={"j": 2, "k": 1.0}))


def test_versions_may_be_left_to_the_store(store: BaseEventStore) -> None:
    """Lines without a version are appended in file order; importing again adds nothing."""
    given = [line("a", None, "x"), line("a", None, "y"), line("a", 3, "z")]
    put(store, *given)
    assert events(store) == [("a", 1, "x"), ("a", 2, "y"), ("a", 3, "z")]
    assert put(store, *given).known == 3


def test_lines_without_id_are_known_again(store: BaseEventStore) -> None:
    """Their ids come from what they say, so importing again adds nothing; twins are two events."""
    given = [line("a", None), line("a", None), line("b", 1)]
    assert put(store, *given).imported == 3
    assert (put(store, *given).imported, put(store, *given, line("a", None)).imported) == (0, 1)
    assert [e[:2] for e in events(store)] == [("a", 1), ("a", 2), ("b", 1), ("a", 3)]


def test_lines_without_a_time_get_the_present_one(store: BaseEventStore) -> None:
    """And are known again later all the same."""
    bare = '{"streamId":"a","type":"T"}'
    before = datetime.now(UTC).replace(microsecond=0)
    put(store, bare)
    recorded = next(store.read_all()).event.timestamp
    assert recorded is not None
    assert recorded >= before
    assert put(store, bare).known == 1


def test_nothing_is_recorded_by_checking(store: BaseEventStore) -> None:
    """``check`` alone is a dry run, with the summary of the real one."""
    with Import([source(*ABC)]) as work:
        summary = work.check(store)
    assert (summary.imported, summary.streams, events(store)) == (3, 2, [])


def test_an_import_that_was_cut_off_is_finished_by_another(store: BaseEventStore) -> None:
    """A crash in the second pass leaves whole chunks, which are known the next time."""
    with Import([source(*ABC)]) as work:
        work.check(store)
        planned = work._planned_events()
        store.append_many([next(planned)[0], next(planned)[0]])
    summary = put(store, *ABC)
    assert (summary.imported, summary.known) == (1, 2)


def test_two_imports_at_once_do_not_disturb_each_other(store: BaseEventStore) -> None:
    """What another process recorded after the check is passed over."""
    with Import([source(*ABC)]) as work:
        work.check(store)
        put(store, *ABC[:2])
        work.run(store)
    assert sorted(events(store)) == [("a", 1, "x"), ("a", 2, "z"), ("b", 1, "y")]


def test_a_stream_that_grew_after_the_check_is_not_forked(store: BaseEventStore) -> None:
    """The append itself checks the versions again."""
    with Import([source(*ABC)]) as work:
        work.check(store)
        store.append(DomainEvent("a", "Other"))
        with pytest.raises(WrongExpectedVersion):
            work.run(store)


def test_a_file_that_changes_meanwhile_is_noticed(memory: BaseEventStore, tmp_path: Path) -> None:
    """Nothing that was not checked is recorded."""
    file = tmp_path / "f.jsonl"
    file.write_text("\n".join(ABC))
    with file.open("rb") as stream, Import([Source("f", stream)]) as work:
        work.check(memory)
        file.write_text("\n".join(reversed(ABC)))
        with pytest.raises(StoreUnavailable, match="changed"):
            work.run(memory)


def test_a_file_that_grows_meanwhile_is_imported_as_it_was(
    memory: BaseEventStore, tmp_path: Path
) -> None:
    """What a logger appends during the import waits for the next one."""
    file = tmp_path / "f.jsonl"
    file.write_text("".join(x + "\n" for x in ABC[:2]))
    with file.open("rb") as stream, Import([Source("f", stream)]) as work:
        work.check(memory)
        with file.open("a") as log:
            log.write(ABC[2])
        work.run(memory)
    assert len(events(memory)) == 2


def test_reading_begins_where_the_stream_stands(memory: BaseEventStore) -> None:
    """What the caller has read before is not imported, in either pass."""
    stream = source("a header", *ABC).stream
    stream.readline()
    import_events(memory, [Source("rest", stream)])
    assert events(memory) == [("a", 1, "x"), ("b", 1, "y"), ("a", 2, "z")]


def test_no_lines_no_events(store: BaseEventStore) -> None:
    """An empty input, and one of empty lines, is imported without complaint."""
    assert put(store, "", "") == ImportSummary(0, 0, 0, 0, ())


def test_names_of_files_need_not_be_text(memory: BaseEventStore) -> None:
    """A name with bytes that are no UTF-8 is shown escaped."""
    with pytest.raises(BadLine, match=r"^\\udcff:1"):
        import_events(memory, [source("{", name="\udcff")])


def test_left_out_lines_are_listed_in_the_order_of_the_input(memory: BaseEventStore) -> None:
    """Whatever pass found them."""
    summary = put(memory, line("z", 2, "x"), "{", line("a", 2, "y"), keep_going=True)
    assert [out.line for out in summary.left_out] == [1, 2, 3]
    assert all(isinstance(out, LeftOut) for out in summary.left_out)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=12), st.randoms())
def test_renumbering_accepts_any_numbers_and_loses_none(
    numbers: list[tuple[str, int]], random: Any
) -> None:
    """Law: every line is recorded once, streams in file order, originals where they differ."""
    given = [line(stream, version, f"i{n}") for n, (stream, version) in enumerate(numbers)]
    with gitstore.open_store("memory:") as store:
        assert put(store, *given, renumber=True).imported == len(given)
        assert put(store, *given, renumber=True).known == len(given)
        found = [
            (r.stream_id, r.event.metadata.get("originalVersion", r.version))
            for r in store.read_all()
        ]
    assert found == numbers


@given(st.permutations(range(9)))
def test_the_order_of_files_is_the_only_order(order: list[int]) -> None:
    """Law: whole streams in any order of files give the same streams."""
    files = [source(*(line(f"s{n}", v, f"{n}-{v}") for v in (1, 2)), name=f"f{n}") for n in order]
    with gitstore.open_store("memory:") as store:
        import_events(store, files)
        assert all(store.stream_version(f"s{n}") == 2 for n in range(9))


def test_memory_does_not_grow_with_the_input(memory: BaseEventStore) -> None:
    """Ids and versions are kept on disk: ten times the lines cost no more."""
    peaks = []
    for count in (500, 5_000):
        given = source(*(line("a", n, f"id-{n:050}") for n in range(1, count + 1)))
        tracemalloc.start()
        with Import([given]) as work:
            work.check(memory)
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A set of 5,000 such ids alone has 800 kB.
    assert peaks[1] - peaks[0] < 100_000
