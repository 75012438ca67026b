"""``indexes/index.db``: the table of events that reads are made from. Derived, never synced.

Besides the events it notes how far they go: ``through``, the end of the last line of
``by-stream.idx`` that is in it; and of each data file how many of its bytes are told of
(``files``). Both change in the transaction that puts the events in, so they are never ahead of
them. It may be deleted or damaged at any moment: the data files and ``by-stream.idx`` make it
again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gitstore.backends.disk.connections import Connection
from gitstore.backends.disk.files import file_identity
from gitstore.backends.jsonl import oddlines
from gitstore.backends.jsonl.entries import Entry, by_file
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.table.table import EventTable
from gitstore.backends.table.tablefile import TableFile, reports_damage
from gitstore.core import canonical

INDEX = "index.db"
_APPLICATION = 0x5343_4A4C  # "SCJL"
_VERSION = 1
_MORE = (
    """
CREATE TABLE layout(store_id TEXT NOT NULL, part TEXT NOT NULL, through INTEGER NOT NULL);
CREATE TABLE files(name TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL, lines INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE texts(name TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
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

        self.insert([entry.row for entry in entries], note)

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
