"""What an import will do, line by line, in a temporary database: a million lines fit no set."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from gitstore.backends.jsonl.lines import BadLine, Line, bad_line
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import EventStoreError, InvalidEvent
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.sync.import_rules import (
    LEAVE_OUT,
    Content,
    HistoriesDisagree,
    LeftOut,
    NumberedLine,
    backwards,
    misplaced,
)

_ID_NAMESPACE = uuid.UUID("6a1f7c52-6d0b-5c0e-9d53-4f0d5a2b8e11")
_ONE_ID = f"An id names one event for ever. {LEAVE_OUT}"
_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16000;
CREATE TABLE lines(seq INTEGER PRIMARY KEY, file TEXT, line INTEGER, text_hash INTEGER,
                   id TEXT, stream TEXT, version INTEGER, time INTEGER, digest BLOB);
CREATE UNIQUE INDEX lines_by_id ON lines(id);
CREATE TABLE twins(name TEXT PRIMARY KEY, seen INTEGER) WITHOUT ROWID;
CREATE TABLE known(seq INTEGER PRIMARY KEY);
CREATE TABLE planned(seq INTEGER PRIMARY KEY, version INTEGER, stream TEXT);
CREATE TABLE problems(seq INTEGER PRIMARY KEY, file TEXT, line INTEGER, reason TEXT, hint TEXT,
                      stream TEXT, expected INTEGER, actual INTEGER);
BEGIN;
"""


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A line to append: where it stands, a hash to know it again, and what it will be.

    ``version`` is ``None`` where the file leaves it to the store.
    """

    file: str
    line: int
    text_hash: int
    id: str
    version: int | None


class ImportPlan:
    """Lines are added, then compared with a store; what is left to append comes out, in order."""

    def __init__(self, *, renumber: bool) -> None:
        self._renumber = renumber
        # A private file that SQLite deletes by itself, in memory while it is small.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._seq = 0
        self.duplicates = 0

    def close(self) -> None:
        """Give back the temporary file."""
        self._db.close()

    def add(self, line: Line, event: DomainEvent) -> None:
        """Take in one line; ``BadLine`` where its id stands for something else further up."""
        try:
            content = Content.of(event)
        except InvalidEvent as error:
            raise bad_line(line, error) from error
        event_id = event.id or self._derived_id(content)
        self._seq += 1
        place = (line.file, line.number, hash(line.text), event_id)
        added = self._db.execute(
            "INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._seq, *place, content.stream, content.version, content.time, content.digest),
        )
        if not added.rowcount:
            self._check_twin(line, event_id, content)
            self.duplicates += 1

    def reject(self, line: Line, error: BadLine) -> None:
        """Note a line that cannot be imported."""
        self._seq += 1
        self._problem(NumberedLine(self._seq, line.file, line.number, "", None, 0), error)

    def compare(self, store: BaseEventStore) -> None:
        """Find out which events ``store`` has, and where the others would stand."""
        last_position = store.last_position()
        if last_position:
            for recorded in self._recorded(store, last_position):
                self._mark_known(recorded)
        rows = self._db.execute(
            "SELECT l.seq, l.file, l.line, l.stream, l.version, k.seq IS NOT NULL "
            "FROM lines l LEFT JOIN known k ON k.seq = l.seq "
            "WHERE l.seq NOT IN (SELECT seq FROM problems) AND l.stream IN "
            "(SELECT stream FROM lines WHERE seq NOT IN (SELECT seq FROM known)) "
            "ORDER BY l.stream, l.seq"
        )
        for stream, group in groupby((NumberedLine(*row) for row in rows), lambda row: row.stream):
            self._place(group, store.stream_version(stream) if last_position else 0)
        # From here on rows are read one after the other: the store needs the memory more.
        self._db.execute("PRAGMA cache_size=-2000")
        self._db.execute("PRAGMA shrink_memory")

    def first_problem(self) -> EventStoreError | None:
        """The error of the first line that cannot be imported."""
        row = self._db.execute("SELECT * FROM problems ORDER BY seq LIMIT 1").fetchone()
        if row is None:
            return None
        _, file, line, reason, hint, stream, expected, actual = row
        if stream is not None:
            return HistoriesDisagree(file, line, stream, expected, actual)
        return BadLine(file, line, reason, hint=hint)

    def left_out(self) -> Iterator[LeftOut]:
        """The lines that cannot be imported, in the order of the input."""
        rows = self._db.execute("SELECT file, line, reason FROM problems ORDER BY seq")
        return (LeftOut(*row) for row in rows)

    def planned(self) -> Iterator[PlannedLine]:
        """The lines to append, in the order of the input."""
        rows = self._db.execute(
            "SELECT file, line, text_hash, id, planned.version "
            "FROM planned JOIN lines USING (seq) ORDER BY seq"
        )
        return (PlannedLine(*row) for row in rows)

    @property
    def new(self) -> int:
        """How many events are to be appended."""
        return self._number("SELECT count(*) FROM planned")

    @property
    def known(self) -> int:
        """How many lines name an event the store has already."""
        return self._number("SELECT count(*) FROM known")

    @property
    def streams(self) -> int:
        """How many streams get events."""
        return self._number("SELECT count(DISTINCT stream) FROM planned")

    def _number(self, query: str, *values: object) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def _derived_id(self, content: Content) -> str:
        """An id for an event without one, the same whenever this input is imported."""
        name = f"{content.digest.hex()} {content.time} {content.version}"
        if content.version is None:
            # Equal lines are different events here: count them.
            self._db.execute(
                "INSERT INTO twins VALUES (?, 1) ON CONFLICT DO UPDATE SET seen = seen + 1", (name,)
            )
            name += f" {self._number('SELECT seen FROM twins WHERE name = ?', name)}"
        return str(uuid.uuid5(_ID_NAMESPACE, name))

    def _check_twin(self, line: Line, event_id: str, content: Content) -> None:
        file, number, stream, version, time, digest = self._db.execute(
            "SELECT file, line, stream, version, time, digest FROM lines WHERE id = ?", (event_id,)
        ).fetchone()
        if self._renumber:
            version = content.version
        if content != Content(stream, version, time, digest):
            raise BadLine(
                line.file,
                line.number,
                f"event id {event_id!r} stands for another event in {file}:{number}",
                hint=_ONE_ID,
            )

    def _recorded(self, store: BaseEventStore, last_position: int) -> Iterator[RecordedEvent]:
        """The store's events of this input's ids, and perhaps others."""
        # Reading a row in passing costs an eighth of looking up one id.
        if self._number("SELECT count(*) FROM lines") * 8 >= last_position:
            yield from store.read_all()
            return
        for (event_id,) in self._db.execute("SELECT id FROM lines"):
            recorded = store.find_event(event_id)
            if recorded is not None:
                yield recorded

    def _mark_known(self, recorded: RecordedEvent) -> None:
        found = self._db.execute(
            "SELECT seq, file, line, stream, version, time, digest FROM lines WHERE id = ?",
            (recorded.event.id,),
        ).fetchone()
        if found is None:
            return
        seq, file, line, *given = found
        differs = Content(*given).difference(recorded, any_version=self._renumber)
        if not differs:
            self._db.execute("INSERT OR IGNORE INTO known VALUES (?)", (seq,))
            return
        where = f"{recorded.stream_id}@{recorded.version}"
        reason = f"event id {recorded.event.id!r} is recorded as {where} with {differs}"
        error = BadLine(file, line, reason, hint=_ONE_ID)
        self._problem(NumberedLine(seq, file, line, "", None, 0), error)

    def _place(self, rows: Iterator[NumberedLine], head: int) -> None:
        """Give the new events of one stream their versions, or say why they can have none."""
        previous: NumberedLine | None = None
        stray: NumberedLine | None = None
        for row in rows:
            if stray is not None and (row.version or head) < (stray.version or 0):
                self._problem(stray, backwards(stray, row))
                stray = None
            if row.known:
                previous = row
            elif self._renumber or row.version in (None, head + 1):
                head += 1
                # Left open where the file leaves it open: others may append meanwhile.
                version = None if row.version is None else head
                self._db.execute(
                    "INSERT INTO planned VALUES (?, ?, ?)", (row.seq, version, row.stream)
                )
                previous = row
            else:
                self._problem(row, misplaced(row, previous, head))
                stray = stray or (row if previous is None else None)

    def _problem(self, row: NumberedLine, error: BadLine | HistoriesDisagree) -> None:
        place: tuple[object, ...] = (None, None, None)
        if isinstance(error, HistoriesDisagree):
            place = (error.stream_id, error.expected, error.actual)
        self._db.execute(
            "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.seq, error.file, error.line, error.reason, error.hint, *place),
        )
