"""Reading data files from where they were read before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitstore.backends.jsonl import scanning
from gitstore.backends.jsonl.scanning import NOTHING, Known, known_start, through, whole_lines


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """The descriptor of a file with five lines, one of them blank, and the beginning of one."""
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\n \tfour \nfive\nsi")
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_lines_are_numbered_as_an_editor_numbers_them(file: int) -> None:
    """Blank lines count; ends, byte order mark and outer spaces are taken off the texts."""
    found = [(line.number, line.text, line.offset, line.length) for line in whole_lines(file, "f")]
    assert found == [
        (1, b"one", 0, 8),
        (2, b"two", 8, 4),
        (3, b"", 12, 1),
        (4, b"four", 13, 8),
        (5, b"five", 21, 5),
    ]


def test_a_last_line_without_its_line_feed_is_not_read(file: int) -> None:
    """Its writer may be at it; once it has its end it is a line like any other."""
    *_, last = whole_lines(file, "f")
    assert through(last) == Known(26, 5)
    os.pwrite(file, b"x\n", 28)
    assert [line.text for line in whole_lines(file, "f", through(last))] == [b"six"]


def test_reading_goes_on_where_it_ended(file: int) -> None:
    """From the middle on, the lines have the same numbers and offsets."""
    lines = list(whole_lines(file, "f"))
    assert list(whole_lines(file, "f", through(lines[1]))) == lines[2:]


def test_a_file_that_was_rewritten_is_read_from_its_beginning(file: int) -> None:
    """It is, where no line begins any more where the next one should."""
    assert known_start(file, Known(12, 2)) == Known(12, 2)
    assert known_start(file, Known(11, 2)) == NOTHING
    assert known_start(file, Known(1_000, 2)) == NOTHING


def test_a_line_that_is_too_long_is_given_in_part(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after it keeps its number; a file without line feeds is not read into memory."""
    monkeypatch.setattr(scanning, "MAX_LINE", 3)
    monkeypatch.setattr(scanning, "_SHOWN", 2)
    found = [(line.number, line.text, line.length) for line in whole_lines(file, "f")]
    assert found[0] == (1, b"\xef\xbb", 8)
    assert found[4] == (5, b"fi", 5)
