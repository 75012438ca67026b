"""Checkpoints: values that say how far a reader has come, and stores that go on from them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from gitstore import (
    Checkpoint,
    DomainEvent,
    ForeignCheckpoint,
    RecordedEvent,
    StaleCheckpoint,
    UnsupportedFormat,
    open_store,
)

KEPT = Checkpoint("store", 5, 9)


def at(position: int, replaces: int | None = None) -> RecordedEvent:
    """An event at this position, and the one it had before."""
    return RecordedEvent(DomainEvent("s", "T", id="x"), position, None, replaces)


def test_a_checkpoint_is_kept_as_json() -> None:
    """With the keys that it says, and comes back as it was."""
    kept = json.dumps(KEPT.to_dict())
    assert json.loads(kept) == {"storeId": "store", "epoch": 5, "position": 9}
    assert Checkpoint.from_dict(json.loads(kept)) == KEPT == pickle.loads(pickle.dumps(KEPT))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"storeId": "s", "epoch": 0},
        {"storeId": 1, "epoch": 0, "position": 0},
        {"storeId": "s", "epoch": -1, "position": 0},
        {"storeId": "s", "epoch": 0, "position": True},
        {"storeId": "s", "epoch": 0, "position": 1.0},
        {"storeId": "s", "epoch": 0, "position": 1, "more": 2},
    ],
    ids=str,
)
def test_what_is_no_checkpoint_is_refused(given: dict[str, Any]) -> None:
    """A newer version's, or something else, is not taken for one."""
    with pytest.raises(UnsupportedFormat, match="no checkpoint"):
        Checkpoint.from_dict(given)


def test_a_checkpoint_goes_on_with_each_event() -> None:
    """To its position; the epoch stays that of the beginning."""
    assert KEPT.after(at(10)) == Checkpoint("store", 5, 10)
    assert KEPT.after(at(5, replaces=3)) == Checkpoint("store", 5, 5)
    assert KEPT.after(at(12, replaces=3), superseded=True) == Checkpoint("store", 5, 12)


def test_an_event_moved_since_the_beginning_makes_it_stale() -> None:
    """The reader may have handled it where it was."""
    with pytest.raises(StaleCheckpoint) as caught:
        KEPT.after(at(12, replaces=3))
    assert (caught.value.position, caught.value.superseded_by) == (3, 12)


def test_a_store_goes_on_from_its_own_checkpoints_alone() -> None:
    """One of another store, or beyond the last event, is refused and never silently applied."""
    with open_store("memory:") as store, open_store("memory:") as other:
        first = store.checkpoint()
        assert first == Checkpoint(store.store_id, 0, 0)
        after = first.after(store.append(DomainEvent("s", "T")))
        assert store.resume(first) == first
        assert store.resume(after) == store.resume(after, superseded=True) == after
        with pytest.raises(ForeignCheckpoint) as caught:
            other.resume(first)
        assert (caught.value.store_id, caught.value.given) == (other.store_id, store.store_id)
        for superseded in (False, True):
            with pytest.raises(ForeignCheckpoint, match="put back to an earlier state"):
                store.resume(replace(after, position=2), superseded=superseded)
