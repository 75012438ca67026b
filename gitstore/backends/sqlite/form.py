"""What makes an SQLite file an event store: made, recognised, or refused before it is changed."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from pathlib import Path

from gitstore.backends.disk.connections import is_database, look_only
from gitstore.backends.disk.files import DIRECTORY_MODE, sync_directory
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.table.schema import COLUMNS
from gitstore.backends.table.tablefile import TableDamaged, TableFile, reports_damage
from gitstore.core.errors import StoreNotFound, UnsupportedFormat

VERSION = 1
"""The ``user_version`` of what this release makes and reads."""
APPLICATION_ID = 0x53634576
"""``ScEv``; the tool ``file`` shows it, and ``PRAGMA application_id``."""

_STORE = """
CREATE TABLE store(
    one INTEGER PRIMARY KEY CHECK(one = 1),
    id TEXT NOT NULL,           -- of this store: positions mean something together with it
    inode INTEGER NOT NULL      -- of this file: in a copy, which is a store of its own, another
);
"""
_OURS = {"events", "store"}
_UNIQUE = ({"id"}, {"position"}, {"stream_id", "version"})


def check_place(path: Path, *, create: bool) -> None:
    """Refuse what SQLite must not be let at; make the directory of a store that is to be made.

    Raises ``StoreNotFound``, ``UnsupportedFormat`` or ``StoreCorrupted``.
    """
    if path.exists() and not path.is_file():
        raise UnsupportedFormat(f"{path} is no regular file", hint="Give the path of a file.")
    if path.exists() and path.stat().st_size:
        if not is_database(path):
            raise UnsupportedFormat(
                f"{path} is no SQLite database",
                hint="Give another path; if it was an event store, restore it from a copy.",
            )
        _refuse_others(path)
        return
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        # SQLite would delete it: what it holds would be lost without a word.
        raise TableDamaged(
            f"{path} is gone, but not its log {log.name}, which may hold events",
            hint=f"Put {path.name} back, or restore it from a copy; to begin anew, move the log "
            "away.",
        )
    if not create:
        raise StoreNotFound(path, why="the file is empty" if path.exists() else "")
    if not path.parent.exists():
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        sync_directory(path.parent.parent)


def _refuse_others(path: Path) -> None:
    """Refuse somebody else's database before a connection that may write changes its header."""
    with contextlib.suppress(sqlite3.Error):  # damaged: told of when it is opened
        with contextlib.closing(look_only(path)) as db:
            if db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
                return
            rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
            tables = [name for (name,) in rows]
        if tables and not set(tables) >= _OURS:
            raise _foreign(path, tables)


def _foreign(path: Path, tables: list[str]) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"{path} is no event store, but a database with other tables ({', '.join(tables):.80})",
        hint="Give another path; nothing was changed.",
    )


class StoreFile(TableFile):
    """The file of an SQLite store."""

    @reports_damage
    def prepare(self, lock: FileLock, *, create: bool, tells_copies: bool) -> None:
        """Make the tables of a new store, and give a copy an id of its own.

        ``tells_copies``: whether inode numbers last on this file system. Raises ``StoreNotFound``
        or ``UnsupportedFormat`` for what is no store; nothing is changed then.
        """
        if not self._is_new(create=create) and not (tells_copies and self._is_copy()):
            return
        if self.read_only:
            return
        with lock.held():
            if self._is_new(create=create):
                self.create(APPLICATION_ID, VERSION, _STORE)
            if self._is_copy():
                self._begin_anew()

    @reports_damage
    def make_indexes_anew(self) -> None:
        """Make every index anew from the rows; under the lock.

        Left as they are where two rows have one id or one place: no index can hold both.
        """
        with contextlib.suppress(sqlite3.IntegrityError):
            self.get().execute("REINDEX")

    @reports_damage
    def store_id(self) -> str:
        """The id of the store."""
        row = self.get().execute("SELECT id FROM store").fetchone()
        if row is None:
            raise TableDamaged(f"{self.path}: table store is empty")
        return str(row[0])

    def _is_new(self, *, create: bool) -> bool:
        """Whether there are no tables yet; raises where there are other ones than ours."""
        found = self.form()
        tables = self.tables()
        if found == (APPLICATION_ID, VERSION) or (found == (0, 0) and tables):
            self._check_tables(tables)
            return False
        if found == (0, 0):
            if not create:
                raise StoreNotFound(self.path, why="the database is empty")
            return True
        if found[0] == APPLICATION_ID:
            raise UnsupportedFormat(
                f"{self.path} has schema {found[1]}, this release knows {VERSION}"
            )
        raise _foreign(self.path, tables)

    def _check_tables(self, tables: list[str]) -> None:
        """Raise unless the tables are ours; ``sqlite3 FILE .dump`` keeps them, but no numbers."""
        if not set(tables) >= _OURS:
            raise _foreign(self.path, tables)
        db = self.get()
        columns = {row[1] for row in db.execute("PRAGMA table_info(events)")}
        unique = [
            {row[2] for row in db.execute(f"PRAGMA index_info({index[1]})")}
            for index in db.execute("PRAGMA index_list(events)").fetchall()
            if index[2]
        ]
        if not columns.issuperset(COLUMNS.split(", ")) or any(key not in unique for key in _UNIQUE):
            raise _foreign(self.path, tables)

    def _is_copy(self) -> bool:
        row = self.get().execute("SELECT inode FROM store").fetchone()
        return row is None or row[0] != self.identity[1]

    def _begin_anew(self) -> None:
        db: sqlite3.Connection = self.get()
        db.execute(
            "INSERT OR REPLACE INTO store VALUES(1, ?, ?)", (str(uuid.uuid4()), self.identity[1])
        )
