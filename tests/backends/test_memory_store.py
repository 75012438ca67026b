"""The memory store: the reference implementation of the contract."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from gitstore.backends.memory import MemoryEventStore
from gitstore.backends.opening import open_store
from gitstore.backends.stamping import Stamper
from gitstore.testing.contract import EventStoreContract
from gitstore.testing.support import T0, MakeStore, at, happened


class TestMemoryStore(EventStoreContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        return MemoryEventStore


def test_stores_share_nothing() -> None:
    """Each ``memory:`` is a store of its own."""
    with open_store("memory:") as one, open_store("memory:") as other:
        one.append(happened("a"))
        assert list(other.read_all()) == []


def test_the_clock_and_the_ids_may_be_given() -> None:
    """A fake clock and fake ids make whole events known beforehand."""
    asked: list[datetime] = []

    def new_id(moment: datetime) -> str:
        asked.append(moment)
        return f"id-{len(asked)}"

    with MemoryEventStore(Stamper(clock=lambda: T0, new_id=new_id)) as store:
        recorded = store.append_many([happened("a"), happened("a", timestamp=at(1))])
    assert [r.event for r in recorded] == [
        happened("a", id="id-1", timestamp=T0, version=1),
        happened("a", id="id-2", timestamp=at(1), version=2),
    ]
    assert asked == [T0, at(1)]


@pytest.mark.parametrize("flush", ["never", "", None, True])
def test_an_unknown_flush_mode_is_refused(flush: Any) -> None:
    """``ValueError``, also where the mode would make no difference."""
    with pytest.raises(ValueError, match="flush"):
        open_store("memory:", flush=flush)
