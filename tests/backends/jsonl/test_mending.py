"""Data files mended from the journal: whatever a crash left of lines, each stands there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.mending import mend_lines

BEFORE = b'{"synced":0}\n'
LINES = [b'{"id":"1","a":1}\n', b'{"id":"2","b":22}\n', b'{"id":"3"}\n']
WHOLE = BEFORE + b"".join(LINES)


def mended(tmp_path: Path, content: bytes) -> bytes:
    """What a file with this content is after mending; the offsets that are said are right."""
    path = tmp_path / "file"
    path.write_bytes(content)
    ends = [len(BEFORE) + len(b"".join(LINES[:n])) for n in range(len(LINES))]
    with Folder.at(tmp_path) as folder:
        wanted = list(zip(ends, LINES, strict=True))
        offsets = mend_lines(folder, "file", wanted)
        once = path.read_bytes()
        assert mend_lines(folder, "file", wanted) == offsets
    assert path.read_bytes() == once
    for offset, line in zip(offsets, LINES, strict=True):
        assert once[offset : offset + len(line)] == line
        assert once.count(line) == 1
    return once


@pytest.mark.parametrize("end", range(len(BEFORE), len(WHOLE) + 1))
def test_a_file_cut_anywhere_is_completed(tmp_path: Path, end: int) -> None:
    """What was not on the disk yet comes back, byte for byte."""
    assert mended(tmp_path, WHOLE[:end]) == WHOLE


@pytest.mark.parametrize("start", range(len(BEFORE), len(WHOLE), 5))
@pytest.mark.parametrize("size", [1, 9, 100])
def test_zeros_in_the_place_of_bytes_are_filled(tmp_path: Path, start: int, size: int) -> None:
    """A page that the disk never got reads as zeros, also in the middle."""
    hole = min(size, len(WHOLE) - start)
    assert mended(tmp_path, WHOLE[:start] + bytes(hole) + WHOLE[start + hole :]) == WHOLE


def test_zeros_behind_the_lines_make_no_line(tmp_path: Path) -> None:
    """A file that got longer than what was written to it."""
    assert mended(tmp_path, WHOLE[:20] + bytes(4_096)).startswith(WHOLE)


def test_what_another_program_wrote_stays(tmp_path: Path) -> None:
    """A foreign line in the place of ours is kept; ours comes after it."""
    foreign = b'{"somebody":"else"}\n'
    assert mended(tmp_path, BEFORE + foreign) == BEFORE + foreign + b"".join(LINES)


def test_a_torn_foreign_line_is_ended(tmp_path: Path) -> None:
    """Ours begins a line of its own."""
    assert mended(tmp_path, BEFORE + b"torn") == BEFORE + b"torn\n" + b"".join(LINES)


def test_a_file_that_lost_more_gets_the_lines_at_its_end(tmp_path: Path) -> None:
    """No hole is made where a file is shorter than it was when it was synced."""
    assert mended(tmp_path, b"") == b"".join(LINES)
