"""Files of a layout that are lost, cut, edited or exchanged: mended, taken in, or named by line."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitstore import DomainEvent, EventStoreError, RecordedEvent, open_store
from gitstore.core.findings import VerifyReport
from tests.backends.survival.witness import (
    Ack,
    address,
    assert_sound,
    assert_whole,
    filled,
    path_of,
    promise,
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What is mended on the way is told as a warning, which is not looked at here."""
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
def where(place: Path) -> str:
    """The address of a layout that is not there yet."""
    return address("jsonl", place)


def data_file(where: str, stream: str = "task-0") -> Path:
    """The one data file of a stream."""
    return next(path_of(where).glob(f"2*/{stream}.jsonl"))


def line_of(where: str, stream: str, **changes: object) -> bytes:
    """A whole line that another program may append to a stream's file: its next event."""
    with open_store(where, create=False) as store:
        version = store.stream_version(stream) + 1
    given = {
        "id": f"foreign-{stream}-{version}",
        "streamId": stream,
        "type": "Foreign",
        "version": version,
        "timestamp": f"{data_file(where, stream).parent.name}T23:59:58.000Z",
        "data": {"by": "another"},
        "metadata": {},
    }
    return json.dumps(given | changes, separators=(",", ":")).encode() + b"\n"


def add(path: Path, content: bytes) -> None:
    """Append as another program does, without any lock."""
    with path.open("ab") as file:
        file.write(content)


def verified(where: str, *, repair: bool = False) -> VerifyReport:
    """What verify says."""
    with open_store(where, create=False) as store:
        return store.verify(repair=repair)


@contextlib.contextmanager
def told_of(name: str) -> Iterator[None]:
    """An error of the store's is fine where it names the file and says what to do."""
    told: EventStoreError | None = None
    try:
        yield
    except EventStoreError as error:
        told = error
    if told is not None:
        assert name in str(told), told
        assert told.hint


# Indexes and the store's own files, which are derived or say less than the data files


def drop(path: Path) -> None:
    """Delete a file."""
    path.unlink()


def empty(path: Path) -> None:
    """Leave a file of no bytes."""
    path.write_bytes(b"")


def halve(path: Path) -> None:
    """Keep the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    """Overwrite a run of bytes in the middle."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = b"\xff" * len(content[middle : middle + 40])
    path.write_bytes(content)


def zero_tail(path: Path) -> None:
    """Put zeros at the end, as a power cut may."""
    add(path, bytes(300))


