"""When two recordings are the same event: what a rebase leaves of an event elsewhere.

Id, stream, type, data, metadata and time are equal; version and commit differ where one of them was
put on top of something else.
"""

from __future__ import annotations

import hashlib

from gitstore.backends.git.commits import EventCommit
from gitstore.backends.git.parts import Parts
from gitstore.core import canonical
from gitstore.core.event import RecordedEvent
from gitstore.core.timestamps import to_microseconds


def is_live(parts: Parts, event: EventCommit) -> bool:
    """Whether the event is in its stream here, at whatever version, as git has it."""
    found = parts.index.by_ids([event.event_id])
    if not found or found[0].stream_id != event.stream_id or found[0].commit is None:
        return False
    return content_of(parts.objects.read_event(found[0].commit)) == content_of(event)


def content_of(event: EventCommit) -> tuple[object, ...]:
    """What stays equal when an event gets another place; of spilled data the digest says it all."""
    metadata = canonical.encode_own(event.metadata)
    return (event.type, event.time, metadata, event.data, event.size, event.digest)


def is_same(ours: RecordedEvent, theirs: EventCommit) -> bool:
    """Whether both are one event, ours as readers are given it, be it in git already or not."""
    event = ours.event
    assert event.timestamp is not None  # a recorded event has one
    return (
        event.id == theirs.event_id
        and event.stream_id == theirs.stream_id
        and event.type == theirs.type
        and to_microseconds(event.timestamp) == theirs.time
        and canonical.encode(event.metadata) == canonical.encode(theirs.metadata)
        and _is_data_of(canonical.encode(event.data), theirs)
    )


def _is_data_of(data: bytes, event: EventCommit) -> bool:
    if event.data is not None:
        return event.data == data
    return (event.size, event.digest) == (len(data), hashlib.sha256(data).hexdigest())
