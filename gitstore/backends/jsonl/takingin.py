"""Taking in lines that other programs appended to data files: they get positions, and are events.

A scan compares the sizes of all data files with what was looked at, and reads only what came
after. What it takes in is recorded as an append is, through the journal, but that the line stands
already: so it is durable, order and position included, before anybody reads it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice

from gitstore.backends.disk.connections import transaction
from gitstore.backends.jsonl.entries import Entry
from gitstore.backends.jsonl.judging import Judge, Judged
from gitstore.backends.jsonl.lines import Line, strip_line
from gitstore.backends.jsonl.oddlines import forget_file, forget_line, note_odd, ready_lines
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.recording import record
from gitstore.backends.jsonl.recovery import bring_up
from gitstore.backends.jsonl.scanning import NOTHING, Known, known_start, through, whole_lines
from gitstore.backends.table.tablefile import told

_log = logging.getLogger("gitstore.store")
_PAGE = 500
_BATCH = 2_000
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_FILES = 16


def take_in(parts: Parts, names: Iterable[str]) -> int:
    """Take in the lines of others in these data files; gives how many became events.

    Under the lock, caught up. Afterwards the filing knows each of the files up to its last line
    feed.
    """
    try:
        bring_up(parts)
        intake = _Intake(parts)
        for name in names:
            intake.file(name)
        intake.flush()
        while intake.waiting():
            intake.flush()
    except sqlite3.Error as error:
        parts.watch.forget()
        raise told(parts.index.path, error) from error
    except BaseException:
        parts.watch.forget()
        raise
    return intake.count


class _Intake:
    """One taking in. ``count``: the lines that became events."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._db = parts.index.file.get()
        self._judge = Judge(parts.index, is_part=bool(parts.state.part))
        self._known = parts.index.known_files()
        self._entries: list[Entry] = []
        self._bytes = 0
        self._ends: dict[str, Known] = {}
        self.count = 0

    def file(self, name: str) -> None:
        """Take in what stands in a file after what was looked at."""
        known = Known(*self._known.get(name, NOTHING))
        descriptor = self._parts.filing.open(name).descriptor
        start = known_start(descriptor, known)
        if start != known:
            _log.warning("%s/%s was rewritten by another program", self._parts.where, name)
            forget_file(self._db, name)
        lines = whole_lines(descriptor, name, start)
        self._ends[name] = start
        while page := list(islice(lines, _PAGE)):
            self._take([line for line in page if line.text])
            self._ends[name] = through(page[-1])
            if self._is_full():
                self.flush()
        if self._is_full():
            self.flush()

    def waiting(self) -> bool:
        """Judge the waiting lines whose turn has come; whether there were any."""
        lines = [self._read(line) for line in ready_lines(self._db)]
        self._take(lines)
        return bool(lines)

    def flush(self) -> None:
        """Record what was taken in, then note how far the files were looked at."""
        parts = self._parts
        if self._entries:
            parts.filing.note_dirty(self._entries)
            record(parts, self._entries, stand=True)
            bring_up(parts)
            self.count += len(self._entries)
        self._judge.settle()
        self._entries, self._bytes = [], 0
        for name, known in self._ends.items():
            if self._known.get(name) != known:
                parts.index.note_file(name, *known)
            parts.filing.open(name).known = known.size
        self._ends.clear()

    def _is_full(self) -> bool:
        return (
            len(self._entries) >= _BATCH
            or self._bytes >= _BATCH_BYTES
            or len(self._ends) >= _BATCH_FILES
        )

    def _take(self, lines: Sequence[Line]) -> None:
        with transaction(self._db):
            for judged in self._judge.judged(lines):
                self._settle(judged)

    def _settle(self, judged: Judged) -> None:
        line, ruling, row = judged
        if row is None or ruling.verdict == "strange":
            note_odd(self._db, line, ruling.reason)
        elif ruling.verdict == "waits":
            note_odd(self._db, line, ruling.reason, (row.stream_id, row.version))
        else:
            forget_line(self._db, line)
            if ruling.verdict == "admitted":
                position = self._parts.tail.last + len(self._entries) + 1
                raw = self._raw(line)
                entry = Entry(row._replace(position=position), line.file, line.offset, raw)
                self._entries.append(entry)
                self._bytes += len(raw)

    def _raw(self, line: Line) -> bytes:
        return self._parts.filing.read(line.file, line.offset, line.length)

    def _read(self, line: Line) -> Line:
        return line._replace(text=strip_line(self._raw(line), line.number))
