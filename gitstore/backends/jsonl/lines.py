"""JSON lines: from bytes to numbered lines to events, each error naming file and line."""

from __future__ import annotations

import codecs
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import orjson

from gitstore.core import canonical
from gitstore.core.errors import EventStoreError, InvalidEvent
from gitstore.core.event import DomainEvent, trusted_event
from gitstore.core.timestamps import format_timestamp, parse_timestamp

MAX_LINE = 256 * 1024 * 1024
"""Most bytes of one line: a file that is no text must not be read into memory whole."""
_GZIP = b"\x1f\x8b"
_SPOOL_IN_MEMORY = 8 * 1024 * 1024
_LINE = b'{"id":%b,"streamId":%b,"type":%b,"version":%d,"timestamp":"%b","data":%b,"metadata":%b}\n'


@functools.lru_cache(1_024)
def _text(name: str) -> bytes:
    return orjson.dumps(name)


class Line(NamedTuple):
    """One line of a file: ``file`` as people name it, ``number`` from 1, ``text`` stripped.

    ``offset`` and ``length``, in bytes: where the line begins, counted from where reading began,
    and how much of the file it takes, its end included.
    """

    file: str
    number: int
    text: bytes
    offset: int = 0
    length: int = 0

    @property
    def place(self) -> str:
        """``file:number``."""
        return f"{self.file}:{self.number}"


class BadLine(InvalidEvent):
    """A line that cannot be imported.

    ``file`` and ``line``: where it stands; ``reason``: what is wrong with it.
    """

    hint = "Correct the line and run it again; nothing was recorded."

    def __init__(self, file: str, line: int, reason: str, *, hint: str | None = None) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        super().__init__(f"{file}:{line}: {reason}", hint=hint)


def seekable(stream: BinaryIO) -> BinaryIO:
    """``stream`` itself, or where it can be read only once (a pipe) a temporary copy of it."""
    if stream.seekable():
        return stream
    # On disk from 8 MiB on, and unlinked by the system whatever becomes of this process.
    copy = tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115 - the caller's
    shutil.copyfileobj(stream, copy, 1024 * 1024)
    copy.seek(0)
    return copy  # type: ignore[return-value]  # typeshed: it is one in all but name


def size_of(stream: BinaryIO) -> int:
    """How many bytes a seekable stream has from here on; it stays where it is."""
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end - here


def read_lines(stream: BinaryIO, name: str) -> Iterator[Line]:
    r"""The lines of ``stream`` that are not empty, numbered as an editor numbers them.

    Split at ``\n`` and nowhere else: U+2028, U+0085 and a lone ``\r`` may stand inside JSON. A
    ``\r`` before the ``\n`` and a byte order mark at the start are taken off.
    """
    number = offset = 0
    while text := stream.readline(MAX_LINE + 1):
        number += 1
        if len(text) > MAX_LINE:
            raise BadLine(name, number, f"the line is longer than {MAX_LINE:,} bytes")
        stripped = strip_line(text, number)
        if stripped:
            yield Line(name, number, stripped, offset, len(text))
        offset += len(text)


def strip_line(text: bytes, number: int) -> bytes:
    """A line without its end, white space around it, and on line 1 a byte order mark."""
    if number == 1:
        text = text.removeprefix(codecs.BOM_UTF8)
    return text.strip(b" \t\r\n")


def encode_line(event: DomainEvent, time: str | None = None) -> bytes:
    """A recorded event as a line with its end, in the interface's order of keys.

    ``data`` and ``metadata`` are canonical JSON, so one event is one sequence of bytes. ``time``:
    the text of its timestamp, where that is known already.
    """
    assert event.id is not None  # a recorded event has one, and
    assert event.version is not None
    assert event.timestamp is not None
    return encode_parts(
        event.id,
        event.stream_id,
        event.type,
        event.version,
        time or format_timestamp(event.timestamp),
        canonical.encode_own(event.data),
        canonical.encode_own(event.metadata),
    )


def encode_parts(
    event_id: str, stream_id: str, kind: str, version: int, time: str, data: bytes, metadata: bytes
) -> bytes:
    """``encode_line`` of what a store keeps of an event; ``data`` and ``metadata`` canonical."""
    return _LINE % (
        orjson.dumps(event_id),
        _text(stream_id),
        _text(kind),
        version,
        time.encode(),
        data,
        metadata,
    )


def decode_again(text: bytes) -> DomainEvent:
    """The event of a text that ``DomainEvent.from_json`` has accepted, at a third of the cost."""
    given = canonical.decode_own(text)
    event_id, version, time, metadata = map(given.get, ("id", "version", "timestamp", "metadata"))
    if event_id is None or version is None or time is None or metadata is None:
        return DomainEvent.from_dict(given)
    stream, kind, data = given["streamId"], given["type"], given.get("data")
    at = parse_timestamp(time)
    return trusted_event(stream, kind, data, metadata, event_id, at, version, 0, None).event


def parse_line(
    line: Line, decode: Callable[[bytes], DomainEvent] = DomainEvent.from_json
) -> DomainEvent:
    """The event of one line; ``BadLine`` where it is none."""
    try:
        return decode(line.text)
    except EventStoreError as error:
        raise bad_line(line, error) from error


def bad_line(line: Line, error: EventStoreError) -> BadLine:
    """``error``, which says what is wrong with an event, as an error of its line."""
    return BadLine(line.file, line.number, str(error), hint=_hint(line, error))


def _hint(line: Line, error: EventStoreError) -> str | None:
    if line.text.startswith(_GZIP):
        return "It is compressed: `gzip -dc FILE | sc-events import -` reads it."
    if line.text.startswith(b"["):
        return "One event a line is read, no JSON array; `jq -c '.[]'` makes lines of an array."
    if b'"specversion"' in line.text and "no streamId" in str(error):
        return "It looks like a CloudEvent: say so with `--format cloudevents`."
    # The hint of the class speaks of appending; that of this one error says what is wrong.
    return error.hint if error.hint != type(error).hint else None
