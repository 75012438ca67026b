"""What is appended must fit its type; what happened elsewhere is taken as it is: in every store."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from gitstore import BaseEventStore, DomainEvent, InvalidEvent, open_store
from gitstore.schemas import SCHEMAS
from gitstore.sync.copying import copy
from gitstore.sync.import_inputs import Source
from gitstore.sync.importing import import_events

ADDRESSES = ("memory:", "sqlite:{}/events.db", "jsonl:{}/events", "git:{}/events.git")
WRONG = DomainEvent("task-1", "TaskCreated", {"title": "Ship"})
RIGHT = DomainEvent("task-1", "TaskCreated", SCHEMAS["TaskCreated"].example)

Open = Callable[..., BaseEventStore]


@pytest.fixture(params=ADDRESSES, ids=lambda address: address.partition(":")[0])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a store of each kind."""
    return lambda **given: open_store(request.param.format(tmp_path), **given)


def test_what_does_not_fit_is_refused_whole(opened: Open) -> None:
    """``InvalidEvent`` with the path; nothing of the batch is recorded, and nothing is lost."""
    with opened() as store:
        store.append(RIGHT)
        with pytest.raises(InvalidEvent, match="taskId is missing") as caught:
            store.append(WRONG)
        assert caught.value.path == "data.taskId"
        with pytest.raises(InvalidEvent):
            store.append_many([RIGHT, DomainEvent("other", "Noted"), WRONG])
        assert store.last_position() == 1
        assert store.append(DomainEvent("task-1", "Noted", {"any": 1})).position == 2


def test_it_can_be_switched_off(opened: Open) -> None:
    """``validate=False``: the store is as it was before there were schemas."""
    with opened(validate=False) as store:
        assert store.append(WRONG).version == 1
        assert store.append_many([WRONG, WRONG])[-1].version == 3


def test_history_is_never_refused_for_its_data(opened: Open, tmp_path: Path) -> None:
    """Imports and copies bring what happened, into stores that validate."""
    with open_store("memory:", validate=False) as source:
        source.append(WRONG)
        line = source.append(DomainEvent("task-1", "TaskMoved", None)).event.to_json()
        first = next(source.get_events("task-1")).to_json()
        lines = Source("history.jsonl", BytesIO(first + b"\n" + line + b"\n"))
        with opened() as store:
            assert copy(source, store).events == 2
            with pytest.raises(InvalidEvent):
                store.append(WRONG)
        with open_store(tmp_path / "other.git") as other:
            assert import_events(other, [lines]).imported == 2


def test_append_history_is_append_many_but_for_the_check(opened: Open) -> None:
    """Ids, versions and retries are as ever."""
    with opened() as store:
        given = DomainEvent("task-1", "TaskCreated", 5, id="a", version=1)
        (recorded,) = store.append_history([given])
        assert store.append_history([given]) == [recorded]
        assert store.append_history([]) == []
        assert recorded.event.data == 5
