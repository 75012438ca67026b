"""What is about to be taken in: checked rows, put in the order in which they will arrive."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from gitstore.backends.git.indexlists import TypedRow
from gitstore.backends.git.indexschema import pack_id, words_of
from gitstore.backends.git.journalschema import JournalRow

AT_ONCE = 10_000
"""Rows of a chunk: as long as they take to record, others cannot append."""
BYTES_AT_ONCE = 32 << 20
_WRITTEN_AT_ONCE = 1_000
_WRITTEN_BYTES = 4 << 20
_COLUMNS = "stream, version, type, time, event_id, commit_id, parent, date, data, metadata, origin"
_FOR_INDEX = "packed_id, user, correlation"
"""What the index holds of an event besides; made here, where several processes share the work."""


class Chain(NamedTuple):
    """The new rows of one stream: ``first`` to ``last`` version, and the first one's date."""

    number: int
    first: int
    last: int
    date: int


class Arrivals:
    """Rows of many chains, in a database that SQLite moves to a temporary file when it grows.

    A context manager; for one thread. ``path``: a file instead, made anew; ``first``: the number
    below that of the first chain.
    """

    def __init__(self, path: Path | None = None, first: int = 0) -> None:
        if path is not None:
            path.unlink(missing_ok=True)
        # Without a name: SQLite deletes the file as soon as it is open, so no crash leaves it.
        self._db = sqlite3.connect("" if path is None else path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -16000")
        self._db.execute(f"CREATE TABLE rows(chain, {_COLUMNS}, {_FOR_INDEX})")
        self._db.execute("BEGIN")
        self._tables = ["main.rows"]
        self.files = [] if path is None else [path]
        self._chains = first
        self._dropped: set[int] = set()
        self._aside: set[int] = set()
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
                user, correlation = words_of(row.metadata)
                self._waiting.append((number, *row[1:], pack_id(row.event_id), user, correlation))
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
        self._dropped.add(number)  # looking for its rows now would take a walk through all

    def set_aside(self, number: int) -> None:
        """Leave a chain out of ``in_order``; ``of_chain`` gives it."""
        self._aside.add(number)

    def of_chain(self, number: int) -> list[JournalRow]:
        """The rows of one chain, by version; of one that was taken in by this process."""
        self._write()
        self._db.execute("CREATE INDEX IF NOT EXISTS by_chain ON rows(chain, version)")
        found = self._db.execute(
            f"SELECT 0, {_COLUMNS} FROM main.rows WHERE chain = ? ORDER BY version", (number,)
        )
        return list(map(JournalRow._make, found))

    def finish(self) -> None:
        """Write out what is here, for others to open the files; nothing can be taken any more."""
        self._write()
        dropped = json.dumps(list(self._dropped))
        for table in self._tables if self._dropped else ():
            self._db.execute(
                f"DELETE FROM {table} WHERE chain IN (SELECT value FROM json_each(?))", (dropped,)
            )
        self._db.execute("COMMIT")

    def attach(self, path: Path) -> None:
        """Take over what another process has finished, with its chains' numbers."""
        self._write()
        self._db.execute("COMMIT")  # or SQLite attaches nothing
        name = f"part{len(self._tables)}"
        self._db.execute(f"ATTACH ? AS {name}", (os.fspath(path),))
        self._db.execute(f"PRAGMA {name}.journal_mode = OFF")
        self._db.execute(f"PRAGMA {name}.synchronous = OFF")
        self._db.execute("BEGIN")
        self._tables.append(f"{name}.rows")
        self.files.append(path)

    def twins(self) -> Iterator[tuple[str, int]]:
        """Event ids that several rows have, each with the number of each row's chain."""
        self._write()
        found = self._db.execute(
            f"WITH rows AS ({self._all('event_id, chain')}) "
            "SELECT event_id, chain FROM rows WHERE event_id IN "
            "(SELECT event_id FROM rows GROUP BY event_id HAVING count(*) > 1)"
        )
        yield from (one for one in found if one[1] not in self._dropped)

    def ids(self, at_once: int) -> Iterator[list[tuple[str, bytes, int]]]:
        """Event id, commit and chain of every row, so many at once."""
        self._write()
        found = self._db.execute(self._all("event_id, commit_id, chain"))
        while some := found.fetchmany(at_once):
            yield [one for one in some if one[2] not in self._dropped]

    def in_order(self) -> Iterator[list[JournalRow]]:
        """All rows by committer date, then stream, then version, in chunks of bounded size.

        But for those of chains that were set aside. Where a row will have its position, it has its
        chain's number.
        """
        self._write()
        rows: list[JournalRow] = []
        size = 0
        for values in self._db.execute(
            f"{self._all(f'chain, {_COLUMNS}')} ORDER BY date, stream, version"
        ):
            if values[0] in self._dropped or values[0] in self._aside:
                continue
            rows.append(JournalRow._make(values))
            size += len(rows[-1].data)
            if len(rows) >= AT_ONCE or size >= BYTES_AT_ONCE:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows

    def numbered(self) -> Iterator[TypedRow]:
        """All rows in the same order without their bodies, with positions from 1 on.

        After ``finish``, when no row that was dropped is here any more.
        """
        found = self._db.execute(
            f"{self._all('time, type, stream, version, commit_id, date')} "
            "ORDER BY date, stream, version"
        )
        for position, row in enumerate(found, 1):
            yield (position, *row[:-1])

    def _all(self, columns: str) -> str:
        """The query for columns of every row."""
        return " UNION ALL ".join(f"SELECT {columns} FROM {table}" for table in self._tables)

    def _write(self) -> None:
        self._db.executemany(
            "INSERT INTO main.rows VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", self._waiting
        )
        self._waiting = []
        self._bytes = 0
