"""A store of the eight methods alone keeps the contract: the base class's own work is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.findings import VerifyReport
from gitstore.core.protocol import Handler
from gitstore.core.upkeep import MaintainReport, Occupied
from gitstore.testing.contract import EventStoreContract
from gitstore.testing.support import MakeStore, happened


class OnlyEight(BaseEventStore):
    """Hands the eight methods on to a store, and nothing else."""

    capabilities = MemoryEventStore.capabilities

    def __init__(self) -> None:
        self._inner = MemoryEventStore()

    def append(self, event: DomainEvent, expected_version: ExpectedVersion = ANY) -> RecordedEvent:
        return self._inner.append(event, expected_version)

    def append_many(
        self,
        events: Iterable[DomainEvent],
        expected_versions: Mapping[str, ExpectedVersion] | None = None,
    ) -> list[RecordedEvent]:
        return self._inner.append_many(events, expected_versions)

    def read_stream(self, *args: Any, **more: Any) -> Iterator[RecordedEvent]:
        yield from self._inner.read_stream(*args, **more)

    def read_all(self, *args: Any, **more: Any) -> Iterator[RecordedEvent]:
        yield from self._inner.read_all(*args, **more)

    def follow(self, *args: Any, **more: Any) -> Iterator[RecordedEvent]:
        yield from self._inner.follow(*args, **more)

    def streams(self, category: str | None = None) -> Iterator[str]:
        yield from self._inner.streams(category)

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        return self._inner.subscribe(handler)

    def close(self) -> None:
        self._inner.close()


class TestOnlyEight(EventStoreContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        return OnlyEight


class _Damaged(OnlyEight):
    """Reads give these places, whatever was appended."""

    def __init__(self, places: Iterable[tuple[str, int, int]]) -> None:
        super().__init__()
        self._places = list(places)

    def read_all(self, *args: Any, backwards: bool = False, **more: Any) -> Iterator[RecordedEvent]:
        events = [
            RecordedEvent(happened(stream, version=version), position)
            for stream, version, position in self._places
        ]
        return iter(events[::-1] if backwards else events)


@pytest.mark.parametrize(
    ("places", "kind", "stream", "words"),
    [
        ([("a", 1, 1), ("a", 2, 3)], "order", None, "positions 1 and 3 meet"),
        ([("a", 1, 2)], "order", None, "positions 0 and 2 meet"),
        ([("a", 1, 1), ("b", 1, 2), ("a", 3, 3)], "stream", "a", "a@3 comes after version 1"),
        ([("a", 1, 1), ("a", 1, 2)], "stream", "a", "a@1 comes after version 1"),
    ],
    ids=["hole", "first", "gap", "twice"],
)
def test_verify_names_what_is_out_of_order(
    places: list[tuple[str, int, int]], kind: str, stream: str | None, words: str
) -> None:
    """A hole in the positions, a gap or a repetition in a stream: one finding each."""
    with _Damaged(places) as store:
        report = store.verify()
    (finding,) = report.findings
    assert (finding.kind, finding.stream, finding.message) == (kind, stream, words)
    assert not report.ok
    assert report.events == len(places)


def test_a_store_that_needs_no_upkeep_says_so() -> None:
    """The same size before and after, and no step that took time."""
    with OnlyEight() as store:
        store.append(happened())
        assert store.maintain(trim=True) == MaintainReport(Occupied(0), Occupied(0))
        assert store.verify(repair=True, deep=True) == VerifyReport((), 1, 1)
