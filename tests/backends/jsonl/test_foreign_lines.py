"""Lines that other programs append: taken in on opening, in reads, before appends, in a follow."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import WrongExpectedVersion
from gitstore.core.event import RecordedEvent
from tests.backends.jsonl.support import (
    DAY,
    FILE,
    append_by_shell,
    event,
    filled,
    line,
    opened,
    recorded,
)

_NO_JSON = re.compile("^no JSON: .*")


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """A layout with three events of one stream."""
    filled(tmp_path / "events", 3, 1)
    return tmp_path / "events"


@pytest.fixture
def store(where: Path) -> Iterator[BaseEventStore]:
    """The store there, which is as it should be when the test ends."""
    with opened(where) as store:
        yield store
        report = store.verify(deep=True)
        assert report.ok, report.findings


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the next look at the files has come, which is soon."""
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def odd(store: BaseEventStore) -> list[tuple[str | None, str]]:
    """Places and reasons of the lines that are no part of the store."""
    findings = store.verify().findings
    return [(finding.place, _NO_JSON.sub("no JSON", finding.message)) for finding in findings]


def test_taken_in_on_opening(where: Path) -> None:
    """They stand where they stood, and have the next positions."""
    append_by_shell(where / FILE, line(4, 4) + line(5, 5))
    before = (where / FILE).read_bytes()
    with opened(where) as store:
        assert [r[0] for r in recorded(store)] == [1, 2, 3, 4, 5]
        found = store.find_event("id-5")
        assert found is not None
        assert (found.version, found.event) == (5, event(5, version=5))
        assert store.verify().ok
    assert (where / FILE).read_bytes() == before


def test_taken_in_by_reads(store: BaseEventStore, where: Path) -> None:
    """Also in a file of a day and a stream that were not there."""
    append_by_shell(where / FILE, line(4, 4))
    append_by_shell(where / f"{DAY}/other-1.jsonl", line(5, 1, "other-1"))
    eventually(lambda: store.last_position() == 5)
    assert store.stream_version("other-1") == 1
    found = {event.id for event in store.get_events_by_type("Noted")}
    assert found == {f"id-{n}" for n in range(1, 6)}


def test_taken_in_before_an_append_to_the_same_file(store: BaseEventStore, where: Path) -> None:
    """So that the version of the append is that after theirs; at once, not at the next look."""
    assert store.append(event(4)).version == 4
    append_by_shell(where / FILE, line(5, 5))
    with pytest.raises(WrongExpectedVersion):
        store.append(event(6), 4)
    assert store.append(event(6), 5).version == 6


def test_an_appended_event_again_is_one(store: BaseEventStore, where: Path) -> None:
    """An append with the id of a line that was taken in gives the recorded event."""
    append_by_shell(where / FILE, line(4, 4))
    again = store.append(event(4))
    assert (again.position, again.version) == (4, 4)
    assert len(recorded(store)) == 4


def test_taken_in_while_following(store: BaseEventStore, where: Path) -> None:
    """Every line of a program that writes for a while, among our own, each once and in order."""
    program = (
        "import sys, time\n"
        "for text in sys.stdin.buffer:\n"
        "    with open(sys.argv[1], 'ab') as file:\n"
        "        file.write(text[:20]); file.flush(); time.sleep(0.001); file.write(text[20:])\n"
    )
    stop = threading.Event()
    seen: list[RecordedEvent] = []

    def follow() -> None:
        for found in store.follow(stop=stop):
            seen.append(found)
            if len(seen) == 3 + 100 + 20:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    path = where / DAY / "foreign-1.jsonl"
    lines = b"".join(line(100 + n, n, "foreign-1") for n in range(1, 101))
    writer = subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE)
    try:
        assert writer.stdin is not None
        writer.stdin.write(lines)
        writer.stdin.close()
        for number in range(4, 24):
            store.append(event(number))
        assert writer.wait(30) == 0
        follower.join(30)
    finally:
        stop.set()
        writer.kill()
        writer.wait()
        follower.join(30)
    assert [r.position for r in seen] == list(range(1, 124))
    assert [r.version for r in seen if r.stream_id == "foreign-1"] == list(range(1, 101))


def test_two_processes_take_in_each_line_once(store: BaseEventStore, where: Path) -> None:
    """Whichever comes first; both have it at the same position."""
    with opened(where) as other:
        append_by_shell(where / FILE, b"".join(line(n, n) for n in range(4, 60)))
        eventually(lambda: store.last_position() == 59)
        eventually(lambda: other.last_position() == 59)
        assert recorded(store) == recorded(other)


