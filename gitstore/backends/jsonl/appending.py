"""Appending lines to a file of which others may have their part, again and again if need be."""

from __future__ import annotations

import os
from collections.abc import Sequence


def append_lines(descriptor: int, lines: Sequence[bytes], start: int) -> list[int]:
    """Append those lines that do not stand in the file from ``start`` on; gives all their offsets.

    The beginning of the first that is missing, at the file's end, is completed; anything else
    there that has no line feed gets one.
    """
    end = os.fstat(descriptor).st_size
    after = _read(descriptor, start, end)
    offsets = _offsets(after, start)
    missing = [line for line in lines if line not in offsets]
    if missing:
        torn = after[after.rfind(b"\n") + 1 :]
        text = b"".join(missing)
        begun = len(torn) if missing[0].startswith(torn) else 0
        ends_line = begun or not end or os.pread(descriptor, 1, end - 1) == b"\n"
        _write(descriptor, text[begun:] if ends_line else b"\n" + text)
        # By the place the system wrote to: another program may have appended meanwhile.
        at = os.lseek(descriptor, 0, os.SEEK_CUR) - len(text)
        for line in missing:
            offsets[line] = at
            at += len(line)
    return [offsets[line] for line in lines]


def _read(descriptor: int, start: int, end: int) -> bytes:
    parts = []
    while start < end and (part := os.pread(descriptor, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _write(descriptor: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view) :]


def _offsets(text: bytes, start: int) -> dict[bytes, int]:
    """The whole lines of ``text``, and where they begin in a file that has it from ``start``."""
    offsets: dict[bytes, int] = {}
    for line in text.split(b"\n")[:-1]:
        offsets.setdefault(line + b"\n", start)
        start += len(line) + 1
    return offsets
