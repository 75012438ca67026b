"""Events as bytes: there and back, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import gitstore
from gitstore.core.canonical import encode
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.core.idempotence import MAX_METADATA, Proposal

GIVEN = DomainEvent(
    "task-ü", "T", {"b": [1, 1.0, 1e16]}, {"userId": "u"}, "id-1", datetime(1969, 1, 1, tzinfo=UTC)
)


def encoded(**changes: Any) -> EncodedEvent:
    """A recorded event as bytes."""
    with gitstore.open_store("memory:") as store:
        return EncodedEvent.of(store.append(GIVEN))._replace(**changes)


def test_an_event_comes_back_as_it_was() -> None:
    """With the version it was given."""
    event = encoded().event()
    assert (event.id, event.timestamp, event.version) == (GIVEN.id, GIVEN.timestamp, 1)
    assert encode(event.data) == encode(GIVEN.data)
    assert event.metadata == GIVEN.metadata


def test_a_proposal_of_bytes_is_that_of_the_event() -> None:
    """Nothing of it depends on the way it came."""
    assert Proposal.of_encoded(encoded()) == Proposal.of(encoded().event())


def test_the_same_event_stands_anywhere() -> None:
    """Its position is the store's; all else, to the byte, is its own."""
    assert encoded().is_same(encoded(position=7, superseded_by=9))
    assert not encoded(data=b"1").is_same(encoded(data=b"1.0"))
    for field, value in {"time": 1, "id": "x", "version": 2, "stream_id": "s", "type": "U"}.items():
        assert not encoded().is_same(encoded(**{field: value}))


@pytest.mark.parametrize("data", [b"{", b"", b'{"b":1,"a":1}', b" 1", b"1e16", b'{"a":1,"a":1}'])
@pytest.mark.parametrize("field", ["data", "metadata"])
def test_bytes_that_are_not_canonical_are_refused(field: str, data: bytes) -> None:
    """What is not the one form of a value would give another commit."""
    with pytest.raises(InvalidEvent):
        Proposal.of_encoded(encoded(**{field: data}))
    with pytest.raises(InvalidEvent):
        encoded(**{field: data}).event()


@pytest.mark.parametrize("metadata", [b"[]", encode({"a": "x" * MAX_METADATA})])
def test_metadata_must_be_an_object_of_bounded_size(metadata: bytes) -> None:
    """As in any append."""
    with pytest.raises(InvalidEvent):
        Proposal.of_encoded(encoded(metadata=metadata))