def test_many_lines_of_many_files(store: BaseEventStore, where: Path) -> None:
    """More than are recorded at once, and more files than are held."""
    for stream in range(60):
        text = b"".join(line(1000 * (stream + 1) + n, n, f"s-{stream}") for n in range(1, 101))
        (where / DAY / f"s-{stream}.jsonl").write_bytes(text)
    eventually(lambda: store.last_position() == 6003)
    assert {store.stream_version(f"s-{stream}") for stream in range(60)} == {100}


def test_a_line_is_whole_when_it_has_its_line_feed(store: BaseEventStore, where: Path) -> None:
    """Until then it waits, whatever else is read and written."""
    text = line(4, 4)
    append_by_shell(where / FILE, text[:-1])
    time.sleep(0.3)
    assert store.last_position() == 3
    append_by_shell(where / FILE, b"\n")
    eventually(lambda: store.last_position() == 4)


def test_an_append_after_a_torn_line_begins_a_line(store: BaseEventStore, where: Path) -> None:
    """What stood there stays, named by file and line, and is no event."""
    append_by_shell(where / FILE, b'{"id":"torn')
    assert store.append(event(4)).version == 4
    assert odd(store) == [(f"{FILE}:4", "no JSON")]
    assert len(recorded(store)) == 4


def test_what_is_ahead_waits_for_what_is_missing(store: BaseEventStore, where: Path) -> None:
    """Whoever appends that: another program, to another file too, or the store."""
    append_by_shell(where / FILE, line(6, 6) + line(8, 8))
    time.sleep(0.3)
    assert store.last_position() == 3
    assert not store.verify().ok
    assert odd(store)[0] == (f"{FILE}:4", "task-1@6 waits for task-1@4")
    earlier = line(4, 4, timestamp="2026-11-22T00:00:00Z")
    append_by_shell(where / "2026-11-22/task-1.jsonl", earlier)
    eventually(lambda: store.last_position() == 4)
    store.append(event(5))
    eventually(lambda: store.last_position() == 6)
    store.append(event(7))
    eventually(lambda: store.last_position() == 8)
    assert [r[2] for r in recorded(store)] == list(range(1, 9))
    assert odd(store) == []


def test_a_line_whose_place_was_taken_is_strange(store: BaseEventStore, where: Path) -> None:
    """It stays, is named, and is never read as an event."""
    append_by_shell(
        where / FILE, line(50, 2) + line(2, 2, data="other") + b"rubbish\n" + line(2, 2)
    )
    time.sleep(0.3)
    assert store.last_position() == 3
    assert odd(store) == [
        (f"{FILE}:4", "task-1@2 comes after version 3, which is recorded"),
        (f"{FILE}:5", "task-1@2 was recorded otherwise: this line has other data"),
        (f"{FILE}:6", "no JSON"),
        (f"{FILE}:7", "repeats the event 'id-2'"),
    ]
    assert store.append(event(4)).version == 4


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n\r\n"], ids=["lf", "crlf", "blank-lines"])
def test_files_as_other_systems_write_them(store: BaseEventStore, where: Path, end: bytes) -> None:
    """A byte order mark, CRLF and blank lines are no damage."""
    text = b"\xef\xbb\xbf" + b"".join(line(10 + n, n, "new-1")[:-1] + end for n in range(1, 4))
    append_by_shell(where / DAY / "new-1.jsonl", text)
    eventually(lambda: store.last_position() == 6)
    store.append(event(20, "new-1"))
    assert store.stream_version("new-1") == 4
    assert (where / DAY / "new-1.jsonl").read_bytes().startswith(text)


def test_names_that_no_layout_has_are_passed_over(store: BaseEventStore, where: Path) -> None:
    """Folders that are no days, hidden files, files that are no lines."""
    append_by_shell(where / "notes" / "task-1.jsonl", line(4, 4))
    append_by_shell(where / DAY / ".task-1.jsonl.swp", b"\0\0\n")
    append_by_shell(where / DAY / "README.md", b"hello\n")
    time.sleep(0.3)
    assert store.last_position() == 3


def test_status_tells_of_lines_that_are_no_events(store: BaseEventStore, where: Path) -> None:
    """How many there are of each kind, and the first of them by file and line."""
    assert store.status().notes == ()
    append_by_shell(where / FILE, line(9, 1) + line(10, 1) + line(11, 5))
    time.sleep(0.3)
    taken = "task-1@1 comes after version 3, which is recorded"
    assert store.status().notes == (
        f"2 lines are no part of the store, {FILE}:4 first: {taken}",
        f"1 line is waiting for a version before, {FILE}:6 first: task-1@5 waits for task-1@4",
    )
    store.append(event(4))
    store.verify()
    assert len(store.status().notes) == 1
