"""What both sides of a fork recorded after it: the same event, as a rebase leaves it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from gitstore.backends.git.commits import EventCommit
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import Reader, Relation, read_commit
from gitstore.backends.git.rows import recorded
from gitstore.backends.git.sameness import is_same
from gitstore.core.errors import StoreCorrupted
from gitstore.core.event import RecordedEvent

_IDS_AT_ONCE = 500


class Shared(NamedTuple):
    """An event that both sides have after the fork, and at which version each has it."""

    event_id: str
    ours: int
    theirs: int


def their_tail(
    stream: str, tip: str, relation: Relation, read: Reader
) -> Iterator[tuple[str, EventCommit]]:
    """``(commit, event)`` of theirs from ``tip`` down to the fork; the newest first.

    Raises ``StoreCorrupted`` where that is no history of the stream.
    """
    commit: str | None = tip
    for version in range(relation.fork + relation.behind, relation.fork, -1):
        event = read_commit(stream, commit or "", read)
        if event.version != version:
            raise StoreCorrupted(f"commit {commit} has version {event.version}, not {version}")
        yield commit or "", event
        commit = event.parent


def shared(
    parts: Parts, stream: str, tip: str, relation: Relation, read: Reader
) -> Iterator[Shared]:
    """The events after the fork that are also in ours after it, from their newest down.

    Of theirs some hundred are held at a time. Raises what ``their_tail`` does.
    """
    last = relation.fork + relation.ahead
    tail = (event for _, event in their_tail(stream, tip, relation, read))
    while some := list(islice(tail, _IDS_AT_ONCE)):
        ours = _by_id(parts, [event.event_id for event in some])
        for theirs in some:
            found = ours.get(theirs.event_id)
            if found and relation.fork < found.version <= last and is_same(found, theirs):
                yield Shared(theirs.event_id, found.version, theirs.version)


def _by_id(parts: Parts, event_ids: list[str]) -> dict[str, RecordedEvent]:
    """Our events with one of at most 500 ids, flushed or not; bodies are read of these alone."""
    # The journal first: what leaves it meanwhile is in the index by then.
    waiting = {row.event_id: recorded(row) for row in parts.journal.by_ids(event_ids)}
    known = list(parts.index.commits_of(event_ids))
    return {event.event.id or "": event for event in parts.index.by_ids(known)} | waiting
