"""What index.db knows of the data files: how far each was looked at, and which lines are odd.

Two tables beside that of the events. ``files`` is a hint that spares reading lines again. ``odd``
names the lines that are no part of the store, by file and line: strange ones, repeated ones, and
those that wait for a version that is missing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gitstore.backends.jsonl.entries import Entry
from gitstore.backends.jsonl.lines import Line
from gitstore.backends.jsonl.scanning import NOTHING, Known

TABLES = """
CREATE TABLE files(
    name BLOB PRIMARY KEY NOT NULL,     -- relative to the layout, the file system's bytes
    size INTEGER NOT NULL,              -- up to where its lines were looked at
    lines INTEGER NOT NULL              -- how many lines that are
) WITHOUT ROWID;
CREATE TABLE odd(
    file BLOB NOT NULL,
    line INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    verdict TEXT NOT NULL,              -- strange, repeats or waits
    reason TEXT NOT NULL,
    stream_id TEXT,                     -- of a line that waits
    version INTEGER,
    PRIMARY KEY(file, offset)
) WITHOUT ROWID;
CREATE INDEX odd_waiting ON odd(stream_id, version) WHERE stream_id IS NOT NULL;
"""
_MOST_NOTED = 1_000
"""Odd lines that are named; beyond them they are counted."""


class Odd(NamedTuple):
    """A line that is no part of the store; ``place``: ``FILE:LINE``, relative to the layout."""

    place: str
    verdict: str
    reason: str


class Waiting(NamedTuple):
    """A line that is ahead of its stream; what it takes to read it again."""

    file: str
    line: int
    offset: int
    length: int


def known_files(db: sqlite3.Connection) -> dict[str, Known]:
    """How far each file was looked at."""
    rows = db.execute("SELECT name, size, lines FROM files")
    return {os.fsdecode(name): Known(size, lines) for name, size, lines in rows}


def note_file(db: sqlite3.Connection, file: str, known: Known) -> None:
    """A file was looked at up to here."""
    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (os.fsencode(file), *known))


def advance(db: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Entries were recorded; those that follow on what was looked at need not be read again."""
    known: dict[str, Known] = {}
    for entry in entries:
        at = known.get(entry.file)
        if at is None:
            at = _known(db, entry.file)
        if at.size == entry.offset:
            at = Known(at.size + len(entry.line), at.lines + 1)
        known[entry.file] = at
    for file, at in known.items():
        note_file(db, file, at)


def note_odd(
    db: sqlite3.Connection, line: Line, odd: Odd, waits_for: tuple[str, int] | None = None
) -> None:
    """A line is no part of the store; ``waits_for``: its stream and version, where it waits."""
    stream, version = waits_for or (None, None)
    values = (line.number, line.offset, line.length, odd.verdict, odd.reason, stream, version)
    db.execute(
        "INSERT OR REPLACE INTO odd VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (os.fsencode(line.file), *values),
    )


def forget_odd(db: sqlite3.Connection, file: str, offset: int | None = None) -> None:
    """A line, or with no ``offset`` all lines of a file, will be judged anew."""
    if offset is None:
        db.execute("DELETE FROM odd WHERE file = ?", (os.fsencode(file),))
    else:
        db.execute("DELETE FROM odd WHERE file = ? AND offset = ?", (os.fsencode(file), offset))


def odd_lines(db: sqlite3.Connection) -> Iterator[Odd]:
    """The odd lines by file and line, at most a thousand of them, and then how many more."""
    rows = db.execute(
        "SELECT file, line, verdict, reason FROM odd ORDER BY file, line LIMIT ?", (_MOST_NOTED,)
    ).fetchall()
    for file, number, verdict, reason in rows:
        yield Odd(place_of(os.fsdecode(file), number), verdict, reason)


def count_odd(db: sqlite3.Connection) -> dict[str, int]:
    """How many lines there are of each verdict."""
    return dict(db.execute("SELECT verdict, count(*) FROM odd GROUP BY verdict").fetchall())


def ready(db: sqlite3.Connection) -> Sequence[Waiting]:
    """The waiting lines whose turn has come, or has passed."""
    rows = db.execute(
        "SELECT file, line, offset, length FROM odd WHERE stream_id IS NOT NULL AND version <= 1 + "
        "ifnull((SELECT max(version) FROM events WHERE events.stream_id = odd.stream_id), 0) "
        "ORDER BY stream_id, version LIMIT 1000"
    )
    return [Waiting(os.fsdecode(file), *rest) for file, *rest in rows]


def place_of(file: str, line: int) -> str:
    """``FILE:LINE``, with what is no text in the file's name escaped."""
    return f"{file}:{line}".encode(errors="backslashreplace").decode()


def _known(db: sqlite3.Connection, file: str) -> Known:
    found = db.execute("SELECT size, lines FROM files WHERE name = ?", (os.fsencode(file),))
    return next((Known(*row) for row in found), NOTHING)
