"""Errors: one root, facts as attributes, a hint apart from the message."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from gitstore.core import errors
from gitstore.core.errors import (
    DuplicateEventId,
    EventStoreError,
    FlushFailed,
    ForeignCheckpoint,
    InvalidEvent,
    PartialDuplicate,
    StaleCheckpoint,
    StoreCorrupted,
    StoreNotFound,
    StoreUnavailable,
    UnsupportedFormat,
    WrongExpectedVersion,
)

EXAMPLES = [
    (InvalidEvent("the data is odd"), "the data is odd", {}),
    (
        WrongExpectedVersion("task-1", 3, 5),
        "stream 'task-1' is at version 5, expected 3",
        {"stream_id": "task-1", "expected": 3, "actual": 5},
    ),
    (
        WrongExpectedVersion("task-1", 3, 0),
        "stream 'task-1' is not there, expected 3",
        {"stream_id": "task-1", "expected": 3, "actual": 0},
    ),
    (
        DuplicateEventId("x", "task-1", 2, why="this one has other data"),
        "event id 'x' is recorded as task-1@2: this one has other data",
        {"event_id": "x", "stream_id": "task-1", "version": 2},
    ),
    (
        DuplicateEventId("x"),
        "event id 'x' stands twice in the batch",
        {"event_id": "x", "stream_id": None, "version": 0},
    ),
    (
        PartialDuplicate(["a", "b"], ["c"]),
        "2 of 3 events of the batch are recorded already (first: 'a')",
        {"known": ("a", "b"), "unknown": ("c",)},
    ),
    (
        ForeignCheckpoint("here", "there"),
        "the checkpoint is of store there, this is here",
        {"store_id": "here", "given": "there"},
    ),
    (
        StaleCheckpoint(3, 1_200),
        "a rebase moved events: what was at position 3 is superseded by position 1,200",
        {"position": 3, "superseded_by": 1_200},
    ),
    (
        StoreNotFound("/there", why="no such directory", hint="Look elsewhere."),
        "no event store at /there: no such directory",
        {"where": "/there", "hint": "Look elsewhere."},
    ),
    (UnsupportedFormat("format 9"), "format 9", {}),
    (StoreCorrupted("a blob is gone"), "a blob is gone", {}),
    (StoreUnavailable("closed", hint="Open it."), "closed", {"hint": "Open it."}),
    (FlushFailed("recorded", [1]), "recorded", {"recorded": (1,)}),
]


@pytest.mark.parametrize(("error", "message", "facts"), EXAMPLES, ids=lambda v: type(v).__name__)
def test_an_error_says_what_happened_and_carries_the_facts(
    error: EventStoreError, message: str, facts: dict[str, object]
) -> None:
    """A program reads the attributes, a person the message, and both the hint."""
    assert str(error) == message
    assert {name: getattr(error, name) for name in facts} == facts
    assert error.hint.endswith(".")
    assert error.hint not in message


@pytest.mark.parametrize(("error", "message", "facts"), EXAMPLES, ids=lambda v: type(v).__name__)
def test_an_error_crosses_processes(
    error: EventStoreError, message: str, facts: dict[str, object]
) -> None:
    """Pickled by a worker process or copied, it is the same error with the same facts."""
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert (str(again), again.hint) == (message, error.hint)
        assert vars(again) == vars(error)


def test_every_error_has_one_root_and_is_shown_above() -> None:
    """Who catches ``EventStoreError`` catches all, and each is checked by this page."""
    named = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind is not EventStoreError
    }
    assert all(issubclass(kind, EventStoreError) for kind in named)
    assert {type(error) for error, _, _ in EXAMPLES} == named
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in named)
