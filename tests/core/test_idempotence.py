"""The rules of retries, apart from any storage; stores are held to them by the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gitstore.core.errors import DuplicateEventId, PartialDuplicate, WrongExpectedVersion
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, STREAM_EXISTS
from gitstore.core.idempotence import Proposal, already_recorded, check_batch_ids, check_new
from gitstore.testing.support import at, named

_STREAMS = st.lists(st.sampled_from("abc"), min_size=1, max_size=8)


def _recorded(streams: Sequence[str]) -> list[RecordedEvent]:
    """One event for each stream named, as a store would have recorded them."""
    return [
        RecordedEvent(replace(named(s, f"e{n}"), version=list(streams[: n + 1]).count(s)), n + 1)
        for n, s in enumerate(streams)
    ]


def _ask(
    batch: Sequence[RecordedEvent | DomainEvent],
    there: Sequence[RecordedEvent],
    expected: Mapping[str, Any] | None = None,
) -> list[RecordedEvent] | None:
    events = [replace(e.event, version=None) if isinstance(e, RecordedEvent) else e for e in batch]
    by_id = {r.event.id or "": r for r in there}
    known = {e.id: by_id[e.id] for e in events if e.id in by_id}
    versions = {e.stream_id: sum(r.stream_id == e.stream_id for r in there) for e in events}
    proposals = [Proposal.of(event) for event in events]
    return already_recorded(proposals, known, expected or {}, versions)


@given(_STREAMS, st.data())
def test_law_a_run_of_each_stream_is_a_retry(streams: list[str], data: st.DataObject) -> None:
    """Any batch with each stream's events one after another is found, in the batch's order."""
    there = _recorded(streams)
    first = data.draw(st.integers(0, len(there) - 1))
    last = data.draw(st.integers(first + 1, len(there)))
    run = there[first:last]
    assert _ask(run, there) == run
    before = {r.stream_id: r.version - 1 for r in reversed(run)}
    assert _ask(run, there, before) == run


@given(_STREAMS, st.randoms(use_true_random=False))
def test_law_another_order_of_a_stream_is_no_retry(streams: list[str], random: Random) -> None:
    """A batch in which some stream's events change places is refused."""
    there = _recorded(streams)
    batch = list(there)
    random.shuffle(batch)
    assume(any(_of(batch, s) != _of(there, s) for s in "abc"))
    with pytest.raises(DuplicateEventId):
        _ask(batch, there)


def _of(events: Sequence[RecordedEvent], stream_id: str) -> list[RecordedEvent]:
    return [recorded for recorded in events if recorded.stream_id == stream_id]


@given(_STREAMS, st.sampled_from("abc"), st.integers(0, 9))
def test_law_an_exact_expectation_names_the_place(
    streams: list[str], stream_id: str, expected: int
) -> None:
    """A retry passes under the version it was let in at, and no other."""
    there = _recorded(streams)
    assume(stream_id in streams)
    batch = _of(there, stream_id)
    if expected == 0:
        assert _ask(batch, there, {stream_id: expected}) == batch
    else:
        with pytest.raises(WrongExpectedVersion) as caught:
            _ask(batch, there, {stream_id: expected})
        assert caught.value.actual == len(batch)


@pytest.mark.parametrize("expected", [ANY, STREAM_EXISTS], ids=str)
def test_an_open_expectation_asks_for_no_place(expected: object) -> None:
    """Neither ``ANY`` nor ``STREAM_EXISTS`` says where a retry must stand."""
    there = _recorded("aaa")
    assert _ask(there[1:], there, {"a": expected}) == there[1:]


def test_a_new_batch_is_not_recorded() -> None:
    """No id known, or none given: ``None``, append it."""
    there = _recorded("aa")
    assert _ask([named("a", "new")], there) is None
    assert _ask([DomainEvent("a", "T")], there) is None
    assert _ask([], there) is None


def test_a_batch_known_in_part_names_both_parts() -> None:
    """Known and unknown in the batch's order; an event without an id is unknown."""
    there = _recorded("aa")
    new, nameless = named("a", "new"), DomainEvent("a", "T")
    with pytest.raises(PartialDuplicate) as caught:
        _ask([there[1], new, there[0], nameless], there)
    assert caught.value.known == ("e1", "e0")
    assert caught.value.unknown[0] == "new"
    assert len(caught.value.unknown) == 2


def test_other_content_is_told_before_a_missing_part() -> None:
    """A contradiction is worse news than a half recorded batch."""
    there = _recorded("a")
    with pytest.raises(DuplicateEventId, match="other data"):
        _ask([replace(there[0].event, data=1), named("a", "new")], there)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"stream_id": "b"}, "another stream"),
        ({"type": "Other"}, "another type"),
        ({"timestamp": at(1)}, "another timestamp"),
        ({"version": 2}, "another version"),
        ({"data": 0}, "other data"),
        ({"metadata": {"userId": "x"}}, "other metadata"),
    ],
)  # fmt: skip
def test_the_error_says_what_differs(change: dict[str, Any], why: str) -> None:
    """So that a person sees which of the two is wrong."""
    there = _recorded("a")
    with pytest.raises(DuplicateEventId, match=why):
        _ask([replace(there[0].event, **change)], there)


@given(st.lists(st.sampled_from(["x", "y", "z", None]), max_size=5))
def test_law_an_id_stands_once_in_a_batch(given_ids: list[str | None]) -> None:
    """The ids in order, or ``DuplicateEventId``; events without one do not count."""
    proposals = [Proposal.of(DomainEvent("a", "T", id=event_id)) for event_id in given_ids]
    ids = [event_id for event_id in given_ids if event_id is not None]
    if len(set(ids)) == len(ids):
        assert check_batch_ids(proposals) == ids
    else:
        with pytest.raises(DuplicateEventId):
            check_batch_ids(proposals)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(1, 6)), max_size=6))
def test_law_named_versions_count_on(batch: list[tuple[str, int | None]]) -> None:
    """A batch may stand exactly when every named version is its event's own next."""
    events = [DomainEvent(stream, "T", version=version) for stream, version in batch]
    heads = {"a": 1, "b": 0}
    fits, at = True, dict(heads)
    for stream, version in batch:
        at[stream] += 1
        fits = fits and version in (None, at[stream])
    proposals = [Proposal.of(event) for event in events]
    if fits:
        check_new(proposals, {}, heads)
    else:
        with pytest.raises(WrongExpectedVersion):
            check_new(proposals, {}, heads)
