"""What the SQLite store promises beyond the contract: its table, its file, other programs."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitstore import (
    DomainEvent,
    StoreCorrupted,
    StoreNotFound,
    StoreUnavailable,
    UnsupportedFormat,
    WrongExpectedVersion,
    open_store,
)
from gitstore.backends.sqlite import store as store_module
from gitstore.backends.sqlite.store import SqliteEventStore

T0 = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteEventStore]:
    """An empty store."""
    with SqliteEventStore.open(path) as store:
        yield store


def created(stream: str = "task-1", **fields: object) -> DomainEvent:
    """An event with a title and a correlation."""
    data, metadata = {"title": "Write tests"}, {"correlationId": "c-1", "userId": "ann"}
    return DomainEvent(stream, "TaskOpened", data, metadata, **fields)  # type: ignore[arg-type]


def by_hand(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """What another program reads or writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def insert(path: Path, stream: str, version: int, position: int, **fields: str) -> None:
    """Another program's event."""
    row = {"id": f"hand-{position}", "time": "2026-11-23T08:00:00.000Z", "data": "null"} | fields
    by_hand(
        path,
        "INSERT INTO events(id, stream_id, type, version, timestamp, data, metadata, position) "
        "VALUES(?, ?, 'ByHand', ?, ?, ?, '{}', ?)",
        *(row["id"], stream, version, row["time"], row["data"], position),
    )


def test_the_table_is_read_with_sql(store: SqliteEventStore, path: Path) -> None:
    """The columns of the interface, JSON that SQLite's functions read, and the file's number."""
    recorded = store.append(created(id="e-1", timestamp=T0))
    assert by_hand(
        path,
        "SELECT id, stream_id, type, version, timestamp, json_extract(data, '$.title'), "
        "json_extract(metadata, '$.userId'), position FROM events",
    ) == [("e-1", "task-1", "TaskOpened", 1, "2026-11-23T08:00:00.000Z", "Write tests", "ann", 1)]
    assert recorded.position == 1
    assert by_hand(path, "PRAGMA application_id") == [(0x53634576,)]
    assert by_hand(path, "PRAGMA user_version") == [(1,)]
    assert by_hand(path, "PRAGMA journal_mode") == [("wal",)]


def test_each_commit_is_brought_to_the_disk(store: SqliteEventStore) -> None:
    """``synchronous`` is FULL: what ``append`` returned a power cut cannot take back."""
    assert store._file.get().execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """A file without a byte is a new store where one may be made, and none where not."""
    path.touch()
    with pytest.raises(StoreNotFound, match="empty"):
        SqliteEventStore.open(path, create=False)
    with SqliteEventStore.open(path) as store:
        assert store.append(created()).position == 1


