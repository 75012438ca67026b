"""A layout that may not be written to: everything can be read, and nothing is changed.

Reads are made from an ``index.db`` in a temporary directory: a copy of the layout's own, or one
that is made from ``by-stream.idx``. It is brought up from that and from the journal as others
append. Lines that only a writer could take in are left to one.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl.filing import Filing
from gitstore.backends.jsonl.folders import Folder, writing_errors_told
from gitstore.backends.jsonl.former import former_state
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.journal import Journal
from gitstore.backends.jsonl.layout import BY_STREAM, INDEX, INDEXES
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.recovery import read_into_index
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.backends.jsonl.tail import Tail
from gitstore.backends.jsonl.verifying import check
from gitstore.backends.jsonl.watching import Watch
from gitstore.backends.stamping import Stamper
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.findings import Progress, VerifyReport, silent

LOCK = ".lock"
_HINT = "Open it once where it can be written to, or make a copy of the directory and open that."


class _ReadFolder(Folder):
    """A folder of which no file is ever opened for writing."""

    def folder(self, name: str) -> _ReadFolder:
        found = super().folder(name)
        return _ReadFolder(found.path, found.detach())

    def made(self, name: str) -> _ReadFolder:
        return self.folder(name)

    def open_to_append(self, name: str) -> tuple[int, bool]:
        return self.open_to_read(name), False

    def open_to_write(self, name: str) -> int:
        try:
            return self.open_to_read(name)
        except FileNotFoundError:  # a layout of the former version has no journal
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


class ReadOnlyJsonlStore(JsonlEventStore):
    """A JSONL store whose directory may not be written to; appends are refused."""

    def __init__(self, parts: Parts, scratch: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(parts, takes_events=False)
        self._scratch = scratch

    @classmethod
    def at(cls, where: Path) -> ReadOnlyJsonlStore:
        """Open the layout at ``where``, in which nothing may be written."""
        with writing_errors_told(f"the temporary index of {where}"):
            scratch = tempfile.TemporaryDirectory(prefix="jsonl-index-", ignore_cleanup_errors=True)
            try:
                return cls(_parts(where, Path(scratch.name)), scratch)
            except BaseException:
                scratch.cleanup()
                raise

    def verify(
        self, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
    ) -> VerifyReport:
        if repair:
            raise self._refused()
        self._look()
        found = tuple(check(self._parts, progress or silent, self._look, deep=deep))
        events, streams = self._parts.index.counts()
        return VerifyReport(found, events, streams)

    def close(self) -> None:
        if self._end():
            self._parts.close()
            self._scratch.cleanup()

    def _check_writable(self) -> None:
        self._check_open()
        raise self._refused()

    def _look(self) -> None:
        self._check_open()
        parts = self._parts
        if parts.journal.has_news() or parts.filing.has_news():
            if parts.filing.is_replaced():
                raise StoreUnavailable(
                    f"the indexes of {parts.where} were made anew while it was open",
                    hint="Open it again: events may have other positions now.",
                )
            _bring_up(parts)

    def _refused(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._parts.where} may not be written to",
            hint="Nothing was recorded; ask for leave to write there, or copy the store.",
        )


def _parts(where: Path, scratch: Path) -> Parts:
    root = _ReadFolder.at(where)
    try:
        indexes = root.folder(INDEXES)
        state = LiveState.load(indexes)
        if state is not None and state.replacing:
            raise _not_readable(where, "it is half replaced by one that was made anew")
        parts = Parts(
            where,
            root,
            indexes,
            FileLock(scratch / LOCK),
            Journal(indexes),
            Filing(root),
            Index(scratch / INDEX, wal=False),
            Tail(),
            state or former_state(indexes) or LiveState(str(uuid.uuid4())),
            Stamper(),
            Watch(where),
        )
    except FileNotFoundError as error:
        root.close()
        raise _not_readable(where, str(error)) from error
    try:
        _fill(parts)
    except BaseException:
        parts.close()
        raise
    now = LiveState.load(indexes)
    if now is not None and (now.replacing or now.store_id != parts.state.store_id):
        parts.close()
        raise _not_readable(where, "it was made anew while it was opened")
    return parts


def _fill(parts: Parts) -> None:
    """Copy ``index.db`` where it is whole; then take in what else ``by-stream.idx`` has."""
    original = Index(parts.where / INDEXES / INDEX, wal=False, read_only=True)
    try:
        with suppress(StoreCorrupted, StoreUnavailable, sqlite3.Error):
            if original.path.exists() and original.is_known():
                original.file.get().backup(parts.index.file.get())
                _bring_up(parts)
                return
    finally:
        original.file.close()
    parts.index.file.reopen()
    parts.index.path.unlink(missing_ok=True)
    parts.index.create(parts.state)
    try:
        _bring_up(parts)
    except (StoreCorrupted, FileNotFoundError) as error:
        raise _not_readable(parts.where, str(error)) from error
    with LayoutReader(parts.where) as reader:
        if not parts.index.last_position() and any(size for _, size in reader.data_files()):
            raise _not_readable(parts.where, f"{BY_STREAM} lists nothing")


def _bring_up(parts: Parts) -> None:
    # The journal first: what is filed and gone from it meanwhile, by-stream.idx lists.
    journaled = [entry for blob in parts.journal.every() for entry in blob]
    parts.filing.take_over()
    read_into_index(parts, max(parts.filing.last()[0], parts.index.last_position()))
    _, through, last = parts.index.noted()
    fresh = [entry for entry in journaled if entry.row.position > last]
    if fresh:
        parts.index.take_in(fresh, through)


def _not_readable(where: Path, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{where} may not be written to, and its indexes cannot be made anew there: {why}",
        hint=_HINT,
    )


def is_read_only(where: Path) -> bool:
    """Whether there is a layout that this process may read and not write."""
    return where.is_dir() and not os.access(where, os.W_OK)
