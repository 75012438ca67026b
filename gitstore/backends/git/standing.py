"""What a rebase leaves of an event: it stands in its stream by its id, with equal content."""

from __future__ import annotations

from gitstore.backends.git.commits import EventCommit
from gitstore.backends.git.parts import Parts
from gitstore.core import canonical


def is_live(parts: Parts, event: EventCommit) -> bool:
    """Whether an event of this id and content is in its stream here, and in git."""
    found = parts.index.by_ids([event.event_id])
    if not found or found[0].stream_id != event.stream_id or found[0].commit is None:
        return False
    return content_of(parts.objects.read_event(found[0].commit)) == content_of(event)


def content_of(event: EventCommit) -> tuple[object, ...]:
    """What stays equal when an event gets another place; of spilled data the digest says it all."""
    metadata = canonical.encode_own(event.metadata)
    return (event.type, event.time, metadata, event.data, event.size, event.digest)
