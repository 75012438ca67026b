"""The SQLite file a table of events is in: its connections, its form, what is wrong with it."""

from __future__ import annotations

import functools
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from gitstore.backends.disk.connections import (
    Connection,
    ThreadConnections,
    connect,
    fold_log,
    transaction,
)
from gitstore.backends.table.schema import EVENTS
from gitstore.core.errors import EventStoreError, StoreCorrupted, StoreUnavailable

LOG_PAGES = 1_000
"""Pages of the log after which a commit moves them into the file."""
_CACHE_KIB = 16_000
"""Most memory of a connection: batches of events of many streams touch many pages."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class TableDamaged(StoreCorrupted):
    """The SQLite file is damaged, or has other tables."""

    hint = (
        "Keep a copy of the file, then run `sc-events verify --repair`, which makes indexes anew; "
        "anything else is restored from a copy, or saved with `sqlite3 FILE .recover`."
    )


class _HasPath(Protocol):
    @property
    def path(self) -> Path: ...


S = TypeVar("S", bound=_HasPath)
P = ParamSpec("P")
R = TypeVar("R")


def told(path: Path, error: sqlite3.Error) -> EventStoreError:
    """What an error of SQLite means for a store: ``TableDamaged`` or ``StoreUnavailable``."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGE and not isinstance(error, sqlite3.ProgrammingError):
        return TableDamaged(f"{path} is damaged: {error}")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        hint = "Another program is in a transaction on it: end that, then try again."
    else:
        hint = "Check free space and permissions there, then try again."
    return StoreUnavailable(f"{path} cannot be used: {error}", hint=hint)


def reports_damage(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Turn what SQLite says of a file into an error of ours that names it."""

    @functools.wraps(method)
    def call(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise told(self.path, error) from error

    return call  # type: ignore[return-value]  # wraps: the same but for the name of `self`


class TableFile:
    """One SQLite file with a table of events. Safe for threads; see ``ThreadConnections``.

    - ``synchronous``: ``FULL`` makes every commit durable, ``NORMAL`` keeps it whole.
    - ``wal``: whether the file system holds SQLite's log (``holds_wal``).

    Nobody else's commit resets the log while a checkpoint runs, where every transaction that
    writes is made under one lock of its user's.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str = "FULL",
        wal: bool = True,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._synchronous = synchronous
        self._wal = wal
        self._name = str(path)
        self._opened = (0, 0)
        self._connections = ThreadConnections(path, self._open)
        self.get = self._connections.get
        """Gives the calling thread's connection."""

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode of the file that is open; ``(0, 0)`` before it is."""
        return self._opened

    @reports_damage
    def create(self, application_id: int, version: int, more: str = "") -> None:
        """Make the table, and what ``more`` says in SQL, in one transaction."""
        db = self.get()
        with transaction(db):
            for statement in _statements(EVENTS + more):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {application_id}")
            db.execute(f"PRAGMA user_version = {version}")

    @reports_damage
    def form(self) -> tuple[int, int]:
        """``(application_id, user_version)`` of the file; ``(0, 0)`` of a new one."""
        db = self.get()
        numbers = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in _FORM]
        return numbers[0], numbers[1]

    @reports_damage
    def tables(self) -> list[str]:
        """The names of the tables that are there, sorted."""
        rows = self.get().execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        return [name for (name,) in rows.fetchall()]

    def check_place(self) -> None:
        """``StoreUnavailable`` where the file at the path is not the one that was opened; 1 µs."""
        try:
            found = os.stat(self._name)  # noqa: PTH116 - before each append: a third of Path.stat
        except FileNotFoundError:
            found = None
        if self._opened not in (found and (found.st_dev, found.st_ino), (0, 0)):
            raise StoreUnavailable(
                f"{self.path} was deleted or replaced while it was open",
                hint="Put the file back where it is needed still, and open the store again.",
            )

    def size(self) -> int:
        """Bytes of the file and its log."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    @reports_damage
    def fold(self, mode: str = "RESTART") -> None:
        """Move the whole log into the file; see ``fold_log``."""
        fold_log(self.get(), mode)

    def reopen(self) -> None:
        """Open the file at the path anew, in every thread."""
        self._opened = (0, 0)
        self._connections.reopen()

    def close(self) -> None:
        """Close it; the last to do so folds the log into the file."""
        self._connections.close()

    def _open(self) -> Connection:
        self.check_place()  # else a thread's first look would make a new file
        connection = connect(
            self.path,
            Connection,
            synchronous=self._synchronous,
            wal=self._wal,
            read_only=self.read_only,
        )
        if not self.read_only:
            connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        connection.execute(f"PRAGMA cache_size={-_CACHE_KIB}")
        if self._opened == (0, 0):
            self._opened = connection.identity
        return connection


_FORM = ("application_id", "user_version")


def _statements(script: str) -> Iterable[str]:
    # Not executescript, which commits what is open before it begins.
    return (statement for statement in script.split(";\n") if statement.strip())
