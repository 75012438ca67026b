"""``indexes/index.db``: the table of events that reads are made from. Derived, never synced.

Besides the events it notes how far they go: ``through``, the end of the last line of
``by-stream.idx`` that is in it; and of each data file how many of its bytes are told of
(``files``). Both change in the transaction that puts the events in, so they are never ahead of
them. It may be deleted or damaged at any moment: the data files and ``by-stream.idx`` make it
again. So that a damaged row is never taken for what was recorded, each has a checksum (``sums``).
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from gitstore.backends.disk.connections import Connection, transaction
from gitstore.backends.disk.files import file_identity
from gitstore.backends.jsonl import oddlines
from gitstore.backends.jsonl.entries import Entry, by_file, line_of
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.table.schema import SELECT, Row
from gitstore.backends.table.table import EventTable
from gitstore.backends.table.tablefile import TableFile, reports_damage
from gitstore.core import canonical
from gitstore.core.errors import StoreCorrupted

_APPLICATION = 0x5343_4A4C  # "SCJL"
_VERSION = 1
_PAGE = 2_000
_MOST_SAID = 10
_MORE = (
    """
CREATE TABLE layout(store_id TEXT NOT NULL, part TEXT NOT NULL, through INTEGER NOT NULL);
CREATE TABLE files(name TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL, lines INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE texts(name TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sums(position INTEGER PRIMARY KEY, sum INTEGER NOT NULL);
"""
    + oddlines.TABLE
)


class Index(EventTable):
    """The events of a layout in SQLite. Who writes holds the layout's lock."""

    def __init__(self, path: Path, *, wal: bool, read_only: bool = False) -> None:
        super().__init__(TableFile(path, synchronous="NORMAL", wal=wal, read_only=read_only))

    def create(self, state: LiveState) -> None:
        """Make the tables of an index that has nothing yet."""
        part = canonical.encode(state.part).decode().replace("'", "''")
        row = f"INSERT INTO layout VALUES('{state.store_id}', '{part}', 0);\n"
        self.file.create(_APPLICATION, _VERSION, _MORE + row)

    @reports_damage
    def state(self) -> LiveState:
        """What ``state.json`` says too, but for its ``source``."""
        found = self.file.get().execute("SELECT store_id, part FROM layout").fetchone()
        return LiveState(found[0], canonical.decode(found[1].encode()))

    def is_new(self) -> bool:
        """Whether the file has no tables."""
        return self.file.form() == (0, 0) and not self.file.tables()

    def is_known(self) -> bool:
        """Whether it is an index of this version, and has the tables of one."""
        return self.file.form() == (_APPLICATION, _VERSION) and {
            "events",
            "files",
            "layout",
            "odd",
            "sums",
            "texts",
        } <= set(self.file.tables())

    def is_replaced(self) -> bool:
        """Whether the file was removed, or another process made one anew."""
        return self.file.identity not in ((0, 0), file_identity(self.path))

    @reports_damage
    def noted(self) -> tuple[str, int, int]:
        """``(store id, through, last position)``, of one moment."""
        row: tuple[str, int, int] = (
            self.file.get()
            .execute(
                "SELECT store_id, through, (SELECT ifnull(max(position), 0) FROM events) "
                "FROM layout"
            )
            .fetchone()
        )
        return row

    def take_in(
        self, entries: Sequence[Entry], through: int, texts: Iterable[tuple[str, int]] = ()
    ) -> None:
        """Put in entries that follow on what is there; ``by-stream.idx`` tells of them up to there.

        ``texts``: the sizes of the indexes of their types, which list them too.

        Their offsets may be too low where another program wrote between; then what is told of the
        file does not grow, and a scan will pass over what is known.
        """

        def note(db: Connection) -> None:
            db.execute("UPDATE layout SET through = ?", (through,))
            db.executemany(
                "INSERT INTO files VALUES(?1, ?2, ?3) ON CONFLICT(name) DO UPDATE SET "
                "size = ?2, lines = lines + ?3",
                self._growth(db, entries),
            )
            db.executemany("INSERT OR REPLACE INTO texts VALUES(?, ?)", texts)
            db.executemany(
                "INSERT OR REPLACE INTO sums VALUES(?, ?)",
                [(entry.row.position, _sum(entry.row)) for entry in entries],
            )

        self.insert([entry.row for entry in entries], note)

    def damage(self, *, deep: bool = False) -> Iterator[str]:
        """What is wrong with it, in sentences; empty: each row is what was put in.

        Also where SQLite sees no damage. ``deep``: SQLite holds its own indexes against the rows.
        """
        try:
            yield from self._said_by_sqlite("integrity_check" if deep else "quick_check")
            yield from self._of_rows()
        except StoreCorrupted as error:
            yield str(error)

    @reports_damage
    def rows_by_ids(self, event_ids: Sequence[str]) -> list[Row]:
        """The rows with one of these ids (at most 500), in no order."""
        marks = ",".join("?" * len(event_ids))
        rows = self.file.get().execute(f"{SELECT} WHERE id IN ({marks})", event_ids)
        return [self._row(row) for row in rows]

    @reports_damage
    def notes(self) -> tuple[str, ...]:
        """Sentences about lines of others that are no events."""
        return tuple(oddlines.notes_of_odd(self.file.get()))

    @reports_damage
    def known_texts(self) -> list[tuple[str, int]]:
        """Each index of a type, and the least bytes it must have."""
        return self.file.get().execute("SELECT name, size FROM texts").fetchall()

    @reports_damage
    def known_size(self, name: str) -> int:
        """How many bytes of a data file, from the first on, are told of."""
        return self._known(self.file.get(), name)

    @reports_damage
    def known_files(self) -> Mapping[str, tuple[int, int]]:
        """Size and number of lines told of, by the name of the data file."""
        rows = self.file.get().execute("SELECT name, size, lines FROM files")
        return {name: (size, lines) for name, size, lines in rows.fetchall()}

    @reports_damage
    def note_file(self, name: str, size: int, lines: int) -> None:
        """So many bytes and lines of a data file were looked through."""
        self.file.get().execute("INSERT OR REPLACE INTO files VALUES(?, ?, ?)", (name, size, lines))

    @reports_damage
    def note_through(self, through: int) -> None:
        """What is in it ends there in ``by-stream.idx``, which was written anew."""
        self.file.get().execute("UPDATE layout SET through = ?", (through,))

    @reports_damage
    def _said_by_sqlite(self, check: str) -> list[str]:
        said = self.file.get().execute(f"PRAGMA {check}({_MOST_SAID})").fetchall()
        return [line for (line,) in said if line != "ok"]

    def _of_rows(self) -> Iterator[str]:
        """The first position whose row is not the one that was put in there."""
        position = 0
        while True:
            with transaction(self.file.get(), "DEFERRED"):  # of one moment: others may be writing
                rows, sums = self.rows_after(position, _PAGE), self._sums_after(position)
            if not rows and not sums:
                return
            for row, known in zip_longest(rows, sums):
                position += 1
                if row is None or known is None or (position, _sum(row)) != known:
                    yield f"the event at position {position:,} is not the one that was put in"
                    return

    @reports_damage
    def _sums_after(self, position: int) -> list[tuple[int, int]]:
        rows = self.file.get().execute(
            "SELECT position, sum FROM sums WHERE position > ? ORDER BY 1 LIMIT ?",
            (position, _PAGE),
        )
        return rows.fetchall()

    def _known(self, db: sqlite3.Connection, name: str) -> int:
        row = db.execute("SELECT size FROM files WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0

    def _growth(
        self, db: sqlite3.Connection, entries: Iterable[Entry]
    ) -> Iterable[tuple[str, int, int]]:
        for name, some in by_file(entries).items():
            size, lines = self._known(db, name), 0
            for entry in some:
                if entry.offset == size:
                    size += len(entry.line)
                    lines += 1
            if lines:
                yield name, size, lines


def _sum(row: Row) -> int:
    """The CRC-32 of the event's line, begun with its position."""
    return zlib.crc32(line_of(row), row.position & 0xFFFFFFFF)
