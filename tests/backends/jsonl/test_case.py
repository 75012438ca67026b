"""File systems that fold case: no two streams, and no two types, ever share a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.errors import InvalidEvent
from tests.backends.jsonl.support import event, opened, recorded


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonlEventStore]:
    """A store on such a file system, with one event."""
    exactly = Folder._open

    def folded(self: Folder, name: str, flags: int) -> int:
        names = {there.casefold(): there for there in self.names()}
        return exactly(self, names.get(name.casefold(), name), flags)

    JsonlEventStore.open(tmp_path / "events").close()
    (tmp_path / "events/INDEXES").mkdir()
    monkeypatch.setattr(Folder, "_open", folded)
    with JsonlEventStore.open(tmp_path / "events") as store:
        store.append(event(1))
        yield store


def test_a_stream_that_differs_in_case_only_is_refused(store: JsonlEventStore) -> None:
    """By the name of the file that is there; nothing is recorded."""
    with pytest.raises(InvalidEvent, match=r"TASK-1.jsonl differs from task-1.jsonl in case"):
        store.append(event(2, "TASK-1"))
    store.append_many([event(3), event(4, "task-2")])
    assert [stream for _, stream, _, _ in recorded(store)] == ["task-1", "task-1", "task-2"]
    assert store.verify().ok


def test_a_type_that_differs_in_case_only_is_refused(
    store: JsonlEventStore, tmp_path: Path
) -> None:
    """Before it is recorded: its index would be the other's."""
    with pytest.raises(InvalidEvent, match=r"noted.idx differs from Noted.idx in case"):
        store.append_many([event(2), event(3, type="noted")])
    store.append(event(4))
    assert [event_id for *_, event_id in recorded(store)] == ["id-1", "id-4"]
    with opened(tmp_path / "events") as again:
        assert again.verify().ok
