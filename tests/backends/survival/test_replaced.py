"""Files that are deleted or exchanged under a store in use: nothing acknowledged is lost unseen."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent, EventStoreError, StoreUnavailable, open_store
from gitstore.core.base import BaseEventStore
from tests.backends.survival.witness import (
    Ack,
    address,
    assert_sound,
    assert_whole,
    filled,
    path_of,
    promise,
)


def appended(store: BaseEventStore, times: int = 3) -> list[Ack]:
    """Append some times; gives what was acknowledged. What is refused is the store's own error."""
    acks = []
    for number in range(times):
        for event in (
            DomainEvent("task-0", "Beneath", number),
            DomainEvent(f"task-new-{number}", "Beneath", number),
        ):
            with contextlib.suppress(StoreUnavailable):
                acks.append(promise(store.append(event)))
    return acks


@pytest.mark.parametrize("how", ["deleted", "exchanged", "moved away"])
def test_a_database_that_is_another_file(place: Path, how: str) -> None:
    """An append to a database that was taken away is refused, or is found in the new one."""
    where = address("sqlite", place)
    filled(where)
    with open_store(where) as store:
        store.append(DomainEvent("task-0", "Before", {}))
        for name in ("events", "events-wal", "events-shm"):
            file = place / name
            if how == "moved away":
                file.rename(place / f"away-{name}")
            else:
                file.unlink()
        if how == "exchanged":
            (place / "other").mkdir()
            others = filled(address("sqlite", place / "other"), 30)
            shutil.copy(place / "other/events", place / "events")
        acks = appended(store)
        with contextlib.suppress(StoreUnavailable):
            assert list(store.read_all()) == [] or len(list(store.read_all())) >= len(acks)
    if how == "exchanged":
        assert_sound(where, [*others, *acks])
    elif acks:
        assert_sound(where, acks)


def test_a_log_that_is_deleted_under_a_store(place: Path) -> None:
    """A store whose log was deleted keeps what it acknowledged before and after."""
    where = address("sqlite", place)
    acks = filled(where)
    with open_store(where) as store:
        acks += appended(store, 1)
        (place / "events-wal").unlink()
        acks += appended(store, 2)
    assert_sound(where, acks)


def _any_of(folder: str, pattern: str) -> Callable[[Path], None]:
    def remove(layout: Path) -> None:
        for path in (layout / folder).glob(pattern):
            path.unlink()

    return remove


def _all_indexes(layout: Path) -> None:
    shutil.rmtree(layout / "indexes")


def _a_day(layout: Path) -> None:
    shutil.rmtree(next(layout.glob("2*")))


REMOVALS = {
    "data": _any_of(".", "2*/task-0.jsonl"),
    "day": _a_day,
    "by-stream": _any_of("indexes", "by-stream.idx"),
    "by-type": _any_of("indexes/by-type", "*.idx"),
    "state": _any_of("indexes", "state.json"),
    "database": _any_of("indexes", "index.db*"),
    "journal": _any_of("indexes", "journal"),
    "lock": _any_of("indexes", ".lock"),
    "indexes": _all_indexes,
}


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("removed", list(REMOVALS))
def test_files_of_a_layout_deleted_under_a_store(
    place: Path, caplog: pytest.LogCaptureFixture, removed: str, beside: bool
) -> None:
    """What was acknowledged before and after is there; at the worst an append is refused."""
    caplog.set_level(logging.CRITICAL)
    where = address("jsonl", place)
    acks = filled(where)
    # Where the store finds the lock or the whole folder gone, its end is refused too.
    with contextlib.ExitStack() as ends:
        stores = []
        for _ in range(2):
            ends.enter_context(contextlib.suppress(StoreUnavailable))
            stores.append(ends.enter_context(open_store(where)))
        store, other = stores
        acks += appended(store, 1)
        REMOVALS[removed](path_of(where))
        acks += appended(store, 2)
        if beside:
            acks += appended(other, 1)
            acks += appended(store, 1)
        with contextlib.suppress(EventStoreError):
            assert_whole(list(other.read_all()), acks)
    with open_store(where) as again:
        again.verify(repair=True)
    kept = {ack["id"]: ack for ack in acks}
    events = assert_sound(where)
    assert {event.event.id for event in events} == set(kept)
    if removed != "indexes":
        assert_whole(events, acks)


def test_a_layout_that_is_another_directory(place: Path) -> None:
    """An append to a layout whose directory was exchanged is refused, or is in the new one."""
    where = address("jsonl", place)
    filled(where)
    acks = []
    with contextlib.suppress(StoreUnavailable), open_store(where) as store:
        store.append(DomainEvent("task-0", "Before", {}))
        path_of(where).rename(place / "away")
        acks = filled(where, 30)
        acks += appended(store)
    assert_sound(where, acks)
