"""Holding events against the schemas: before an append, and a history that is there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitstore.core.errors import InvalidEvent, UnsupportedFormat
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.findings import Progress, silent

if TYPE_CHECKING:
    from gitstore.core.protocol import EventStore

KNOWN_TYPES = frozenset(
    (
        "ConfigurationChanged", "SessionCompleted", "SessionQueued", "SessionStarted",
        "SessionToolUsed", "SystemError", "TaskCreated", "TaskDeleted", "TaskMoved", "TaskRenamed",
        "TaskSectionUpdated", "TaskStatusChanged", "TaskUpdated", "WorktreeConflictDetected",
        "WorktreeCreated", "WorktreeRecycled",
    )
)  # fmt: skip
"""The names of ``SCHEMAS``, known without loading it: that takes longer than an append."""
_REPORT_EVERY = 1_000


def check_event(event: DomainEvent) -> None:
    """``InvalidEvent`` where the type is one of Scopecraft's and the data does not fit it."""
    if event.type in KNOWN_TYPES:
        _checks()(event)


@functools.cache
def _checks() -> Callable[[DomainEvent], None]:
    from gitstore.schemas.catalogue import SCHEMAS  # noqa: PLC0415 - see KNOWN_TYPES

    return SCHEMAS.check


@dataclass(frozen=True, slots=True)
class Misfit:
    """A recorded event whose data does not fit its type.

    ``message`` says why; ``path`` is that of the field, such as ``data.duration``, or ``None``
    where a newer version of the type wrote it.
    """

    recorded: RecordedEvent
    message: str
    path: str | None


def misfits(store: EventStore, last: int = 0, progress: Progress | None = None) -> Iterator[Misfit]:
    """The events of a store that do not fit their types, by position, lazily.

    ``last``: the store's last position, for ``progress``, which is told ``"Checking"``.
    """
    from gitstore.schemas.catalogue import SCHEMAS  # noqa: PLC0415 - see KNOWN_TYPES

    tell = progress or silent
    for count, recorded in enumerate(store.read_all(types=KNOWN_TYPES), 1):
        if count % _REPORT_EVERY == 0:
            tell("Checking", recorded.position, max(recorded.position, last))
        try:
            SCHEMAS.read(recorded.event)
        except InvalidEvent as error:
            yield Misfit(recorded, str(error), error.path)
        except UnsupportedFormat as error:
            yield Misfit(recorded, str(error), None)
