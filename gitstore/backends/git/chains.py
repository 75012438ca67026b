"""Foreign chains: every commit held against FORMAT.md before any of it is taken in.

A chain is walked from its tip down to what is ours, so only what is new is read. Whoever made it
may have meant harm: an object is asked for its kind and size before it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitstore.backends.git.commits import EventCommit, check_canonical, check_follows
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.rows import row_of
from gitstore.core.errors import (
    EventStoreError,
    InvalidEvent,
    StoreCorrupted,
    UnsupportedFormat,
)
from gitstore.core.names import decode_name, encode_name, is_hashed

FAULTS = (StoreCorrupted, UnsupportedFormat, InvalidEvent)
"""What a chain that fails a check raises."""

IsOurs = Callable[[str, int, str], bool]
"""Whether our ``stream@version`` is this commit."""


def stream_of_ref(objects: Objects, name: str, tip: str) -> str:
    """The stream whose ref ``name`` is; ``StoreCorrupted`` for a name outside the encoding.

    The tip is read only where the name is a hash.
    """
    leaf = name.removeprefix(STREAMS)
    stream = decode_name(leaf)
    if stream is None and is_hashed(leaf):
        stream = objects.read_foreign(tip).stream_id
    if stream is None or encode_name(stream) != leaf:
        raise StoreCorrupted("the ref's name is not what the encoding of its stream gives")
    return stream


def new_rows(
    objects: Objects, stream: str, tip: str, head: StreamHead, is_ours: IsOurs
) -> Iterator[JournalRow]:
    """The rows of a chain down to what is ours, newest first, at position 0.

    ``head``: where our stream ends. Nothing comes where the tip is ours. The last row's version
    says where the chain leaves ours: right after the head, or below it.

    Raises ``StoreCorrupted`` or ``UnsupportedFormat`` where a commit fails a check, also after
    rows have come: they are sound only when the walk is at its end.
    """
    at: str | None = tip
    child: EventCommit | None = None
    while at is not None:
        if at == head.commit.hex():
            _check_link(child, head.version, head.date)
            return
        event = objects.read_foreign(at)
        if event.stream_id != stream:
            raise StoreCorrupted(f"commit {at} is of stream {event.stream_id!r}")
        _check_link(child, event.version, event.date)
        if event.version <= head.version and is_ours(stream, event.version, at):
            return
        yield _checked_row(objects, at, event)
        at, child = event.parent, event
    _check_link(child, 0, 0)


def why(error: EventStoreError) -> str:
    """What is wrong with a chain, in a sentence."""
    newer = "it was written by a newer version: " if isinstance(error, UnsupportedFormat) else ""
    return f"{newer}{error}"


def _check_link(child: EventCommit | None, version: int, date: int) -> None:
    """Raise unless ``child`` comes right after an event of this version and committer date."""
    if child is None:
        return
    if child.version != version + 1:
        place = f"{child.stream_id}@{child.version}"
        raise StoreCorrupted(f"{place} comes after version {version}")
    check_follows(child, date)


def _checked_row(objects: Objects, commit: str, event: EventCommit) -> JournalRow:
    data = objects.read_data(event)
    metadata = check_canonical(commit, event, data)
    return row_of(event, commit, 0, data, metadata)
