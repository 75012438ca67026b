"""A database that is cut, overwritten or loses its log: an error or a finding, never a riddle."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent, EventStoreError, StoreCorrupted, open_store
from tests.backends.survival.deaths import struck
from tests.backends.survival.witness import Ack, address, assert_sound, filled, path_of, promise


def template(place: Path, events: int = 400) -> tuple[Path, list[Ack]]:
    """A store in one file, closed; and what it acknowledged."""
    where = address("sqlite", place)
    with open_store(where) as store:
        done = store.append_many(
            [DomainEvent(f"task-{n % 40}", f"Noted{n % 3}", {"n": n}) for n in range(events)]
        )
    _fold(path_of(where))
    return path_of(where), [promise(recorded) for recorded in done]


def _fold(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def looked_at(where: str) -> list[Ack] | None:
    """What every way of looking gives; ``None`` where one names the damage, by file."""
    with contextlib.ExitStack() as told:
        told.push(_is_told(where))
        with open_store(where, create=False) as store:
            events = [promise(recorded) for recorded in store.read_all()]
            backwards = [promise(recorded) for recorded in store.read_all(backwards=True)]
            for name in store.streams():
                list(store.read_stream(name))
            list(store.read_all(types="Noted1"))
            store.status()
            report = store.verify(deep=True)
            for finding in report.findings:
                assert finding.message
            if report.ok:
                assert backwards == events[::-1]
                return events
    return None


def _is_told(where: str) -> Callable[[object, BaseException | None, object], bool]:
    """An error of the store's is fine where it names the file and says what to do."""

    def check(_kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, EventStoreError):
            return False
        assert str(path_of(where)) in str(error), error
        assert error.hint
        return True

    return check


def differing(events: list[Ack], others: list[Ack]) -> int:
    """How many of two histories differ."""
    return sum(a != b for a, b in zip(events, others, strict=False)) + abs(
        len(events) - len(others)
    )


def check_damage(place: Path, seeds: range) -> None:
    """Damage copies of a store; what is not named may concern one event's text at the most.

    SQLite keeps no checksums: a letter that became another inside a value is a value as any other.
    """
    file, before = template(place)
    named = 0
    for seed in seeds:
        chance = random.Random(seed)
        folder = place / str(seed)
        folder.mkdir()
        content = bytearray(file.read_bytes())
        if seed % 3 == 0:
            del content[chance.randrange(1, len(content)) :]
        elif seed % 3 == 1:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        else:
            at = chance.randrange(len(content))
            content[at : at + 64] = chance.randbytes(len(content[at : at + 64]))
        (folder / "events").write_bytes(content)
        events = looked_at(address("sqlite", folder))
        named += events is None
        if events is not None:
            assert differing(events, before) <= 2, f"seed {seed}: damage that nobody named"
        shutil.rmtree(folder)
    assert named > len(seeds) // 4


def test_damage_anywhere_is_named(place: Path) -> None:
    """Cut, flipped and overwritten databases: an error or a finding; never SQLite's own error."""
    check_damage(place, range(30))


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_damage_anywhere_is_named_a_thousand_times(place: Path) -> None:
    """The same for a thousand kinds of damage."""
    check_damage(place, range(1_500))


def test_a_store_cut_to_its_first_pages(place: Path) -> None:
    """A database cut in the middle is refused or named by its file, and not appended to."""
    file, _ = template(place)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 4096 // 2 * 4096])
    size = file.stat().st_size
    where = address("sqlite", place)

    def look() -> None:
        with open_store(where) as store:
            findings = store.verify().findings
            assert findings
            assert findings[0].place == str(file)
            list(store.read_all())

    with pytest.raises(StoreCorrupted) as caught:
        look()
    assert str(file) in str(caught.value)
    assert caught.value.hint
    assert file.stat().st_size >= size


