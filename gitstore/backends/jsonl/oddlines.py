"""The lines that are no part of the store, as ``index.db`` notes them: by file and line.

Noted when they are looked at, so that nobody has to read the files again to name them: *strange*
ones, and those that *wait* for a version that is missing. See ``admitting``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from gitstore.backends.jsonl.lines import Line

TABLE = """
CREATE TABLE odd(
    file TEXT NOT NULL,                 -- relative to the layout
    line INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    reason TEXT NOT NULL,
    stream_id TEXT,                     -- of a line that waits, else null
    version INTEGER,
    PRIMARY KEY(file, offset)
) WITHOUT ROWID;
CREATE INDEX odd_waiting ON odd(stream_id, version) WHERE stream_id IS NOT NULL;
"""
_AT_ONCE = 1_000


def note_odd(
    db: sqlite3.Connection, line: Line, reason: str, waits_at: tuple[str, int] | None = None
) -> None:
    """A line is no part of the store; ``waits_at``: its stream and version, where it waits."""
    stream, version = waits_at or (None, None)
    values = (line.file, line.number, line.offset, line.length, reason, stream, version)
    db.execute("INSERT OR REPLACE INTO odd VALUES(?, ?, ?, ?, ?, ?, ?)", values)


def forget_line(db: sqlite3.Connection, line: Line) -> None:
    """A line is part of the store now."""
    db.execute("DELETE FROM odd WHERE file = ? AND offset = ?", (line.file, line.offset))


def forget_file(db: sqlite3.Connection, file: str) -> None:
    """All lines of a file will be judged anew."""
    db.execute("DELETE FROM odd WHERE file = ?", (file,))


def notes_of_odd(db: sqlite3.Connection) -> Iterator[str]:
    """A sentence about the odd lines there are, of each kind; none where there are none."""
    kinds = (("IS NULL", "no part of the store"), ("IS NOT NULL", "waiting for a version before"))
    for condition, what in kinds:
        found = f"FROM odd WHERE stream_id {condition}"
        count = db.execute(f"SELECT count(*) {found}").fetchone()[0]
        first = db.execute(f"SELECT file, line, reason {found} ORDER BY 1, 2 LIMIT 1").fetchall()
        for file, line, reason in first:
            lines = "1 line is" if count == 1 else f"{count:,} lines are"
            yield f"{lines} {what}, {file}:{line} first: {reason}"


def ready_lines(db: sqlite3.Connection) -> Sequence[Line]:
    """Waiting lines whose turn has come, or is past; their texts are still to be read."""
    rows = db.execute(
        "SELECT file, line, offset, length FROM odd WHERE stream_id IS NOT NULL AND version <= 1 + "
        "ifnull((SELECT max(version) FROM events WHERE events.stream_id = odd.stream_id), 0) "
        "ORDER BY stream_id, version LIMIT ?",
        (_AT_ONCE,),
    )
    return [Line(file, number, b"", offset, length) for file, number, offset, length in rows]
