"""Verify: each kind of damage is named by file and line, and mended from what is left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl import verifying
from gitstore.backends.jsonl.parts import Parts
from gitstore.core.findings import Finding
from tests.backends.jsonl.support import (
    DAY,
    FILE,
    Recorded,
    append_by_shell,
    event,
    filled,
    line,
    opened,
    recorded,
)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Where the layout is."""
    return tmp_path / "events"


@pytest.fixture
def before(where: Path) -> Recorded:
    """Five events of one stream on one day."""
    return filled(where, 5, 1)


def changed(content: bytes) -> bytes:
    """The third line says something else."""
    return content.replace(b'{"n":3}', b'{"n":33}')


def without_middle(content: bytes) -> bytes:
    """From the middle of line 2 to the middle of line 4."""
    lines = content.splitlines(keepends=True)
    return lines[0] + lines[1][:40] + lines[3][40:] + lines[4]


def garbage(content: bytes) -> bytes:
    """The fourth line is no JSON any more."""
    lines = content.splitlines(keepends=True)
    return b"".join(lines[:3]) + b"!" * (len(lines[3]) - 1) + b"\n" + lines[4]


def zeros(content: bytes) -> bytes:
    """The last page was never written."""
    return content[:-100] + bytes(100)


def zeros_after(content: bytes) -> bytes:
    """The file is longer than what was written to it."""
    return content + bytes(4096)


def swapped(content: bytes) -> bytes:
    """Two lines in the wrong order: nothing is lost, and indexes lead elsewhere."""
    lines = content.splitlines(keepends=True)
    return b"".join([lines[1], lines[0], *lines[2:]])


def shifted(content: bytes) -> bytes:
    """A program has made every line feed a CRLF, and put a byte order mark before all."""
    return b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("damage", "kinds", "places"),
    [
        pytest.param(changed, ["file", "file"], [f"{FILE}:3", FILE], id="changed"),
        pytest.param(without_middle, ["file", "file"], [f"{FILE}:2", FILE], id="middle"),
        pytest.param(garbage, ["file", "file"], [f"{FILE}:4", FILE], id="garbage"),
        pytest.param(zeros, ["file", "file"], [f"{FILE}:5", FILE], id="zeros"),
        pytest.param(zeros_after, ["file"], [f"{FILE}:6"], id="zeros-after"),
        pytest.param(lambda text: text[:-30], ["file", "file"], [f"{FILE}:5", FILE], id="cut"),
        pytest.param(lambda text: b"", ["file"], [FILE], id="emptied"),
        pytest.param(
            swapped,
            ["index", "index"],
            ["indexes/by-stream.idx:1", "indexes/by-type/Noted.idx"],
            id="swapped",
        ),
        pytest.param(
            shifted,
            ["index", "index"],
            ["indexes/by-stream.idx:2", "indexes/by-type/Noted.idx"],
            id="crlf",
        ),
    ],
)
def test_damage_is_named_and_mended(
    where: Path,
    before: Recorded,
    damage: Callable[[bytes], bytes],
    kinds: list[str],
    places: list[str],
) -> None:
    """By file and line where there is one; after a repair every recorded event has its line."""
    content = (where / FILE).read_bytes()
    with opened(where) as store:
        (where / FILE).write_bytes(damage(content))
        found = store.verify().findings
        assert [finding.kind for finding in found] == kinds
        assert [finding.place for finding in found] == places
        assert all(finding.repairable for finding in found)
        report = store.verify(repair=True)
        assert report.ok, report.findings
        assert report.findings == ()
        assert report.repaired == found
        assert recorded(store) == before
        assert store.append(event(6)).position == 6
    if "index" not in kinds:
        assert (where / FILE).read_bytes().startswith(content)
        kept = list((where / "indexes/damaged").iterdir())
        assert [path.read_bytes() for path in kept] == [damage(content)]


def test_a_lost_folder_is_one_finding(where: Path) -> None:
    """It names the file, the first event and how many are missing."""
    filled(where, 12, 3)
    with opened(where) as store:
        for path in (where / DAY).iterdir():
            path.unlink()
        found = store.verify().findings
        assert [(f.place, f.message) for f in found] == [
            (f"{DAY}/task-{n}.jsonl", f"4 lines are missing, that of task-{n}@1 first")
            for n in (2, 3, 1)
        ]
        assert store.verify(repair=True).ok


def test_what_is_somebody_elses_survives_a_repair(where: Path, before: Recorded) -> None:
    """Strange lines and the beginning of a line stay, behind what they stood behind."""
    text = (where / FILE).read_bytes()
    lines = text.splitlines(keepends=True)
    foreign = line(50, 2, data="mine")
    with opened(where) as store:
        (where / FILE).write_bytes(lines[0] + foreign + b"".join(lines[3:]) + b'{"id": ')
        assert store.verify(repair=True).ok
        assert recorded(store) == before
    assert (where / FILE).read_bytes() == lines[0] + foreign + b"".join(lines[1:]) + b'{"id": '


