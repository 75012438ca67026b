"""The journal: events that are durable and not in git yet. Normally empty.

One row of ``state`` says what has left it: ``flushed`` is the highest position that is in git and
in the index, ``listed`` the highest the feed lists, ``feed`` its tip at that time, ``refs`` what
the stream refs looked like.
``intent`` is the feed commit of a batch whose pack is durable and whose refs are being moved: from
that row on the batch is recorded, and whoever finds it finishes it.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar

from gitstore.backends.disk.connections import (
    Connection,
    ThreadConnections,
    connect,
    fold_log,
    transaction,
)
from gitstore.backends.disk.files import file_identity
from gitstore.backends.git.journalschema import (
    COLUMNS,
    INSERT,
    MARKS,
    SCHEMA,
    SELECT_PENDING,
    JournalRow,
    JournalState,
    select_pending,
)
from gitstore.backends.git.layout import StoreLayout
from gitstore.core.errors import StoreCorrupted, StoreUnavailable

_CHECKPOINT_PAGES = 1_000


class JournalDamaged(StoreCorrupted):
    """``journal.db`` is damaged; what can still be read is salvaged when the store is opened."""

    hint = "Close the store and open it again: that salvages what can still be read."


P = ParamSpec("P")
R = TypeVar("R")


def _reports_damage(method: Callable[P, R]) -> Callable[P, R]:
    """Turn what SQLite says of a damaged file into ``JournalDamaged``."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if any(words in str(error) for words in ("no such", "decode to UTF-8")):
                raise JournalDamaged(f"journal.db is damaged: {error}") from error
            raise StoreUnavailable(f"journal.db cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise JournalDamaged(f"journal.db is damaged: {error}") from error

    return call


class Journal:
    """``journal.db``. Every method that writes must be called under the store's write lock."""

    def __init__(self, layout: StoreLayout, *, wal: bool, read_only: bool) -> None:
        self._layout = layout
        self._wal = wal
        self._read_only = read_only
        self._connections = ThreadConnections(layout.journal, self._open)
        self._opened = (0, 0)

    @_reports_damage
    def create(self, flushed: int, feed: str, store_id: str) -> None:
        """Make the tables where they are missing; the state given is that of a new journal."""
        db = self._connections.get()
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute(
            "INSERT OR IGNORE INTO state VALUES(1, ?, ?, ?, ?, NULL, ?, ?)",
            (flushed, flushed, feed, "[]", store_id, self._opened[1]),
        )

    @_reports_damage
    def exists(self) -> bool:
        """Whether the file is there and has its tables."""
        if not self._layout.journal.exists() or not self._layout.journal.stat().st_size:
            return False
        found = self._connections.get().execute("SELECT 1 FROM sqlite_schema WHERE name='state'")
        return found.fetchone() is not None and self._state_row() is not None

    @_reports_damage
    def is_older(self) -> bool:
        """Whether an earlier release made the tables, and ``upgrade`` is due."""
        return self.exists() and select_pending(self._connections.get()) != SELECT_PENDING

    @_reports_damage
    def upgrade(self) -> None:
        """Give the tables of an earlier release what they lack."""
        if self.is_older():  # else another process was faster
            self._connections.get().execute("ALTER TABLE pending ADD COLUMN origin BLOB")

    @_reports_damage
    def is_copy(self) -> bool:
        """Whether the file was copied since it was made.

        Not told on network file systems, whose inode numbers need not last.
        """
        found = self._connections.get().execute("SELECT inode FROM state").fetchone()[0]
        return self._wal and found != self._opened[1]

    @_reports_damage
    def settle(self, feed: str, store_id: str) -> None:
        """Make a copied journal that of a store of its own; needs nothing pending."""
        self._connections.get().execute(
            "UPDATE state SET feed = ?, store_id = ?, inode = ?", (feed, store_id, self._opened[1])
        )

    @_reports_damage
    def state(self) -> JournalState:
        """What has left the journal."""
        row = self._state_row()
        assert row is not None  # `create` made it
        return JournalState(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4], row[5])

    @_reports_damage
    def highest(self) -> tuple[int, int]:
        """``(flushed, highest position given)``, from one snapshot."""
        flushed, last = (
            self._connections.get()
            .execute("SELECT flushed, (SELECT max(position) FROM pending) FROM state")
            .fetchone()
        )
        return flushed, max(flushed, last or 0)

    @_reports_damage
    def count(self) -> int:
        """Rows that are not in git yet."""
        found = self._connections.get().execute("SELECT count(*) FROM pending").fetchone()[0]
        assert isinstance(found, int)
        return found

    def insert(self, row: JournalRow, flushed: int) -> bool:
        """Make one event durable; ``False`` where ``flushed`` or its place is out of date.

        One statement: the primary key, ``UNIQUE(stream, version)`` and the condition are the
        compare-and-swap.
        """
        try:
            done = self._connections.get().execute(
                INSERT + " FROM state WHERE flushed = ? AND intent IS NULL", (*row, flushed)
            )
        except sqlite3.IntegrityError:
            return False
        return done.rowcount == 1

    def insert_many(self, rows: Sequence[JournalRow]) -> None:
        """Make several events durable, all or none."""
        db = self._connections.get()
        with transaction(db):
            db.executemany(INSERT, rows)

    @_reports_damage
    def page(
        self, after: int, before: int | None, limit: int, *, backwards: bool
    ) -> tuple[int, int, list[JournalRow]]:
        """``(flushed, highest position, rows)`` of one snapshot.

        Rows with ``after < position < before``, by position, at most ``limit``.
        """
        order = "DESC" if backwards else "ASC"
        upper = 2**63 - 1 if before is None else before
        db = self._connections.get()
        with transaction(db, "DEFERRED"):
            flushed, last = self.highest()
            # Not `last == flushed`: rows that could not leave stay below what has.
            if db.execute("SELECT 1 FROM pending LIMIT 1").fetchone() is None:
                return flushed, last, []
            rows = db.execute(
                f"{SELECT_PENDING} WHERE position > ? AND position < ? "
                f"ORDER BY position {order} LIMIT ?",
                (after, upper, limit),
            ).fetchall()
        return flushed, last, list(map(JournalRow._make, rows))

    @_reports_damage
    def stream_page(
        self, stream: str, after: int, to: int, limit: int, *, backwards: bool
    ) -> list[JournalRow]:
        """Rows of one stream with ``after < version <= to``, by version, at most ``limit``."""
        order = "DESC" if backwards else "ASC"
        rows = self._connections.get().execute(
            f"{SELECT_PENDING} WHERE stream = ? AND version > ? AND version <= ? "
            f"ORDER BY version {order} LIMIT ?",
            (stream, after, to, limit),
        )
        return list(map(JournalRow._make, rows.fetchall()))

    def pending(self, max_bytes: int) -> Iterator[JournalRow]:
        """The rows by position, until they hold ``max_bytes`` of data."""
        size = 0
        after = 0
        while size < max_bytes:
            _, _, rows = self.page(after, None, 500, backwards=False)
            if not rows:
                return
            for row in rows:
                yield row
                size += len(row.data) + len(row.metadata)
            after = rows[-1].position

    @_reports_damage
    def by_ids(self, event_ids: Sequence[str]) -> list[JournalRow]:
        """The rows with one of these event ids (at most 500)."""
        marks = ",".join("?" * len(event_ids))
        rows = self._connections.get().execute(
            f"{SELECT_PENDING} WHERE event_id IN ({marks})", list(event_ids)
        )
        return list(map(JournalRow._make, rows.fetchall()))

    @_reports_damage
    def by_commit(self, first: bytes, last: bytes) -> list[JournalRow]:
        """The rows whose commit ids lie between two ids, both inclusive."""
        rows = self._connections.get().execute(
            f"{SELECT_PENDING} WHERE commit_id BETWEEN ? AND ?", (first, last)
        )
        return list(map(JournalRow._make, rows.fetchall()))

    @_reports_damage
    def streams(self) -> list[str]:
        """The streams with rows."""
        rows = self._connections.get().execute("SELECT DISTINCT stream FROM pending")
        return [name for (name,) in rows.fetchall()]

    @_reports_damage
    def intend(self, feed: str) -> None:
        """Record that the batch of this feed commit is durable and must be finished."""
        self._connections.get().execute("UPDATE state SET intent = ?", (feed,))

    @_reports_damage
    def finish(
        self,
        gone: Sequence[JournalRow],
        listed: int,
        feed: str,
        refs: Sequence[int],
        stay: Sequence[JournalRow] = (),
    ) -> None:
        """Let rows go that are in git and index, and take over the new state, in one transaction.

        ``listed``: the highest position that ``feed``, the feed's tip, lists. ``stay``: rows of a
        batch that could not leave; those that are here already stay as they are.
        """
        flushed = max((row.position for row in gone), default=0)
        db = self._connections.get()
        with transaction(db):
            db.executemany(f"INSERT OR IGNORE INTO pending({COLUMNS}) VALUES({MARKS})", stay)
            # Of a batch that went into a pack at once, nothing was ever here.
            if db.execute("SELECT 1 FROM pending LIMIT 1").fetchone() is not None:
                db.executemany(
                    "DELETE FROM pending WHERE position = ? AND commit_id = ?",
                    [(row.position, row.commit_id) for row in gone],
                )
            db.execute(
                "UPDATE state SET flushed = max(flushed, ?), listed = max(listed, ?), feed = ?, "
                "refs = ?, intent = NULL",
                (flushed, listed, feed, json.dumps(list(refs))),
            )

    @_reports_damage
    def note_refs(self, refs: Sequence[int]) -> None:
        """Remember what the stream refs look like, after they were looked through."""
        self._connections.get().execute("UPDATE state SET refs = ?", (json.dumps(list(refs)),))

    @_reports_damage
    def restart(self, flushed: int, feed: str, store_id: str, *, renumber: bool) -> None:
        """Take over a repaired feed that lists ``flushed`` events, in one transaction.

        ``renumber``: positions were given anew, and what waits comes after them.
        """
        db = self._connections.get()
        with transaction(db):
            db.execute(
                "UPDATE state SET flushed = ?, listed = ?, feed = ?, refs = '[]', intent = NULL, "
                "store_id = ?",
                (flushed, flushed, feed, store_id),
            )
            if renumber:
                rows = db.execute("SELECT position FROM pending ORDER BY position").fetchall()
                db.execute("UPDATE pending SET position = -position")
                db.executemany(
                    "UPDATE pending SET position = ? WHERE position = ?",
                    [(flushed + n, -old) for n, (old,) in enumerate(rows, 1)],
                )

    @_reports_damage
    def checkpoint(self) -> None:
        """Move the log into the file when it has grown; the log's file keeps its size."""
        log = self._layout.journal.with_name("journal.db-wal")
        if log.exists() and log.stat().st_size > _CHECKPOINT_PAGES * 4_096:
            self._connections.get().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    @_reports_damage
    def restart_log(self) -> None:
        """Move the whole log into the file, so that it begins anew; its file keeps its size."""
        fold_log(self._connections.get(), "RESTART")

    @_reports_damage
    def check(self) -> None:
        """Raise ``sqlite3.DatabaseError`` where the file is damaged."""
        found = self._connections.get().execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    def is_replaced(self) -> bool:
        """Whether the file at the journal's path is not the one that was opened; 1 µs."""
        return self._opened != (0, 0) and file_identity(self._layout.journal) != self._opened

    @_reports_damage
    def left_behind(self) -> list[JournalRow]:
        """The rows of the file that was opened, where that is no longer at the journal's path."""
        for connection in self._connections.alive():
            if connection.identity == self._opened:
                rows = connection.execute(f"{SELECT_PENDING} ORDER BY position").fetchall()
                return list(map(JournalRow._make, rows))
        return []

    def reopen(self) -> None:
        """Open the file at the journal's path anew, in every thread."""
        self._opened = (0, 0)
        self._connections.reopen()

    def close(self) -> None:
        """Close it; the last to do so folds the log into the file."""
        self._connections.close()

    def _state_row(self) -> tuple[int, int, str, str, str | None, str] | None:
        row: tuple[int, int, str, str, str | None, str] | None = (
            self._connections.get()
            .execute("SELECT flushed, listed, feed, refs, intent, store_id FROM state")
            .fetchone()
        )
        return row

    def _open(self) -> Connection:
        connection = connect(
            self._layout.journal,
            Connection,
            synchronous="FULL",
            wal=self._wal,
            read_only=self._read_only,
        )
        if self._opened == (0, 0):
            self._opened = connection.identity
        return connection
