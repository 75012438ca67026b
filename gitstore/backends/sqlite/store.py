"""The SQLite store: the contract of ``gitstore.core.protocol`` on one table."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gitstore.backends.disk.files import disk_errors_told, holds_wal
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.sqlite.form import VERSION, StoreFile, check_place
from gitstore.backends.sqlite.maintaining import maintain
from gitstore.backends.sqlite.verifying import Verifier
from gitstore.backends.sqlite.writing import Appended, Writer
from gitstore.backends.stamping import Stamper
from gitstore.backends.table.reading import Reader
from gitstore.backends.table.table import EventTable
from gitstore.backends.table.tablefile import TableDamaged
from gitstore.core.base import BaseEventStore
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import StoreUnavailable
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.filters import EventFilter, Names
from gitstore.core.findings import Progress, VerifyReport, silent
from gitstore.core.garbage import uncollected
from gitstore.core.idempotence import Proposal
from gitstore.core.names import check_event_id, check_stream_id
from gitstore.core.protocol import Capabilities, Handler
from gitstore.core.status import StoreStatus
from gitstore.core.subscriptions import Subscriptions
from gitstore.core.upkeep import MaintainReport

_LOG = logging.getLogger("gitstore.store")
_CLOSE_SECONDS = 2.0


class SqliteEventStore(BaseEventStore):
    """Events as rows of one SQLite file. Safe for threads and processes, not over a fork.

    Made by ``open``, or by ``gitstore.open_store``. Beside the file lie SQLite's ``FILE-wal`` and
    ``FILE-shm`` while it is open, and ``FILE-lock``, which is empty and may be deleted when nobody
    has the store open.
    """

    capabilities = Capabilities(durable=True, multi_process=True, commits=False)

    def __init__(self, file: StoreFile, lock: FileLock, stamper: Stamper) -> None:
        self._file = file
        self._lock = lock
        self._process = os.getpid()
        self._closed = threading.Event()
        self._table = EventTable(file)
        self._reader = Reader(self._table, file.check_place)
        self._subscriptions = Subscriptions()
        self._writer = Writer(self._table, lock, stamper, self._subscriptions.enqueue)

    @classmethod
    def open(
        cls, path: Path, *, create: bool = True, stamper: Stamper | None = None
    ) -> SqliteEventStore:
        """Open the store at ``path``; see ``gitstore.open_store``.

        ``UnsupportedFormat`` for a file that is no SQLite database, or has other tables: it is
        left as it is.
        """
        with disk_errors_told(path):
            check_place(path, create=create)
            wal = holds_wal(path.parent)
            if not wal:
                _LOG.warning("%s is on a network file system: appends are slower there", path)
            file = StoreFile(path, wal=wal, read_only=_is_read_only(path))
            lock = FileLock(path.with_name(f"{path.name}-lock"))
            try:
                file.prepare(lock, create=create, tells_copies=wal)
            except BaseException:
                file.close()
                lock.close()
                raise
            return cls(file, lock, stamper or Stamper())

    @property
    def store_id(self) -> str:
        self._check_open()
        return self._file.store_id()

    def directory_for(self, what: str) -> Path | None:
        path = self._file.path
        return path.with_name(f"{path.name}-{what}")

    def append(self, event: DomainEvent, expected_version: ExpectedVersion = ANY) -> RecordedEvent:
        proposal = Proposal.of(*self._checked([event]))
        self._check_writable()
        return self._deliver(self._writer.append(proposal, expected_version))[0]

    def append_many(
        self,
        events: Iterable[DomainEvent],
        expected_versions: Mapping[str, ExpectedVersion] | None = None,
    ) -> list[RecordedEvent]:
        proposals = [Proposal.of(event) for event in self._checked(events)]
        return self._append(proposals, expected_versions or {})

    def append_history(self, events: Iterable[DomainEvent]) -> list[RecordedEvent]:
        return self._append([Proposal.of(event) for event in events], {})

    def append_encoded(self, events: Sequence[EncodedEvent]) -> None:
        with uncollected():
            self._append([Proposal.of_encoded(event) for event in events], {})

    def read_encoded(self, after_position: int = 0, **filters: Any) -> Iterator[EncodedEvent]:
        filters.pop("superseded", False)  # nothing here ever is
        if any(value is not None for value in filters.values()):
            return super().read_encoded(after_position, **filters)
        self._check_open()
        return self._reader.encoded(after_position)

    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        to_version: int | None = None,
        limit: int | None = None,
        backwards: bool = False,
    ) -> Iterator[RecordedEvent]:
        check_stream_id(stream_id)
        self._check_open()
        return self._reader.stream(stream_id, after_version, to_version, limit, backwards=backwards)

    def read_all(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        backwards: bool = False,
        *,
        users: Names = None,
        correlations: Names = None,
        superseded: bool = False,  # noqa: ARG002 - nothing here ever is
    ) -> Iterator[RecordedEvent]:
        wanted = EventFilter.of(types, streams, categories, users, correlations, since, until)
        self._check_open()
        return self._reader.all(wanted, after_position, limit, backwards=backwards)

    def follow(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        users: Names = None,
        correlations: Names = None,
        stop: threading.Event | None = None,
        superseded: bool = False,  # noqa: ARG002 - nothing here ever is
    ) -> Iterator[RecordedEvent]:
        wanted = EventFilter.of(types, streams, categories, users, correlations, since, until)
        self._check_open()
        end = stop or threading.Event()
        return self._reader.follow(wanted, after_position, end, self._closed)

    def streams(self, category: str | None = None) -> Iterator[str]:
        self._check_open()
        return self._reader.streams(category)

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        self._check_open()
        return self._subscriptions.add(handler)

    def find_event(self, event_id: str) -> RecordedEvent | None:
        check_event_id(event_id)
        self._check_open()
        return self._reader.by_id(event_id)

    def last_position(self) -> int:
        self._check_open()
        return self._reader.last_position()

    def status(self) -> StoreStatus:
        """The store at a glance; changes nothing."""
        self._check_open()
        self._file.check_place()
        events, streams = self._table.counts()
        return StoreStatus(
            f"sqlite:{self._file.path}",
            f"SQLite, schema {VERSION}",
            self._file.store_id(),
            events,
            streams,
            size=self._file.size(),
        )

    def verify(
        self, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
    ) -> VerifyReport:
        """Have SQLite check its file, and hold every row against the form; ``deep`` adds nothing.

        ``repair``: make SQLite's indexes anew. A row that is damaged or missing has no other
        witness: it is restored from a copy.
        """
        del deep
        self._check_open()
        self._file.check_place()
        tell = progress or silent
        report = Verifier(self._table, tell).run()
        if not repair or not any(finding.repairable for finding in report.findings):
            return report
        self._check_writable()
        with self._lock.held(), contextlib.suppress(TableDamaged):  # the next look tells of it
            self._file.make_indexes_anew()
        again = Verifier(self._table, tell).run()
        repaired = tuple(f for f in report.findings if f not in again.findings)
        return replace(again, repaired=repaired)

    def maintain(self, *, trim: bool = False, progress: Progress | None = None) -> MaintainReport:
        """Make the file small; drops nothing. Appends wait meanwhile, reads do not.

        ``trim`` changes nothing here. It takes as much free space again as the store has, for the
        time it runs; ``StoreUnavailable`` where there is none, and the store is as it was.
        """
        del trim
        self._check_writable()
        return maintain(self._file, self._lock, progress or silent)

    def close(self) -> None:
        if self._closed.is_set() or os.getpid() != self._process:
            return
        self._closed.set()
        # SQLite folds the log when the last connection goes: while nobody commits.
        locked = not self._file.read_only and self._lock.try_acquire(_CLOSE_SECONDS)
        try:
            self._file.close()
        finally:
            if locked:
                self._lock.release()
        self._lock.close()

    def _append(
        self, proposals: list[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> list[RecordedEvent]:
        self._check_writable()
        return self._deliver(self._writer.append_many(proposals, expected))

    def _deliver(self, appended: Appended) -> list[RecordedEvent]:
        if self._subscriptions:
            self._subscriptions.deliver()
        return appended.events

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise StoreUnavailable(
                "this store was opened before a fork, in the parent process",
                hint="Open the store again in this process.",
            )
        if self._closed.is_set():
            raise StoreUnavailable("the store is closed", hint="Open it again with open_store().")

    def _check_writable(self) -> None:
        self._check_open()
        if self._file.read_only:
            raise StoreUnavailable(
                f"{self._file.path} is read only",
                hint="Give yourself leave to write the file and its directory, or append to "
                "another store.",
            )


def _is_read_only(path: Path) -> bool:
    """Whether the file, or its directory, where SQLite's log must be made, may not be written."""
    return not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK))
