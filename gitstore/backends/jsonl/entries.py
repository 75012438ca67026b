"""Entries: recorded events with their lines, and where in the layout these stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from gitstore.backends.jsonl.layout import data_file
from gitstore.backends.jsonl.lines import encode_parts, strip_line
from gitstore.backends.table.schema import Row
from gitstore.core import canonical
from gitstore.core.errors import EventStoreError, StoreCorrupted
from gitstore.core.event import DomainEvent
from gitstore.core.timestamps import format_timestamp


class Entry(NamedTuple):
    """A recorded event and its data line.

    ``file``: relative to the layout, with ``/``; ``offset``: of the line's first byte in it;
    ``line``: as it stands there, its line feed included. A line that another program wrote need
    not be in the form that this one writes.
    """

    row: Row
    file: str
    offset: int
    line: bytes


def entry_of(row: Row, offset: int) -> Entry:
    """The entry of a row whose line is to begin at ``offset`` of its file."""
    return Entry(row, data_file(row.stream_id, row.timestamp), offset, line_of(row))


def line_of(row: Row) -> bytes:
    """The data line of a row, in the form that ``lines.encode_line`` gives."""
    return encode_parts(
        row.event_id, row.stream_id, row.type, row.version, row.timestamp, row.data, row.metadata
    )


def row_of(position: int, line: bytes, place: str) -> Row:
    """The row of a data line at this position; ``StoreCorrupted`` where it is no whole event.

    ``place`` names the line in the error.
    """
    try:
        event = DomainEvent.from_json(strip_line(line, 1))
        data, metadata = canonical.encode(event.data), canonical.encode(event.metadata, "metadata")
    except EventStoreError as error:
        raise StoreCorrupted(f"{place}: {error}") from error
    if event.id is None or event.version is None or event.timestamp is None:
        raise StoreCorrupted(f"{place}: a recorded event has an id, a version and a timestamp")
    time = format_timestamp(event.timestamp)
    return Row(position, event.stream_id, event.version, event.type, time, event.id, data, metadata)


def own_row_of(position: int, line: bytes, place: str) -> Row:
    """``row_of`` for a line that is likely to be one of ours, at a third of the cost."""
    try:
        given = orjson.loads(line)
        row = Row(
            position,
            given["streamId"],
            given["version"],
            given["type"],
            given["timestamp"],
            given["id"],
            canonical.encode_own(given["data"]),
            canonical.encode_own(given["metadata"]),
        )
        if line_of(row) == line:
            return row
    except (ValueError, KeyError, TypeError):
        pass  # said below, in full
    return row_of(position, line, place)


def by_file(entries: Iterable[Entry]) -> Mapping[str, Sequence[Entry]]:
    """Entries by the file their lines are in."""
    files: dict[str, list[Entry]] = {}
    for entry in entries:
        files.setdefault(entry.file, []).append(entry)
    return files
