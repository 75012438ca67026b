"""The lines of a layout in an order in which a store can record them.

A stream's versions ascend even where later ones have earlier days; apart from that lines come in
the order in which they arrived, which the layout's index knows. An index is a hint: what it does
not list, or has wrong, comes later or by time. Found in a temporary database, in bounded memory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.lines import Line, read_lines, strip_line
from gitstore.core.errors import InvalidEvent
from gitstore.core.timestamps import parse_timestamp, to_microseconds

_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16000;
CREATE TABLE files(id INTEGER PRIMARY KEY, name BLOB UNIQUE);
CREATE TABLE lines(file INTEGER, number INTEGER, offset INTEGER, length INTEGER,
                   stream TEXT, version INTEGER, time INTEGER);
CREATE TABLE places(file INTEGER, offset INTEGER, position INTEGER, PRIMARY KEY(file, offset))
    WITHOUT ROWID;
BEGIN;
"""
_LAST = 2**63 - 1
# What stands before a line of its stream holds it back. Lines that are no events come first, so
# that they are told of before anything else.
_ORDER = f"""
CREATE TABLE ordered AS
SELECT file, number, offset, length FROM (
    SELECT l.file, number, l.offset, length, stream, version, time,
           max(ifnull(position, {_LAST})) OVER earlier AS arrival, max(time) OVER earlier AS moment
    FROM lines l LEFT JOIN places USING (file, offset)
    WINDOW earlier AS (PARTITION BY stream ORDER BY version, l.file, l.offset
                       ROWS UNBOUNDED PRECEDING))
ORDER BY stream IS NOT NULL, arrival, moment, stream, version, file, offset
"""
_PAGE = 1_000
_REPORT_EVERY = 1_000


class Placed(NamedTuple):
    """A line, the data file it stands in, and its bytes there, with its end if it has one."""

    line: Line
    file: str
    raw: bytes


class OrderedLayout:
    """A layout whose lines can be read again and again, in one order.

    ``name``: what its files are called in messages; ``report`` is told of progress.
    """

    def __init__(self, name: str, where: Path, report: Callable[[str, int, int], object]) -> None:
        self._name = name.rstrip("/") or "/"
        self._reader = LayoutReader(where)
        # A private file that SQLite deletes by itself, in memory while it is small.
        self._db = sqlite3.connect("", isolation_level=None)
        try:
            self._db.executescript(_SCHEMA)
            self.size = sum(size for _, size in self._reader.data_files())
            self._scan(report)
            self._place()
            self._db.execute(_ORDER)
            # From here on rows are read one after the other: the store needs the memory more.
            self._db.execute("PRAGMA cache_size=-2000")
            self._db.execute("PRAGMA shrink_memory")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give back the layout's files and the temporary one."""
        self._db.close()
        self._reader.close()

    def lines(self) -> Iterator[Line]:
        """The lines that are not empty."""
        return (placed.line for placed in self.placed())

    def placed(self) -> Iterator[Placed]:
        """The same, each as it stands in its file."""
        rows = self._db.execute(
            "SELECT name, number, offset, length FROM ordered JOIN files ON files.id = file "
            "ORDER BY ordered.rowid"
        )
        rows.arraysize = _PAGE
        while page := rows.fetchmany():
            for name, number, offset, length in page:
                file = os.fsdecode(name)
                raw = self._reader.read(file, offset, length)
                line = Line(self._path(file), number, strip_line(raw, number), offset, length)
                yield Placed(line, file, raw)

    def _scan(self, report: Callable[[str, int, int], object]) -> None:
        done = 0
        for number, (file, size) in enumerate(self._reader.data_files(), 1):
            self._db.execute("INSERT INTO files VALUES (?, ?)", (number, os.fsencode(file)))
            with os.fdopen(self._reader.open(file), "rb") as stream:
                rows = ((number, *_row(line)) for line in read_lines(stream, self._path(file)))
                self._db.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            done += size
            if number % _REPORT_EVERY == 0:
                report("Ordering", min(done, self.size), self.size)

    def _path(self, file: str) -> str:
        return f"{self._name}/{file}".encode(errors="backslashreplace").decode()

    def _place(self) -> None:
        entries = (
            (e.offset, e.position, os.fsencode(e.file)) for e in self._reader.index_entries()
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO places SELECT id, ?, ? FROM files WHERE name = ?", entries
        )


def _row(line: Line) -> tuple[Any, ...]:
    """A line's place, and what decides its order where it is an event."""
    place = (line.number, line.offset, line.length)
    try:
        given = orjson.loads(line.text)
        stream, version, time = given["streamId"], given.get("version"), given.get("timestamp")
        moment = _LAST if time is None else to_microseconds(parse_timestamp(time))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidEvent):
        return (*place, None, None, None)
    number = _LAST if version is None else version
    if type(stream) is not str or type(number) is not int or not 0 < number <= _LAST:
        return (*place, None, None, None)
    return (*place, stream, number, moment)
