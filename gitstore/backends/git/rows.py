"""Between events, rows and commits: one event in its four shapes."""

from __future__ import annotations

from gitstore.backends.git.commits import (
    EventCommit,
    GitObject,
    committer_date,
    encode_commit,
)
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.objects import Objects
from gitstore.backends.stamping import Stamper
from gitstore.core import canonical
from gitstore.core.errors import StoreCorrupted
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.idempotence import Proposal
from gitstore.core.timestamps import from_microseconds, to_microseconds

NO_HEAD = StreamHead(0, b"", 0)
"""Where a stream ends that is not there yet."""


def place(
    proposal: Proposal, head: StreamHead, position: int, stamper: Stamper
) -> tuple[JournalRow, list[GitObject]]:
    """The row and objects of a proposed event after ``head``; fills in a missing id and time."""
    given = proposal.event
    timestamp = given.timestamp or stamper.clock()
    time = to_microseconds(timestamp)
    date = committer_date(time, head.date)
    event = EventCommit(
        given.stream_id,
        given.type,
        head.version + 1,
        time,
        given.id or stamper.new_id(timestamp),
        given.metadata,
        head.commit.hex() or None,
        date,
    )
    objects = encode_commit(event, proposal.data)
    row = JournalRow(
        position,
        event.stream_id,
        event.version,
        event.type,
        time,
        event.event_id,
        bytes.fromhex(objects[-1].id),
        head.commit or None,
        date,
        proposal.data,
        proposal.metadata,
    )
    return row, objects


def objects_of(row: JournalRow) -> list[GitObject]:
    """The objects of a row, its commit last; ``StoreCorrupted`` where they give another id."""
    event = EventCommit(
        row.stream,
        row.type,
        row.version,
        row.time,
        row.event_id,
        canonical.decode_own(row.metadata),
        row.parent.hex() if row.parent else None,
        row.date,
        origin=row.origin.hex() if row.origin else None,
    )
    objects = encode_commit(event, row.data)
    if objects[-1].id != row.commit_id.hex():
        raise StoreCorrupted(
            f"the journal's row of {row.stream}@{row.version} does not give its commit's id"
        )
    return objects


def is_sound(row: JournalRow) -> bool:
    """Whether a row that a damaged journal gave back is what was recorded."""
    try:
        objects_of(row)
    except (StoreCorrupted, ValueError, TypeError, AttributeError, ArithmeticError):
        return False
    return True


def row_of_commit(objects: Objects, commit: str, position: int) -> JournalRow:
    """The row of an event commit that is in git."""
    event = objects.read_event(commit)
    metadata = canonical.encode(event.metadata, "metadata")
    return row_of(event, commit, position, objects.read_data(event), metadata)


def row_of(
    event: EventCommit, commit: str, position: int, data: bytes, metadata: bytes
) -> JournalRow:
    """The row of an event that was read from ``commit``; ``data``, ``metadata``: canonical."""
    return JournalRow(
        position,
        event.stream_id,
        event.version,
        event.type,
        event.time,
        event.event_id,
        bytes.fromhex(commit),
        bytes.fromhex(event.parent) if event.parent else None,
        event.date,
        data,
        metadata,
        bytes.fromhex(event.origin) if event.origin else None,
    )


def head_of(row: JournalRow) -> StreamHead:
    """Where the row's stream ends after it."""
    return StreamHead(row.version, row.commit_id, row.date)


def recorded(row: JournalRow, replaces: int | None = None) -> RecordedEvent:
    """The recorded event of a row; ``replaces``: the position it had before a rebase."""
    return trusted_event(
        row.stream,
        row.type,
        canonical.decode_own(row.data),
        canonical.decode_own(row.metadata),
        row.event_id,
        from_microseconds(row.time),
        row.version,
        row.position,
        row.commit_id.hex(),
        replaces,
    )
