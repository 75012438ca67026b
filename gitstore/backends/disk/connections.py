"""SQLite connections: one a thread, none across a fork, and the pragmas that make them safe."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from gitstore.backends.disk.files import FILE_MODE, file_identity
from gitstore.core.errors import StoreUnavailable


class Connection(sqlite3.Connection):
    """A connection that knows the file it is on.

    ``identity``: device and inode of that file. ``state``: what the file and its log looked like
    where SQLite was told that they never change, else ``None``.
    """

    identity: tuple[int, int] = (0, 0)
    state: tuple[int, ...] | None = None


C = TypeVar("C", bound=Connection)
_BUSY_SECONDS = 10
_LEAST_PAGE = 512
_LOG_BUSY_SECONDS = 0.1
_alive: weakref.WeakSet[ThreadConnections[Any]] = weakref.WeakSet()
# Closed in a child, they would roll back what the parent has begun, in memory both share; closed in
# the parent, they would take the log away under a child that opens the store again.
_leaked_by_fork: list[object] = []
# The bytes SQLite locks while a database in WAL mode is open (os_unix.c): SHARED_FIRST with
# SHARED_SIZE in the file, UNIX_SHM_DMS in its shared memory.
_SHARED_BYTES = (510, 0x40000002)
_OPEN_BYTE = (1, 128)


class ThreadConnections(Generic[C]):
    """A connection for each thread that asks, reopened when the file is another one."""

    def __init__(self, path: Path, opener: Callable[[], C]) -> None:
        self._path = path
        self._opener = opener
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, C]] = []
        self._closed = False
        self._generation = 0
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._forked = False
        _alive.add(self)

    def get(self) -> C:
        """The calling thread's connection; ``StoreUnavailable`` in a forked child."""
        if os.getpid() != self._process:
            raise StoreUnavailable(
                "this store was opened before a fork, in the parent process",
                hint="Open the store again in this process.",
            )
        if getattr(self._local, "generation", -1) != self._generation:
            if self._closed:
                raise StoreUnavailable(
                    "the store is closed", hint="Open it again with open_store()."
                )
            return self._open()
        connection: C = self._local.connection
        if connection.state is not None and connection.state != _state_of(self._path):
            return self._open()
        return connection

    def alive(self) -> list[C]:
        """The connections of all threads; SQLite lets any thread use them, one at a time."""
        with self._lock:
            return [connection for _, connection in self._all]

    def reopen(self) -> None:
        """Give every thread a new connection from its next ``get`` on."""
        self._generation += 1

    def close(self) -> None:
        """Close this thread's connections and those of threads that have ended, for good.

        Closing one that another thread is reading through would crash the process; that thread's
        next ``get`` is refused, and its connection goes when it ends.
        """
        if os.getpid() == self._process:
            with self._lock:
                self._closed = True
                self._generation += 1
                if self._forked:
                    _leaked_by_fork.append(self._all)
                else:
                    self._close_those_of_ended_threads()
                    for thread, connection in self._all:
                        if thread is threading.current_thread():
                            connection.close()
                self._all = []

    def after_fork_in_parent(self) -> None:
        """Keep the log: a child's SQLite believes it is open there too."""
        if self._all:
            self._forked = True

    def after_fork_in_child(self) -> None:
        """Take the locks that SQLite, whose memory came over the fork, believes this process has.

        It takes a lock once a process, and POSIX locks do not come over a fork: without this, a
        store opened here would be open to nobody else's knowledge, and the next process to close
        it would delete the log.
        """
        memory = self._path.with_name(f"{self._path.name}-shm")
        if not self._all or not memory.exists():
            return
        _leaked_by_fork.append(self._all)
        for path, (length, start) in ((self._path, _SHARED_BYTES), (memory, _OPEN_BYTE)):
            with contextlib.suppress(OSError):  # deleted, or closing in this very moment
                # Never closed: that would give back every lock this process has on the file.
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)

    def _open(self) -> C:
        connection = self._opener()
        with self._lock:
            self._close_those_of_ended_threads()
            self._all.append((threading.current_thread(), connection))
        self._local.connection = connection
        self._local.generation = self._generation
        return connection

    def _close_those_of_ended_threads(self) -> None:
        for thread, connection in self._all:
            if not thread.is_alive():
                connection.close()
        self._all = [(thread, db) for thread, db in self._all if thread.is_alive()]


def connect(path: Path, kind: type[C], *, synchronous: str, wal: bool, read_only: bool) -> C:
    """Open an SQLite file for manual transactions.

    ``synchronous``: ``FULL`` makes every commit durable, ``NORMAL`` keeps it whole. Checkpoints are
    made by hand, under the write lock: SQLite before 3.51.3 can lose committed frames when a
    checkpoint races the commit that resets the log (sqlite.org/wal.html#walresetbug).
    """
    if read_only:
        return _connect_read_only(path, kind)
    # Made here, so that it and its -wal and -shm are nobody else's to read; one that is there is
    # not opened: see `is_database`.
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))
    identity = file_identity(path)
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=kind
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
    connection.identity = identity
    return connection


def is_database(path: Path) -> bool:
    """Whether SQLite takes this file for one of its own; one that cannot be read may be.

    SQLite is asked, but of a file that is shorter than any database: one of a single byte it takes
    for an empty one, and writes over it. To open a database and close it again by ourselves would
    give back every lock that connections of this process have on it, and the next process to close
    it would delete the log they write to (sqlite.org/howtocorrupt.html, 2.2).
    """
    if path.stat().st_size < _LEAST_PAGE:
        return False
    try:
        with contextlib.closing(look_only(path)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_NOTADB
    return True


def look_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even a header."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def fold_log(connection: sqlite3.Connection, mode: str) -> None:
    """Move the whole log into the file; ``mode``: SQLite's, of the checkpoint.

    Readers that are at it keep a part of the log: they are waited for a tenth of a second only.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(_LOG_BUSY_SECONDS * 1000)}")
    try:
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")


def _connect_read_only(path: Path, kind: type[C]) -> C:
    # Without leave to write, SQLite can open a WAL file only where no log is left to read; it is
    # then told that the file never changes, which is looked at before each use.
    state = _state_of(path)
    live = state[-1] > 0
    uri = f"{path.as_uri()}?{'mode=ro' if live else 'mode=ro&immutable=1'}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, factory=kind
    )
    connection.identity = file_identity(path)
    connection.state = None if live else state
    return connection


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes when the file or its log is written; the log's size comes last."""
    found = path.stat() if path.exists() else None
    log = path.with_name(f"{path.name}-wal")
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        size = 0
    return (found.st_ino, found.st_mtime_ns, found.st_size, size) if found else (0, 0, 0, size)


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


def _after_fork_in_parent() -> None:
    for connections in list(_alive):
        connections.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for connections in list(_alive):
        connections.after_fork_in_child()


os.register_at_fork(after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