DAMAGE = [drop, empty, halve, garble, zero_tail]
DERIVED = {
    "by-stream": "indexes/by-stream.idx",
    "by-type": "indexes/by-type/Noted.idx",
    "database": "indexes/index.db",
    "state": "indexes/state.json",
    "journal": "indexes/journal",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", list(DERIVED))
def test_a_damaged_index_is_made_anew(
    where: str, name: str, damage: Callable[[Path], None]
) -> None:
    """An index, the state or the journal of a closed layout costs a rebuild and nothing else."""
    before = filled(where, 60, 5)
    file = path_of(where) / DERIVED[name]
    if file.exists():
        damage(file)
    if name == "database":
        for log in path_of(where).glob("indexes/index.db-*"):
            log.unlink()
    verified(where, repair=True)
    assert len(assert_sound(where, before)) == 60
    with open_store(where) as store:
        before.append(promise(store.append(DomainEvent("task-0", "After", {}))))
    assert_sound(where, before)


def test_a_layout_without_any_index(where: str) -> None:
    """Data files alone are the whole history; only positions may be given anew."""
    before = filled(where, 60, 5)
    with open_store(where) as store:
        store_id = store.store_id
    shutil.rmtree(path_of(where) / "indexes")
    events = assert_sound(where)
    found = {event.event.id: promise(event) for event in events}
    assert [found[ack["id"]] | {"position": ack["position"]} for ack in before] == before
    with open_store(where) as store:
        assert store.store_id != store_id
        store.append(DomainEvent("task-0", "After", {}))
    assert len(assert_sound(where)) == 61


def test_the_index_of_another_layout_is_not_believed(place: Path) -> None:
    """An index.db copied from another layout, shorter or longer, does not change what is read."""
    where, other = address("jsonl", place), f"jsonl:{place}/other"
    before = filled(where, 20, 4)
    for events in (10, 20, 30):
        filled(other, events, 3)
        for file in path_of(where).glob("indexes/index.db*"):
            file.unlink()
        for file in path_of(other).glob("indexes/index.db*"):
            shutil.copy(file, path_of(where) / "indexes" / file.name)
        verified(where, repair=True)
        assert len(assert_sound(where, before)) == 20
        shutil.rmtree(path_of(other))


# Data files


def cut_in_a_line(path: Path) -> None:
    """Keep a line and a half."""
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\n") + 40])


def lose_the_line_end(path: Path) -> None:
    """Take the last line feed away."""
    path.write_bytes(path.read_bytes()[:-1])


def lose_a_line(path: Path) -> None:
    """Take the second line away."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))


def edit_a_line(path: Path) -> None:
    """Change a value of the second line; it stays as long as it was."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"type":"Noted"', b'"type":"Nodet"')
    path.write_bytes(b"".join(lines))


def break_a_line(path: Path) -> None:
    """Make the second line no JSON; it stays as long as it was."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"x" * 30 + lines[1][30:]
    path.write_bytes(b"".join(lines))


def swap_lines(path: Path) -> None:
    """Exchange the first two lines."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))


def to_crlf(path: Path) -> None:
    """Give every line a carriage return, as an editor may."""
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def with_bom(path: Path) -> None:
    """Put a byte order mark before the first line, as an editor may."""
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


DATA_DAMAGE = [
    *(drop, empty, halve, garble, zero_tail, cut_in_a_line, lose_the_line_end, lose_a_line),
    *(edit_a_line, break_a_line, swap_lines, to_crlf, with_bom),
]


@pytest.mark.parametrize("damage", DATA_DAMAGE)
def test_a_damaged_data_file_is_mended(where: str, damage: Callable[[Path], None]) -> None:
    """With the index there, a data file is mended on opening or by a repair, and nothing is lost.

    Meanwhile reads give what was recorded, or an error that names the file.
    """
    before = filled(where)
    file = data_file(where)
    damage(file)
    with told_of(file.name), open_store(where) as store:
        assert_whole(list(store.read_all()), before)
        before.append(promise(store.append(DomainEvent("task-0", "After", {}))))
        assert_whole(list(store.read_all()), before)
    report = verified(where)
    for finding in report.findings:
        assert finding.place, finding
        assert finding.repairable or finding.kind == "quarantine", finding
    assert verified(where, repair=True).ok
    assert_sound_but_for_doubles(where, before)


def assert_sound_but_for_doubles(where: str, before: list[Ack]) -> None:
    """As ``assert_sound``, where lines may stand twice."""
    with open_store(where) as store:
        events = list(store.read_all())
        assert_whole(events, before)
        assert len(events) == len(before)
        assert store.verify(deep=True).ok
    shutil.rmtree(path_of(where) / "indexes")
    with open_store(where) as store:
        found = {event.event.id: promise(event) for event in store.read_all()}
    assert [found[ack["id"]] | {"position": ack["position"]} for ack in before] == before


@pytest.mark.parametrize("damage", [cut_in_a_line, break_a_line, lose_a_line, drop, garble])
def test_damage_that_nothing_can_mend_is_named(
    where: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """With the index lost too, what is left is read, and that events are missing is said.

    Where positions had to be given anew, it is another store.
    """
    before = filled(where)
    with open_store(where) as store:
        store_id = store.store_id
    file = data_file(where)
    damage(file)
    for path in path_of(where).glob("indexes/index.db*"):
        path.unlink()
    caplog.set_level(logging.WARNING)
    with open_store(where) as store:
        found = [promise(event) for event in store.read_all()]
        findings = store.verify().findings
        if [ack["position"] for ack in found] != [ack["position"] for ack in before]:
            assert store.store_id != store_id
    others = [ack["id"] for ack in before if ack["streamId"] != "task-0"]
    assert [ack["id"] for ack in found if ack["streamId"] != "task-0"] == others
    assert len(found) < len(before)
    said = [*(f"{finding.place}" for finding in findings), *caplog.messages]
    assert any(file.name in one or "task-0" in one for one in said), said


# Lines of others


def test_lines_of_others_are_taken_in(where: str) -> None:
    """A line another program appends is an event of the store at the next look; also after ours."""
    before = filled(where)
    for turn in range(3):
        line = line_of(where, "task-0")
        add(data_file(where), line)
        with open_store(where) as store:
            events = list(store.read_all())
            assert events[-1].event.type == "Foreign"
            assert events[-1].version == store.stream_version("task-0")
            before += [promise(events[-1])]
            before += [promise(store.append(DomainEvent("task-0", "Ours", turn)))]
    assert len(assert_sound(where, before)) == 18


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "crlf": lambda line: line[:-1] + b"\r\n",
    "blank lines": lambda line: b"\n\r\n  \n" + line,
    "spaces": lambda line: json.dumps(json.loads(line), indent=None).encode() + b"  \n",
    "other order": lambda line: (
        json.dumps(dict(reversed(json.loads(line).items()))).encode() + b"\n"
    ),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_lines_in_the_form_of_others(where: str, form: str) -> None:
    """CRLF, blank lines, spaces and another order of keys are tolerated, also followed by ours."""
    before = filled(where)
    add(data_file(where), FORMS[form](line_of(where, "task-0")))
    with open_store(where) as store:
        assert [event.event.type for event in store.read_all()].count("Foreign") == 1
        before.append(promise(store.append(DomainEvent("task-0", "Ours", {}))))
        assert store.verify().ok
    with open_store(where) as store:
        events = list(store.read_all())
        assert_whole(events, before)
        assert len(events) == 14


def test_a_new_file_of_another_program(where: str) -> None:
    """A file with a byte order mark, in a folder of its own, is a stream of the store."""
    before = filled(where)
    line = line_of(where, "task-0", streamId="task-theirs", version=1, id="theirs-1")
    day = path_of(where) / "2020-02-29"
    day.mkdir()
    line = line.replace(line[line.index(b"T23") - 10 : line.index(b"T23")], b"2020-02-29")
    (day / "task-theirs.jsonl").write_bytes(b"\xef\xbb\xbf" + line)
    with open_store(where) as store:
        assert [event.version for event in store.read_stream("task-theirs")] == [1]
        before.append(promise(store.append(DomainEvent("task-theirs", "Ours", {}))))
        assert store.verify().ok
        events = list(store.read_all())
        assert_whole(events, before)
        assert len(events) == 14


STRANGE: dict[str, Callable[[str], bytes]] = {
    "no json": lambda where: b"this is no event\n",
    "no object": lambda where: b"[1, 2]\n",
    "nul": lambda where: bytes(40) + b"\n",
    "no utf-8": lambda where: line_of(where, "task-0", type="T\u00fc").replace(
        b"u00fc", b"\xff\xff"
    ),
    "no id": lambda where: line_of(where, "task-0", id=None),
    "no version": lambda where: line_of(where, "task-0", version=None),
    "text version": lambda where: line_of(where, "task-0", version="5"),
    "known version": lambda where: line_of(where, "task-0", version=2),
    "version 0": lambda where: line_of(where, "task-0", version=0),
    "huge version": lambda where: line_of(where, "task-0", version=2**70),
    "other stream": lambda where: line_of(where, "task-0", streamId="task-1"),
    "other day": lambda where: line_of(where, "task-0", timestamp="1999-01-01T00:00:00.000Z"),
    "bad time": lambda where: line_of(where, "task-0", timestamp="yesterday"),
    "bad type": lambda where: line_of(where, "task-0", type="two words"),
    "unknown key": lambda where: line_of(where, "task-0", extra=1),
    "huge number": lambda where: line_of(where, "task-0").replace(b'"another"', b"1" * 400),
    "deep": lambda where: line_of(where, "task-0").replace(b'"another"', b"[" * 400 + b"]" * 400),
}


@pytest.mark.parametrize("name", list(STRANGE))
def test_strange_lines_stay_and_are_named(where: str, name: str) -> None:
    """A line that is no event of its file stays, is named FILE:LINE, and is never an event."""
    before = filled(where)
    strange, file = STRANGE[name](where), data_file(where)
    add(file, strange)
    with open_store(where) as store:
        assert_whole(list(store.read_all()), before)
        assert len(list(store.read_all())) == 12
        before.append(promise(store.append(DomainEvent("task-0", "Ours", {}))))
        report = store.verify()
        places = [finding.place or "" for finding in report.findings]
        assert any(place.endswith(f"{file.name}:5") for place in places), report.findings
        assert any(f"{file.name}:5" in note for note in store.status().notes)
    with open_store(where) as store:
        store.verify(repair=True)
        events = list(store.read_all())
        assert_whole(events, before)
        assert len(events) == 13
    assert strange in file.read_bytes()


def test_a_line_that_stands_twice(where: str) -> None:
    """A known event whose line is there again is the one event, also before a line of ours."""
    before = filled(where)
    file = data_file(where)
    add(file, file.read_bytes().splitlines(keepends=True)[1])
    with open_store(where) as store:
        before.append(promise(store.append(DomainEvent("task-0", "Ours", {}))))
        assert len(list(store.read_all())) == 13
        assert store.verify().ok
    for _ in range(2):
        with open_store(where) as store:
            assert_whole(list(store.read_all()), before)
            assert len(list(store.read_all())) == 13


def test_a_known_id_with_other_content_is_strange(where: str) -> None:
    """A line with the id of a recorded event that says something else is named, not believed."""
    before = filled(where)
    file = data_file(where)
    line = file.read_bytes().splitlines(keepends=True)[1]
    add(file, line.replace(b'{"n":3}', b'{"n":4}'))
    report = verified(where)
    assert any((finding.place or "").endswith(":5") for finding in report.findings)
    with open_store(where) as store:
        assert_whole(list(store.read_all()), before)
        assert len(list(store.read_all())) == 12


def test_a_line_being_written_waits(where: str) -> None:
    """A last line without its line feed is no event yet; with the rest of it, it is one."""
    before = filled(where)
    line, file = line_of(where, "task-0"), data_file(where)
    content = file.read_bytes()
    for at in (1, len(line) // 2, len(line) - 1):
        file.write_bytes(content + line[:at])
        with open_store(where) as store:
            assert_whole(list(store.read_all()), before)
            assert len(list(store.read_all())) == 12
        assert file.read_bytes() == content + line[:at], "somebody's beginning was changed"
    file.write_bytes(content + line)
    with open_store(where) as store:
        assert [event.event.type for event in store.read_all()].count("Foreign") == 1


def test_our_line_after_one_that_is_being_written(where: str) -> None:
    """An append to a file with a torn last line loses neither itself nor what stands there."""
    before = filled(where)
    line, file = line_of(where, "task-0"), data_file(where)
    add(file, line[: len(line) // 2])
    with open_store(where) as store:
        before.append(promise(store.append(DomainEvent("task-0", "Ours", {}))))
        assert_whole(list(store.read_all()), before)
    with open_store(where) as store:
        assert_whole(list(store.read_all()), before)
        assert len(list(store.read_all())) == 13
    assert line[: len(line) // 2] in file.read_bytes()


def test_lines_out_of_order_wait_for_what_is_missing(where: str) -> None:
    """A version with a gap before it is taken in once the missing one is there."""
    before = filled(where)
    file = data_file(where)
    first, third = line_of(where, "task-0"), line_of(where, "task-0", version=7, id="foreign-3")
    second = line_of(where, "task-0", version=6, id="foreign-2")
    add(file, third)
    with open_store(where) as store:
        assert len(list(store.read_all())) == 12
    add(file, first)
    with open_store(where) as store:
        assert len(list(store.read_all())) == 13
    add(file, second)
    with open_store(where) as store:
        events = list(store.read_all())
        assert_whole(events, before)
        assert [event.version for event in store.read_stream("task-0")] == [1, 2, 3, 4, 5, 6, 7]


@contextlib.contextmanager
def followed(where: str) -> Iterator[tuple[list[RecordedEvent], Callable[[int], None]]]:
    """Follow a store in a thread: the list of what came, and a wait until so many have."""
    seen: list[RecordedEvent] = []
    came, stop = threading.Condition(), threading.Event()

    def run() -> None:
        with open_store(where) as store:
            for recorded in store.follow(stop=stop):
                with came:
                    seen.append(recorded)
                    came.notify_all()

    def wait(count: int) -> None:
        with came:
            there = came.wait_for(lambda: len(seen) >= count, timeout=20)
        assert there, f"{len(seen)} of {count} came"

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen, wait
    finally:
        stop.set()
        thread.join()


def test_foreign_lines_during_a_follow(where: str) -> None:
    """A follower is given lines of others beside ours, each once, in order of position."""
    before = filled(where)
    with followed(where) as (seen, wait), open_store(where) as store:
        wait(12)
        for turn in range(4):
            add(data_file(where), line_of(where, "task-0"))
            wait(12 + 2 * turn + 1)
            before.append(promise(store.append(DomainEvent("task-1", "Ours", turn))))
            wait(12 + 2 * turn + 2)
    assert_whole(seen, before)
    assert [event.event.type for event in seen[12:]] == ["Foreign", "Ours"] * 4
    assert len(assert_sound(where, map(promise, seen))) == 20


def test_other_files_in_a_layout(where: str) -> None:
    """What is no data file is left alone."""
    before = filled(where)
    layout = path_of(where)
    (layout / "README.md").write_text("mine")
    (layout / ".DS_Store").write_bytes(bytes(10))
    (layout / "not-a-day").mkdir()
    (layout / "not-a-day/task-0.jsonl").write_text("mine\n")
    (data_file(where).parent / "notes.txt").write_text("mine\n")
    (data_file(where).parent / "task-0.jsonl.bak").write_text("mine\n")
    with open_store(where) as store:
        assert_whole(list(store.read_all()), before)
        before.append(promise(store.append(DomainEvent("task-0", "Ours", {}))))
        assert store.verify(repair=True).ok
        assert len(list(store.read_all())) == 13
    assert (layout / "README.md").read_text() == "mine"
    assert (layout / "not-a-day/task-0.jsonl").read_text() == "mine\n"


# Any file, at random


def damage_of(seed: int) -> Callable[[Path], str]:
    """Damage to any one file of a layout, as this seed says; in words."""
    chance = random.Random(seed)

    def damage(layout: Path) -> str:
        files = sorted(path for path in layout.rglob("*") if path.is_file() and path.stat().st_size)
        file = chance.choice([path for path in files if not path.name.endswith(("-wal", "-shm"))])
        how = chance.choice(["flip", "cut", "drop", "overwrite", "append"])
        content = bytearray(file.read_bytes())
        at = chance.randrange(len(content))
        if how == "drop":
            file.unlink()
        elif how == "flip":
            content[at] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del content[at:]
        elif how == "overwrite":
            content[at : at + 30] = chance.randbytes(len(content[at : at + 30]))
        else:
            content += chance.randbytes(50)
        if how != "drop":
            file.write_bytes(content)
        return f"seed {seed}: {how} {file.relative_to(layout)} at {at}"

    return damage


def check_random_damage(place: Path, seeds: range) -> None:
    """Damage one file of copies of a layout: a repair has every event again, at its position."""
    template = place / "template"
    template.mkdir()
    before = filled(address("jsonl", template), 60, 5)
    failures = []
    for seed in seeds:
        copy = place / str(seed)
        shutil.copytree(template, copy)
        where = address("jsonl", copy)
        words = damage_of(seed)(path_of(where))
        try:
            _look_and_repair(where, before)
        except Exception as error:  # noqa: BLE001 - all are to be named, not the first
            failures.append(f"{words}: {type(error).__name__}: {error!s:.400}")
        shutil.rmtree(copy)
    assert not failures, f"{len(failures)} of {len(seeds)}:\n" + "\n".join(failures)


def _look_and_repair(where: str, before: list[Ack]) -> None:
    with told_of(""), open_store(where) as store:
        list(store.read_all())
        store.verify()
    report = verified(where, repair=True)
    assert report.ok, report.findings
    with open_store(where) as store:
        events = list(store.read_all())
        assert_whole(events, before)
        assert len(events) == len(before)
        assert store.verify(deep=True).ok


def test_damage_anywhere_is_mended(place: Path) -> None:
    """Whatever becomes of one file of a layout, a repair has all events at their positions."""
    check_random_damage(place, range(30))


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_damage_anywhere_is_mended_a_thousand_times(place: Path) -> None:
    """The same for a thousand kinds of damage."""
    check_random_damage(place, range(1_000))
