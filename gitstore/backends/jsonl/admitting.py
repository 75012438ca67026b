"""Which lines of a data file are part of the store: the rules, apart from any storage.

Any program may append lines. One is *admitted*, which gives its event the next position, where it
is a whole event of this file and the next of its stream. One whose event is recorded already
*repeats* it, and is passed over. One that is ahead of its stream *waits* until what is missing
comes. Every other line is *strange*: it stays where it is, and is never part of the store.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from gitstore.backends.jsonl.layout import data_file
from gitstore.backends.jsonl.lines import Line, parse_line
from gitstore.backends.table.schema import Row
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.core.idempotence import Proposal
from gitstore.core.timestamps import format_timestamp

UNPLACED = 0
"""The position of a row that has none yet."""


class StrangeLine(InvalidEvent):
    """A line that is no whole event of its file; ``reason``: why, without the line's place."""

    hint = "Correct the line, or remove it; it is no part of the store."

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}")


class Ruling(NamedTuple):
    """What becomes of a line, and where it is not admitted, why."""

    verdict: Literal["admitted", "repeats", "waits", "strange"]
    reason: str = ""


def whole_row(line: Line) -> Row:
    """The event of a line that may be part of the store; ``StrangeLine`` for any other.

    ``line.file``: relative to the layout. The row has no position yet; its time and its JSON are in
    the store's form, whatever the line's is.
    """
    try:
        event = parse_line(line)
        return _row(event, line.file)
    except InvalidEvent as error:
        raise StrangeLine(line.place, getattr(error, "reason", str(error))) from error


def rule(row: Row, head: int, known: Row | None, *, is_part: bool = False) -> Ruling:
    """What becomes of the line with this event.

    - ``head``: the version of its stream; ``known``: what is recorded under its id.
    - ``is_part``: the layout holds a part of a history, in which versions only rise.
    """
    if known is not None:
        differs = difference(row, known)
        if not differs:
            return Ruling("repeats", f"repeats the event {row.event_id!r}")
        where = f"{known.stream_id}@{known.version}"
        why = f"event id {row.event_id!r} is recorded as {where}: this line has {differs}"
        return Ruling("strange", why)
    name = f"{row.stream_id}@{row.version}"
    if row.version <= head:
        return Ruling("strange", f"{name} comes after version {head}, which is recorded")
    if row.version > head + 1 and not is_part:
        return Ruling("waits", f"{name} waits for {row.stream_id}@{head + 1}")
    return Ruling("admitted")


def difference(row: Row, known: Row) -> str:
    """What a line has that differs from what is recorded under its id; empty: nothing."""
    for field in ("stream_id", "version", "type", "timestamp", "data", "metadata"):
        if getattr(row, field) != getattr(known, field):
            name = "stream" if field == "stream_id" else field
            return f"{'other' if field in ('data', 'metadata') else 'another'} {name}"
    return ""


def _row(event: DomainEvent, file: str) -> Row:
    given = {"id": event.id, "version": event.version, "timestamp": event.timestamp}
    missing = [name for name, value in given.items() if value is None]
    if event.id is None or event.version is None or event.timestamp is None:
        raise InvalidEvent(f"the event has no {missing[0]}")
    proposal = Proposal.of(event)
    time = format_timestamp(event.timestamp)
    belongs = data_file(event.stream_id, time)
    if belongs != file:
        raise InvalidEvent(f"{event.stream_id}@{event.version} belongs into {belongs}")
    return Row(
        UNPLACED,
        event.stream_id,
        event.version,
        event.type,
        time,
        event.id,
        proposal.data,
        proposal.metadata,
    )