def test_lines_of_the_wrong_file_are_named(where: Path, before: Recorded) -> None:
    """A line that was copied into another stream's or day's file is no event of it."""
    other = where / "2026-11-22"
    other.mkdir()
    (other / "task-1.jsonl").write_bytes(line(9, 6))
    with opened(where) as store:
        assert store.verify().findings == (
            Finding(
                "quarantine",
                f"task-1@6 belongs into {FILE}",
                place="2026-11-22/task-1.jsonl:1",
            ),
        )
        assert store.verify().ok
        assert recorded(store) == before


def test_a_store_that_is_whole_has_no_findings(where: Path, before: Recorded) -> None:
    """What was looked at is counted, and what is being done is told."""
    told: list[str] = []
    with opened(where) as store:
        report = store.verify(deep=True, progress=lambda what, *_: told.append(what))
        assert (report.ok, report.findings, report.events, report.streams) == (True, (), 5, 1)
    assert {"Checking lines", "Checking indexes"} <= set(told)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET data = '{\"n\":99}' WHERE version = 3",
        "UPDATE events SET id = 'another' WHERE version = 3",
        "DELETE FROM events WHERE version = 3",
        "DELETE FROM sums WHERE position = 2",
    ],
)
def test_a_line_is_believed_and_not_a_damaged_index(
    where: Path, before: Recorded, damage: str
) -> None:
    """What SQLite finds in order, and was not put in, never takes the place of a whole line."""
    content = (where / FILE).read_bytes()
    db = sqlite3.connect(where / "indexes/index.db")
    db.execute(damage)
    db.commit()
    db.close()
    with opened(where) as store:
        assert store.verify().findings[0].place == "indexes/index.db"
        assert store.verify(repair=True).ok
        assert recorded(store) == before
        assert [r.event.data for r in store.read_all()] == [{"n": n} for n in range(1, 6)]
    assert (where / FILE).read_bytes() == content


def test_others_write_while_it_looks(where: Path, before: Recorded) -> None:
    """Whoever appends need not wait for it, whatever it is at, and none of that is a finding."""
    looked_at: set[str] = set()

    def write(what: str, done: int, _: int) -> None:
        looked_at.add(what)
        number = 100 + len(before) + done % 1_000 + len(looked_at)
        writer.append(event(number, f"new-{number}", type=f"Type{number}"))
        writer.append(event(number + 400, id=f"id-{number}-again"))
        append_by_shell(where / f"{DAY}/other.jsonl", line(number + 2_000, None, "other"))

    with opened(where) as store, opened(where) as writer:
        report = store.verify(progress=write)
        assert (report.ok, report.findings) == (True, ())
        assert looked_at == {"Checking lines", "Checking indexes"}
        writer.verify()
        assert {r.position for r in store.read_all()} > {position for position, *_ in before}


def test_what_is_damaged_is_looked_at_without_others(where: Path, before: Recorded) -> None:
    """What is told of damage is exact: nobody writes while that is found out."""
    file = where / FILE
    file.write_bytes(changed(file.read_bytes()))
    waited: list[bool] = []

    def look(*_: object) -> None:
        lock = FileLock(where / "indexes/.lock")
        waited.append(not lock.try_acquire())
        if not waited[-1]:
            lock.release()
        lock.close()

    with opened(where) as store:
        assert not store.verify(progress=look).ok
    assert before
    assert waited[0] is False
    assert waited[-1] is True


def test_what_is_read_while_it_looks_is_no_finding(
    where: Path, before: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process appends, and brings ``index.db`` up, between lines and indexes."""
    look = verifying._of_indexes

    with opened(where) as store, opened(where) as other:

        def look_later(*arguments: Any) -> Iterator[Finding]:
            other.append(event(90))
            assert len(recorded(other)) == len(before) + 1
            return look(*arguments)

        monkeypatch.setattr(verifying, "_of_indexes", look_later)
        assert store.verify().findings == ()


def test_a_line_that_comes_before_it_looks_is_no_finding(
    where: Path, before: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a program that takes no lock, once all that was there is taken in."""
    settle = verifying.settle
    path = where / f"{DAY}/task-9.jsonl"

    def settle_later(parts: Parts) -> None:
        append_by_shell(path, line(91, 1, "task-9") + line(92, 2, "task-9"))
        settle(parts)

    with opened(where) as store:
        monkeypatch.setattr(verifying, "settle", settle_later)
        assert store.verify().findings == ()
        monkeypatch.undo()
        assert len(recorded(store)) == len(before) + 2
