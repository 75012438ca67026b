"""Mending data files: lines of the journal into files of which a crash has left a part.

What a power cut leaves of bytes that were written but not synced: all of them, some pages with
zeros in the place of others, or a shorter file. So a line goes to its own offset where nothing
stands there but remnants of itself; and to the end where somebody else's bytes do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from gitstore.backends.jsonl.appending import append_lines
from gitstore.backends.jsonl.folders import Folder


def mend_lines(folder: Folder, name: str, wanted: Sequence[tuple[int, bytes]]) -> list[int]:
    """Have these lines in a file, each once; ``wanted``: the offset each was meant for, rising.

    Gives the offsets at which they stand. The same lines again change nothing.
    """
    appending, _ = folder.open_to_append(name)
    try:
        start = wanted[0][0]
        content = bytearray(_read(appending, start))
        writing = folder.open_to_write(name)
        try:
            is_short = os.fstat(writing).st_size < start
            away = [
                pair for pair in wanted if is_short or not _in_place(writing, content, start, *pair)
            ]
            if not away:
                return [offset for offset, _ in wanted]
            _cut_zeros(writing, content, start)
        finally:
            os.close(writing)
        lines = [line for _, line in away]
        # From the first byte: where the file was shorter once, they stand before their offsets.
        found = dict(zip(lines, append_lines(appending, lines, 0), strict=True))
        return [found.get(line, offset) for offset, line in wanted]
    finally:
        os.close(appending)


def write_again(descriptor: int, start: int) -> None:
    """Write what stands in a file from ``start`` on to where it stands."""
    while part := os.pread(descriptor, 2**20, start):
        _write_at(descriptor, part, start)
        start += len(part)


def _in_place(writing: int, content: bytearray, start: int, offset: int, line: bytes) -> bool:
    """Whether the line stands at its offset, now at the latest."""
    at = offset - start
    there = bytes(content[at : at + len(line)])
    if there == line:
        return True
    if at > len(content) or any(old and old != new for old, new in zip(there, line, strict=False)):
        return False
    content[at : at + len(line)] = line
    _write_at(writing, line, offset)
    return True


def _cut_zeros(writing: int, content: bytearray, start: int) -> None:
    kept = len(content.rstrip(b"\0"))
    if kept < len(content):
        os.ftruncate(writing, start + kept)


def _read(descriptor: int, start: int) -> bytes:
    parts = []
    while part := os.pread(descriptor, 2**20, start):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _write_at(descriptor: int, line: bytes, offset: int) -> None:
    view = memoryview(line)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
