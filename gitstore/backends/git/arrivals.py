"""What is about to be taken in: checked rows, put in the order in which they will arrive."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

from gitstore.backends.git.journalschema import JournalRow

AT_ONCE = 10_000
"""Rows of a chunk: as long as they take to record, others cannot append."""
_BYTES_AT_ONCE = 32 << 20
_WRITTEN_AT_ONCE = 1_000
_WRITTEN_BYTES = 4 << 20
_COLUMNS = "stream, version, type, time, event_id, commit_id, parent, date, data, metadata"


class Chain(NamedTuple):
    """The new rows of one stream: ``first`` to ``last`` version, and the first one's date."""

    number: int
    first: int
    last: int
    date: int


class Arrivals:
    """Rows of many chains, in a database that SQLite moves to a temporary file when it grows.

    A context manager; for one thread.
    """

    def __init__(self) -> None:
        # Without a name: SQLite deletes the file as soon as it is open, so no crash leaves it.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA cache_size = -16000")
        self._db.execute(f"CREATE TABLE rows(chain, {_COLUMNS})")
        self._db.execute("BEGIN")
        self._chains = 0
        self._waiting: list[tuple[object, ...]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def take(self, rows: Iterable[JournalRow]) -> Chain | None:
        """Take over a chain's rows, newest first; ``None`` where there are none.

        Where ``rows`` raises, nothing of the chain is kept.
        """
        self._chains += 1
        number = self._chains
        newest = oldest = None
        try:
            for row in rows:
                self._waiting.append((number, *row[1:]))
                self._bytes += len(row.data)
                newest, oldest = newest or row, row
                if len(self._waiting) >= _WRITTEN_AT_ONCE or self._bytes >= _WRITTEN_BYTES:
                    self._write()
        except BaseException:
            self.drop(number)
            raise
        if newest is None or oldest is None:
            return None
        return Chain(number, oldest.version, newest.version, oldest.date)

    def drop(self, number: int) -> None:
        """Keep nothing of a chain."""
        self._write()
        self._db.execute("DELETE FROM rows WHERE chain = ?", (number,))

    def twins(self) -> Iterator[tuple[str, int]]:
        """Event ids that several rows have, each with the number of each row's chain."""
        self._write()
        yield from self._db.execute(
            "SELECT event_id, chain FROM rows WHERE event_id IN "
            "(SELECT event_id FROM rows GROUP BY event_id HAVING count(*) > 1)"
        )

    def ids(self, at_once: int) -> Iterator[list[tuple[str, bytes, int]]]:
        """Event id, commit and chain of every row, so many at once."""
        self._write()
        found = self._db.execute("SELECT event_id, commit_id, chain FROM rows")
        while some := found.fetchmany(at_once):
            yield some

    def in_order(self) -> Iterator[list[JournalRow]]:
        """All rows by committer date, then stream, then version, in chunks of bounded size."""
        self._write()
        rows: list[JournalRow] = []
        size = 0
        for values in self._db.execute(
            f"SELECT 0, {_COLUMNS} FROM rows ORDER BY date, stream, version"
        ):
            rows.append(JournalRow._make(values))
            size += len(rows[-1].data)
            if len(rows) >= AT_ONCE or size >= _BYTES_AT_ONCE:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows

    def _write(self) -> None:
        self._db.executemany("INSERT INTO rows VALUES(?,?,?,?,?,?,?,?,?,?,?)", self._waiting)
        self._waiting = []
        self._bytes = 0