def test_wrong_indexes_are_made_anew(place: Path) -> None:
    """Where only indexes are wrong, a repair makes them again, and nothing is lost."""
    file, before = template(place)
    _change_behind_an_index(file, "UPDATE events SET type = 'Changed' WHERE position = 7")
    before[6]["type"] = "Changed"
    where = address("sqlite", place)
    with open_store(where) as store:
        report = store.verify()
        assert [finding.repairable for finding in report.findings] != []
        assert all(finding.repairable for finding in report.findings), report.findings
        repaired = store.verify(repair=True)
        assert repaired.ok
        assert repaired.repaired == report.findings
    assert_sound(where, before)


def _change_behind_an_index(file: Path, statement: str) -> None:
    """Change rows while SQLite does not know of the index on their types."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = 1")
        select = "SELECT * FROM sqlite_master WHERE name = 'events_by_type'"
        index = db.execute(select).fetchone()
        db.execute("DELETE FROM sqlite_master WHERE name = 'events_by_type'")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(statement)
        db.execute("PRAGMA writable_schema = 1")
        db.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", index)


def test_two_rows_of_one_id_are_named_and_left(place: Path) -> None:
    """No index can hold both: a repair says so, and takes neither away."""
    file, before = template(place)
    seventh, ninth = (before[at]["id"].encode() for at in (6, 8))
    content = file.read_bytes()
    row = ninth + b"task-8"  # as it stands in the table; in the index no stream follows
    assert content.count(row) == 1
    file.write_bytes(content.replace(row, seventh + b"task-8"))
    with open_store(address("sqlite", place)) as store:
        for repair in (False, True, True):
            report = store.verify(repair=repair)
            assert not report.ok
            assert report.events == len(before)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ('UPDATE events SET data = \'{"b":1, "a":2}\' WHERE position = 7', "task-6@1"),
        ("UPDATE events SET data = 'not json' WHERE position = 7", "task-6@1"),
        ("UPDATE events SET metadata = '[]' WHERE position = 7", "task-6@1"),
        ("UPDATE events SET timestamp = 'yesterday' WHERE position = 7", "task-6@1"),
        ("UPDATE events SET timestamp = '2026-11-23' WHERE position = 7", "task-6@1"),
        ("UPDATE events SET version = 900 WHERE position = 7", "task-6@900"),
        ("UPDATE events SET id = char(10) || 'x' WHERE position = 7", "7"),
        ("UPDATE events SET type = 'two words' WHERE position = 7", "task-6@1"),
        ("UPDATE events SET stream_id = '' WHERE position = 7", "7"),
        ("DELETE FROM events WHERE position = 7", "7"),
        ("UPDATE events SET position = 9000 WHERE position = 7", "7"),
        ("UPDATE events SET position = -3 WHERE position = 7", "7"),
        ("UPDATE events SET data = x'00ff' WHERE position = 7", "task-6@1"),
    ],
    ids=range(13),
)
def test_rows_that_others_changed_are_named(place: Path, statement: str, named: str) -> None:
    """What no store writes is named by verify; a read of it is an error of the store's, if any."""
    file, _ = template(place, 60)
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        db.execute(statement)
    with open_store(address("sqlite", place)) as store:
        with contextlib.suppress(EventStoreError):
            list(store.read_all())
        report = store.verify()
        assert not report.ok
        assert any(named in finding.message for finding in report.findings), report.findings


def test_a_lost_log_leaves_a_whole_beginning(place: Path) -> None:
    """A log that is deleted or cut after a kill takes the last events; what is left is whole."""
    folder = place / "template"
    folder.mkdir()
    before = filled(address("sqlite", folder), 30)
    last = struck("crash_everywhere", "sqlite", folder, "batch", 1)[-2]
    log = last.folder / "events-wal"
    content = log.read_bytes() if log.exists() else b""
    for keep in (0, 1, len(content) // 3, len(content) - 1):
        copy = place / str(keep)
        shutil.copytree(last.folder, copy)
        (copy / "events-wal").write_bytes(content[: max(keep, 0)])
        (copy / "events-shm").unlink(missing_ok=True)
        events = assert_sound(address("sqlite", copy))
        given = [*before, *last.acknowledged]
        assert [promise(event) for event in events] == given[: len(events)]
