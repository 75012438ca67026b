"""Files that are deleted or exchanged under a store in use: nothing acknowledged is lost unseen."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreUnavailable, open_store
from gitstore.core.base import BaseEventStore
from tests.backends.survival.witness import (
    Ack,
    address,
    assert_sound,
    filled,
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
