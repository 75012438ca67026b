"""``index.db`` as a file: connections, tables, logs, and what says that it is damaged."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any, ParamSpec, TypeVar

from gitstore.backends.disk.connections import (
    Connection,
    ThreadConnections,
    connect,
    fold_log,
    transaction,
)
from gitstore.backends.disk.files import file_identity
from gitstore.backends.git.indexschema import SCHEMA, VERSION
from gitstore.backends.git.layout import StoreLayout
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.names import category_of

NAMES_AT_ONCE = 500
"""Names asked for in one statement."""
_MOST_NAMES = 100_000
_MOST_WORDS = 10_000
"""Names and words kept in memory; more are looked up again."""


class IndexDamaged(StoreCorrupted):
    """``index.db`` is damaged, or was taken away; it can be rebuilt from git."""


P = ParamSpec("P")
R = TypeVar("R")


def reports_damage(method: Callable[P, R]) -> Callable[P, R]:
    """Turn what SQLite says of a damaged file into ``IndexDamaged``."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "no such column" in str(error):
                raise IndexDamaged(f"index.db has lost its tables: {error}") from error
            raise StoreUnavailable(f"index.db cannot be used: {error}") from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise IndexDamaged(f"index.db is damaged: {error}") from error

    return call


class IndexConnection(Connection):
    """A connection to ``index.db``, with the names it has looked up: numbers differ by file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stream_names: dict[int, str] = {}
        self.word_texts: dict[int, str] = {}
        self.streams: dict[str, int] = {}
        self.words: dict[str | None, int | None] = {}

    def stream_name(self, number: int) -> str:
        """The stream of this number, looked up; remembered in ``stream_names``."""
        return self._look_up(self.stream_names, "SELECT name FROM streams WHERE id = ?", number)

    def word(self, number: int) -> str:
        """The type of this number, looked up; remembered in ``word_texts``."""
        return self._look_up(self.word_texts, "SELECT word FROM words WHERE id = ?", number)

    def _look_up(self, known: dict[int, str], statement: str, number: int) -> str:
        row = self.execute(statement, (number,)).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"index.db has no name {number}")
        if len(known) >= _MOST_NAMES:
            known.clear()
        name = known[number] = str(row[0])
        return name

    def intern_streams(self, wanted: Set[str]) -> dict[str, int]:
        """The numbers of these streams, given where they have none; in a transaction."""
        found = {name: self.streams[name] for name in wanted if name in self.streams}
        missing = sorted(wanted - found.keys())
        self.executemany(
            "INSERT OR IGNORE INTO streams VALUES(NULL, ?, ?, 0, x'', 0)",
            [(name, category_of(name)) for name in missing],
        )
        found.update(self._numbers("SELECT name, id FROM streams WHERE name", missing))
        if len(self.streams) >= _MOST_NAMES:
            self.streams.clear()
        return found

    def intern_words(self, wanted: Set[str | None]) -> dict[str | None, int | None]:
        """The numbers of these words, given where they have none; in a transaction."""
        names = sorted(word for word in wanted if word is not None)
        found: dict[str | None, int | None] = {word: self.words.get(word) for word in names}
        missing = [word for word in names if found[word] is None]
        self.executemany("INSERT OR IGNORE INTO words VALUES(NULL, ?)", [(w,) for w in missing])
        found.update(self._numbers("SELECT word, id FROM words WHERE word", missing))
        found[None] = None
        if len(self.words) >= _MOST_WORDS:
            self.words.clear()
        return found

    def _numbers(self, query: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
        for start in range(0, len(names), NAMES_AT_ONCE):
            some = names[start : start + NAMES_AT_ONCE]
            yield from self.execute(f"{query} IN ({','.join('?' * len(some))})", some)


class IndexFile:
    """The file. Writers hold the store's flush lock.

    Every method raises ``IndexDamaged`` where the file is damaged or is not the one opened.
    """

    def __init__(self, layout: StoreLayout, *, wal: bool, read_only: bool) -> None:
        self._layout = layout
        self._wal = wal
        self._read_only = read_only
        self._connections = ThreadConnections(layout.index, self._open)

    @reports_damage
    def create(self) -> None:
        """Make the tables, in an empty file."""
        db = self._db()
        with transaction(db):
            for statement in SCHEMA.strip().split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @reports_damage
    def is_usable(self) -> bool:
        """Whether the file is there and has this version's tables."""
        if not self._layout.index.exists():
            return False
        db = self._db()
        return bool(db.execute("PRAGMA user_version").fetchone()[0] == VERSION)

    @reports_damage
    def state(self) -> tuple[int, str]:
        """``(through, feed)``: how far the index goes."""
        found = self._db().execute("SELECT through, feed FROM state").fetchone()
        return int(found[0]), str(found[1])

    @reports_damage
    def check(self, *, every_index: bool = False) -> None:
        """Raise ``IndexDamaged`` where SQLite finds the file damaged; reads all of it.

        ``every_index``: also that each of its indexes lists what the tables hold, 5 µs an event.
        """
        what = "integrity_check(1)" if every_index else "quick_check(1)"
        found = self._db().execute(f"PRAGMA {what}").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    @reports_damage
    def checkpoint(self) -> None:
        """Move the log into the file when it has grown; call under the flush lock."""
        log = self._layout.index.with_name("index.db-wal")
        if log.exists() and log.stat().st_size > 8 << 20:
            self._db().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    @reports_damage
    def cut_log(self) -> None:
        """Move the whole log into the file, and cut it to nothing; call under the flush lock."""
        fold_log(self._db(), "TRUNCATE")

    @reports_damage
    def give_back_space(self) -> None:
        """Write the file anew without what was dropped; readers go on meanwhile."""
        self._db().execute("VACUUM")

    def reopen(self) -> None:
        """Every thread opens the file at the index's path anew."""
        self._connections.reopen()

    def close(self) -> None:
        """Close it."""
        self._connections.close()

    def _db(self) -> IndexConnection:
        connection = self._connections.get()
        if file_identity(self._layout.index) != connection.identity:
            raise sqlite3.DatabaseError("another file is in its place")
        return connection

    def _open(self) -> IndexConnection:
        connection = connect(
            self._layout.index,
            IndexConnection,
            synchronous="NORMAL",
            wal=self._wal,
            read_only=self._read_only,
        )
        connection.execute("PRAGMA cache_size = -8000")
        return connection
