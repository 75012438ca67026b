"""A git-backed event store: every event a commit, every stream a ref.

>>> import gitstore
>>> with gitstore.open_store("memory:") as store:
...     recorded = store.append(gitstore.DomainEvent("note-1", "Noted", {"text": "Ship it"}))
>>> recorded.version
1
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitstore._version import __version__
    from gitstore.backends.opening import open_store
    from gitstore.core.base import BaseEventStore
    from gitstore.core.checkpoint import Checkpoint
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
    from gitstore.core.event import DomainEvent, RecordedEvent
    from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
    from gitstore.core.protocol import Capabilities, EventStore

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "BaseEventStore",
    "Capabilities",
    "Checkpoint",
    "DomainEvent",
    "DuplicateEventId",
    "EventStore",
    "EventStoreError",
    "ExpectedVersion",
    "FlushFailed",
    "ForeignCheckpoint",
    "InvalidEvent",
    "PartialDuplicate",
    "RecordedEvent",
    "StaleCheckpoint",
    "StoreCorrupted",
    "StoreNotFound",
    "StoreUnavailable",
    "UnsupportedFormat",
    "WrongExpectedVersion",
    "__version__",
    "open_store",
]

_HOME = {
    "__version__": "gitstore._version",
    "open_store": "gitstore.backends.opening",
    "BaseEventStore": "gitstore.core.base",
    "Checkpoint": "gitstore.core.checkpoint",
    "DomainEvent": "gitstore.core.event",
    "RecordedEvent": "gitstore.core.event",
    "Capabilities": "gitstore.core.protocol",
    "EventStore": "gitstore.core.protocol",
    **dict.fromkeys(
        ("ANY", "NO_STREAM", "STREAM_EXISTS", "ExpectedVersion"), "gitstore.core.expected"
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a command line must start in milliseconds."""
    if name not in __all__:
        raise AttributeError(f"module 'gitstore' has no attribute {name!r}")
    value = getattr(import_module(_HOME.get(name, "gitstore.core.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