def test_a_store_of_a_newer_release_is_refused(store: SqliteEventStore, path: Path) -> None:
    """A higher ``user_version`` is ``UnsupportedFormat``, and nothing is changed."""
    store.close()
    by_hand(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(UnsupportedFormat, match="schema 2"):
        SqliteEventStore.open(path)
    assert path.read_bytes() == before


def test_a_dump_is_a_store_again(store: SqliteEventStore, path: Path, tmp_path: Path) -> None:
    """What ``.dump`` gives, which has lost the file's numbers, opens with all events."""
    store.append_many([created(f"task-{n}") for n in range(3)])
    with closing(sqlite3.connect(path)) as source:
        script = "\n".join(source.iterdump())
    with closing(sqlite3.connect(tmp_path / "again.db")) as target:
        target.executescript(script)
    with SqliteEventStore.open(tmp_path / "again.db") as again:
        assert list(again.read_all()) == list(store.read_all())
        assert again.append(created()).position == 4


def test_a_log_without_its_file_is_not_deleted(path: Path) -> None:
    """SQLite would delete it with all that it holds; the store says so instead."""
    log = path.with_name("events.db-wal")
    log.write_bytes(b"events that were not moved yet")
    with pytest.raises(StoreCorrupted, match="gone") as caught:
        SqliteEventStore.open(path)
    assert "events.db" in caught.value.hint
    assert log.read_bytes() == b"events that were not moved yet"
    assert not path.exists()


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_a_file_that_is_taken_away_is_noticed(
    store: SqliteEventStore, path: Path, tmp_path: Path, replaced: bool
) -> None:
    """Appends, reads and a look around say it; no new file is made in its place."""
    store.append(created())
    path.rename(tmp_path / "away.db")
    if replaced:
        shutil.copy(tmp_path / "away.db", path)
    for act in (
        lambda: store.append(created()),
        lambda: store.append_many([created(), created()]),
        lambda: list(store.read_all()),
        lambda: list(store.read_stream("task-1")),
        store.status,
        store.verify,
        store.maintain,
    ):
        with pytest.raises(StoreUnavailable, match="deleted or replaced"):
            act()
    assert path.exists() == replaced


def test_a_copy_is_a_store_of_its_own(store: SqliteEventStore, path: Path, tmp_path: Path) -> None:
    """Another id, which lasts, so that checkpoints of the one are foreign to the other."""
    store.append(created())
    own = store.store_id
    store.close()
    shutil.copy(path, tmp_path / "copy.db")
    with SqliteEventStore.open(tmp_path / "copy.db") as copy:
        other = copy.store_id
    with SqliteEventStore.open(tmp_path / "copy.db") as again:
        assert again.store_id == other != own
    with SqliteEventStore.open(path) as same:
        assert same.store_id == own


def test_events_that_others_insert_are_read(store: SqliteEventStore, path: Path) -> None:
    """The next append comes after them, in its stream and in the arrival order."""
    store.append(created())
    insert(path, "task-1", 2, 2)
    recorded = store.append(created())
    assert (recorded.version, recorded.position) == (3, 3)
    assert [e.position for e in store.read_all()] == [1, 2, 3]
    insert(path, "task-2", 1, 4)
    with pytest.raises(WrongExpectedVersion) as caught:
        store.append(created("task-2"), 0)
    assert caught.value.actual == 1


def test_no_event_goes_below_one_that_others_put_far_up(
    store: SqliteEventStore, path: Path
) -> None:
    """A position given by hand may leave a hole; the hole is never filled behind a reader."""
    store.append(created())
    insert(path, "task-9", 1, 100)
    assert store.append(created()).position == 101
    assert [r.position for r in store.append_many([created(), created()])] == [102, 103]


@pytest.mark.parametrize(
    ("column", "value"),
    [("data", b"null"), ("version", 0), ("version", "first"), ("position", -1)],
    ids=["bytes as data", "version 0", "a text as version", "a position below 1"],
)
def test_the_table_refuses_rows_that_are_no_events(
    store: SqliteEventStore, path: Path, column: str, value: object
) -> None:
    """What another program gets wrong fails there, where it can be put right."""
    store.append(created())
    with pytest.raises(sqlite3.IntegrityError):
        by_hand(path, f"UPDATE events SET {column} = ?", value)


def test_data_that_is_no_json_is_named(store: SqliteEventStore, path: Path) -> None:
    """A read says file, position, stream and version; so does ``verify``."""
    store.append(created())
    insert(path, "task-7", 1, 2, data="{half")
    with pytest.raises(StoreCorrupted, match=r"events\.db.*position 2 \(task-7@1\)"):
        list(store.read_all())
    (finding,) = store.verify().findings
    assert "position 2 (task-7@1)" in finding.message
    assert finding.place == str(path)


def test_bounds_of_time_are_exact_over_both_precisions(store: SqliteEventStore) -> None:
    """Three and six decimals of one second do not sort as texts; a filter takes them as times."""
    offsets = (0, 500, 1_000, 1_001, 1_500, 2_000, 999_999, 1_000_000)
    times = [T0 + timedelta(microseconds=offset) for offset in offsets]
    filler = [created(f"other-{n % 7}", timestamp=T0 - timedelta(days=1)) for n in range(2_500)]
    store.append_many(filler)  # enough for the index to be asked
    store.append_many([created(timestamp=time) for time in times])
    for since in times:
        for until in times:
            found = store.read_all(since=since, until=until)
            wanted = [time for time in times if since <= time < until]
            assert [recorded.event.timestamp for recorded in found] == wanted


def test_a_vacuum_by_hand_moves_no_position(store: SqliteEventStore, path: Path) -> None:
    """It gives rowids anew, on which nothing stands."""
    recorded = store.append_many([created(f"task-{n}") for n in range(50)])
    store.close()
    by_hand(path, "DELETE FROM events WHERE position % 3 = 0")
    by_hand(path, "VACUUM")
    with SqliteEventStore.open(path) as again:
        left = [event for event in recorded if event.position % 3]
        assert list(again.read_all()) == left
        assert list(again.read_all(backwards=True)) == left[::-1]
        assert not again.verify().ok


def test_a_network_file_system_gets_no_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There SQLite's log does not hold: a rollback journal is used, and that is said once."""
    monkeypatch.setattr(store_module, "holds_wal", lambda _path: False)
    with SqliteEventStore.open(path) as store:
        store.append(created())
        store.append_many([created("task-2"), created("task-3")])
        assert not path.with_name("events.db-wal").exists()
        assert store.last_position() == 3
        assert store.verify().ok
    assert by_hand(path, "PRAGMA journal_mode") == [("delete",)]
    assert len([r for r in caplog.records if "network" in r.message]) == 1


def test_correlations_are_found_whatever_they_hold(store: SqliteEventStore) -> None:
    """NUL, quotes, numbers: the table's index narrows, the event decides."""
    odd = ["c-1", 'say "x"', "ü", "nul\0nul", "nul"]
    store.append_many([created(f"other-{n % 9}") for n in range(2_500)])
    for name in odd[1:]:
        store.append(DomainEvent("odd-1", "Odd", None, {"correlationId": name}))
    store.append(DomainEvent("odd-1", "Odd", None, {"correlationId": 5}))
    for name in odd[1:]:
        found = [recorded.event.correlation_id for recorded in store.read_all(correlations=name)]
        assert found == [name]
    assert list(store.read_all(correlations="5")) == []


def test_maintenance_makes_the_file_small(store: SqliteEventStore, path: Path) -> None:
    """Pages are full and the log short afterwards, and every event is where it was."""
    for _ in range(5):
        store.append_many([created(f"task-{n % 300}") for n in range(1_000)])
    before = list(store.read_all())
    said: list[str] = []
    report = store.maintain(progress=lambda what, _done, _total: said.append(what))
    assert report.after.size < report.before.size
    assert report.after.size == store.status().size == path.stat().st_size
    assert list(report.seconds) == said
    assert list(store.read_all()) == before
    assert store.append(created()).position == 5_001
    assert store.verify().ok


def test_the_log_does_not_grow_without_end(store: SqliteEventStore, path: Path) -> None:
    """It is moved into the file every thousand pages, and begun anew."""
    for n in range(1_500):
        store.append(created(f"task-{n % 50}"))
    assert path.with_name("events.db-wal").stat().st_size < 2 * 1_000 * 4_096


def test_status_says_what_is_there(store: SqliteEventStore, path: Path) -> None:
    """Where, in which form, how many, how large."""
    store.append_many([created("task-1"), created("task-2"), created("task-1")])
    status = store.status()
    assert (status.where, status.format) == (f"sqlite:{path}", "SQLite, schema 1")
    assert (status.events, status.streams, status.unflushed) == (3, 2, 0)
    assert status.store_id == store.store_id
    assert status.size >= path.stat().st_size
    with open_store(status.where, create=False) as again:
        assert again.last_position() == 3
