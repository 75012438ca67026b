"""What stands in data files beyond what is known of them: numbered lines, in bounded memory.

Known of a file is up to which byte its lines were looked at, and how many lines these are. It is a
hint: where the file does not go on there with a new line, it was rewritten, and is read from its
beginning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from gitstore.backends.jsonl.lines import MAX_LINE, Line, strip_line

_CHUNK = 1024 * 1024
_SHOWN = 100
"""Bytes of a line that is too long that are looked at, to say what it is."""


class Known(NamedTuple):
    """Up to where a file was looked at: ``size`` in bytes, and the ``lines`` in them."""

    size: int = 0
    lines: int = 0


NOTHING = Known()


def known_start(descriptor: int, known: Known) -> Known:
    """``known``, or ``NOTHING`` where the file has no line that begins there any more."""
    if known.size and os.pread(descriptor, 1, known.size - 1) != b"\n":
        return NOTHING
    return known


def whole_lines(
    descriptor: int, file: str, known: Known = NOTHING, to: int = sys.maxsize
) -> Iterator[Line]:
    r"""The lines after ``known`` that have their line feed, blank ones too, with empty texts.

    ``file``: its name for the lines; ``to``: the offset where the last of them must end. A last
    line without ``\n`` is being written, or was cut short: it is not given. Of a line longer than
    ``MAX_LINE`` only the beginning is.
    """
    number, offset = known.lines, known.size
    with os.fdopen(os.dup(descriptor), "rb", _CHUNK) as stream:
        stream.seek(offset)
        while text := stream.readline(MAX_LINE + 1):
            length = len(text)
            if length > MAX_LINE and not text.endswith(b"\n"):
                text = text[:_SHOWN]
                while part := stream.readline(_CHUNK):
                    length += len(part)
                    if part.endswith(b"\n"):
                        break
                else:
                    return
            elif not text.endswith(b"\n"):
                return
            if offset + length > to:
                return
            number += 1
            yield Line(file, number, strip_line(text, number), offset, length)
            offset += length


def torn_end(descriptor: int, size: int) -> bytes:
    """What stands after the last line feed of a file of ``size`` bytes, at most 64 KiB of it."""
    start = max(size - 64 * 1024, 0)
    return os.pread(descriptor, size - start, start).rpartition(b"\n")[2]


def through(line: Line) -> Known:
    """What is known of a file after this line of it."""
    return Known(line.offset + line.length, line.number)
