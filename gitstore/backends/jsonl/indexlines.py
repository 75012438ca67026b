"""Lines of the text indexes: made from entries, found from the end, mended at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable

from gitstore.backends.jsonl.entries import Entry
from gitstore.backends.jsonl.layout import index_files, index_line, parse_index_line

_WINDOW = 8 * 1024
"""First bytes that are looked at from the end; an index line has less."""


def index_lines(placed: Iterable[Entry]) -> dict[str, list[bytes]]:
    """The index lines of entries by file: those of the types first, ``by-stream.idx`` last."""
    lines: dict[str, list[bytes]] = {}
    every: list[bytes] = []
    by_stream = ""
    for row, file, offset, _ in placed:
        line = index_line(row.position, row.timestamp, row.stream_id, row.version, file, offset)
        by_stream, by_type = index_files(row.type)
        lines.setdefault(by_type, []).append(line)
        every.append(line)
    if every:
        lines[by_stream] = every
    return lines


def end_before(descriptor: int, position: int) -> tuple[int, int]:
    """The last position below ``position`` that an index lists, and where its line ends.

    Looks back from the end; ``(0, 0)`` where it lists none.
    """
    end = os.fstat(descriptor).st_size
    window = _WINDOW
    while True:
        start = max(end - window, 0)
        text = os.pread(descriptor, end - start, start)
        at = text.find(b"\n") + 1 if start else 0  # the first line may be cut by the window
        found = _last_in(text, at, position)
        if found is not None:
            return found[0], start + found[1]
        if not start:
            return 0, 0
        window *= 8


def mend_tail(descriptor: int, first: int, expected: bytes) -> None:
    """Make ``expected`` the lines of an index from position ``first`` on.

    What stands is kept where it is the beginning of that; else it is torn, or was never written
    by the disk, and is cut.
    """
    start = end_before(descriptor, first)[1]
    there = os.pread(descriptor, os.fstat(descriptor).st_size - start, start)
    if not expected.startswith(there):
        os.ftruncate(descriptor, start)
        there = b""
    rest = memoryview(expected)[len(there) :]
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _last_in(text: bytes, at: int, position: int) -> tuple[int, int] | None:
    found = None
    while (end := text.find(b"\n", at) + 1) > 0:
        entry = parse_index_line(text[at:end])
        if entry is not None and entry.position < position:
            found = entry.position, end
        at = end
    return found
