"""SQLite connections: one a thread, none across a fork, and the pragmas that make them safe."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from gitstore.backends.disk.files import FILE_MODE
from gitstore.core.errors import StoreUnavailable

_BUSY_SECONDS = 10
_LOG_BUSY_SECONDS = 0.1
Opener = Callable[[], sqlite3.Connection]
# A child that closed its parent's connections would take the parent's POSIX locks away.
_leaked_by_fork: list[object] = []


class ThreadConnections:
    """A connection for each thread that asks, reopened when the file is another one."""

    def __init__(self, path: Path, opener: Opener) -> None:
        self._path = path
        self._opener = opener
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._closed = False
        self._generation = 0
        self._process = os.getpid()
        self._lock = threading.Lock()

    def get(self) -> sqlite3.Connection:
        """The calling thread's connection; ``StoreUnavailable`` in a forked child."""
        if os.getpid() != self._process:
            _leaked_by_fork.append(self._all)
            raise StoreUnavailable(
                "this store was opened before a fork, in the parent process",
                hint="Open the store again in this process.",
            )
        if getattr(self._local, "generation", -1) != self._generation:
            if self._closed:
                raise StoreUnavailable(
                    "the store is closed", hint="Open it again with open_store()."
                )
            connection = self._opener()
            with self._lock:
                self._close_those_of_ended_threads()
                self._all.append((threading.current_thread(), connection))
            self._local.connection = connection
            self._local.generation = self._generation
        connection = self._local.connection
        assert isinstance(connection, sqlite3.Connection)
        return connection

    def reopen(self) -> None:
        """Give every thread a new connection from its next ``get`` on."""
        self._generation += 1

    def _close_those_of_ended_threads(self) -> None:
        for thread, connection in self._all:
            if not thread.is_alive():
                connection.close()
        self._all = [(thread, db) for thread, db in self._all if thread.is_alive()]

    def close(self) -> None:
        """Close this thread's connections and those of threads that have ended, for good.

        Closing one that another thread is reading through would crash the process; that thread's
        next ``get`` is refused, and its connection goes when it ends.
        """
        if os.getpid() == self._process:
            with self._lock:
                self._closed = True
                self._generation += 1
                self._close_those_of_ended_threads()
                for thread, connection in self._all:
                    if thread is threading.current_thread():
                        connection.close()
                self._all = []


def connect(path: Path, *, synchronous: str, wal: bool, read_only: bool) -> sqlite3.Connection:
    """Open an SQLite file for manual transactions.

    ``synchronous``: ``FULL`` makes every commit durable, ``NORMAL`` keeps it whole. Checkpoints are
    made by hand, under the write lock: SQLite before 3.51.3 can lose committed frames when a
    checkpoint races the commit that resets the log (sqlite.org/wal.html#walresetbug).
    """
    if read_only:
        return _connect_read_only(path)
    if not path.exists():
        # Made here, so that it and its -wal and -shm are nobody else's to read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'TRUNCATE'}")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA fullfsync=1")
        connection.execute("PRAGMA checkpoint_fullfsync=1")
    except UnicodeDecodeError as error:  # what SQLite says of a damaged schema quotes it
        connection.close()
        raise sqlite3.DatabaseError("the schema is damaged") from error
    except BaseException:
        connection.close()
        raise
    return connection


def fold_log(connection: sqlite3.Connection, mode: str) -> None:
    """Move the whole log into the file; ``mode``: SQLite's, of the checkpoint.

    Readers that are at it keep a part of the log: they are waited for a tenth of a second only.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(_LOG_BUSY_SECONDS * 1000)}")
    try:
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")


def _connect_read_only(path: Path) -> sqlite3.Connection:
    # Without leave to write, SQLite can open a WAL file only where no log is left to read.
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    uri = f"{path.as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """A transaction for a ``with`` block: committed at its end, rolled back by an error."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After an I/O error SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
