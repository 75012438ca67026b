"""Append: from proposed events to durable ones."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.heads import Heads
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import head_of, place, recorded
from gitstore.core.errors import StoreUnavailable, WrongExpectedVersion
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.expected import ExpectedVersion
from gitstore.core.idempotence import Proposal, already_recorded, check_batch_ids, check_new
from gitstore.core.timestamps import from_microseconds

BATCH_FROM = 256
"""From so many events on, a batch goes into a pack at once and not through the journal."""


class Appended(NamedTuple):
    """What an append did: ``rows`` it made of ``proposals``, or ``known`` events it found."""

    proposals: Sequence[Proposal]
    rows: Sequence[JournalRow]
    known: Sequence[RecordedEvent] = ()

    @property
    def is_new(self) -> bool:
        """Whether anything was recorded."""
        return bool(self.rows)

    def events(self) -> list[RecordedEvent]:
        """The recorded events; made when somebody wants them, which whoever copies does not."""
        return [*self.known, *map(recorded_from, self.proposals, self.rows)]


class JournalReplaced(Exception):
    """Another process put the journal aside: what is written to it now, nobody would look for."""


class _BatchCutShort(Exception):
    """Another process died in the middle of a batch, which must be finished first."""


class Writer:
    """Makes events durable, in the journal or as a pack."""

    def __init__(
        self,
        parts: Parts,
        flusher: Flusher,
        heads: Heads,
        on_recorded: Callable[[Iterable[RecordedEvent]], None],
    ) -> None:
        self._parts = parts
        self._flusher = flusher
        self._heads = heads
        self._on_recorded = on_recorded

    def append(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> Appended:
        """Record proposals, or find them recorded; see the protocol's ``append_many``."""
        ids = check_batch_ids(proposals)
        if not proposals:
            return Appended((), ())
        if len(proposals) >= BATCH_FROM:
            with self._parts.flush_lock.held():
                return self._append_batch(proposals, ids, expected)
        while True:
            try:
                with self._writing():
                    return self._append_few(proposals, ids, expected)
            except _BatchCutShort:
                with self._parts.flush_lock.held():  # which comes before the write lock
                    self._flusher.finish_intent()

    def readmit(self, rows: Sequence[JournalRow]) -> list[tuple[JournalRow, JournalRow]]:
        """Record rows that a damaged or replaced journal gave back.

        Gives (old, new) of those that had to take another place because theirs is taken.

        Events that are recorded already are passed over.
        """
        moved: list[tuple[JournalRow, JournalRow]] = []
        with self._writing():
            self._heads.forget()
            self._heads.refresh()
            for row in rows:
                if self._known([row.event_id]):
                    continue
                again, _ = place(
                    Proposal.of(recorded(row).event),
                    self._heads.get(row.stream),
                    self._heads.last + 1,
                    self._parts.stamper,
                )
                self._parts.journal.insert_many([again])
                self._heads.note([again])
                if (again.commit_id, again.position) != (row.commit_id, row.position):
                    moved.append((row, again))
        return moved

    def _append_few(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> Appended:
        while True:
            found = self._decide(proposals, ids, expected)
            if found is not None:
                return Appended((), (), found)
            rows, _ = self._place(proposals)
            if self._insert(rows):
                return self._take_over(proposals, rows)
            self._catch_up()

    def _append_batch(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> Appended:
        self._flusher.flush()
        with self._writing():
            self._heads.refresh()
            found = self._decide(proposals, ids, expected)
            if found is not None:
                return Appended((), (), found)
            rows, objects = self._place(proposals)
            if self._parts.journal.count():
                # Appended since the flush above, or stuck: arrival order needs them in front.
                self._parts.journal.insert_many(rows)
                return self._take_over(proposals, rows)
            self._flusher.record(rows, objects)
            appended = self._take_over(proposals, rows)
            self._heads.refresh()
            return appended

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._parts.write_lock.held():
            if self._parts.journal.is_replaced():
                raise JournalReplaced
            try:
                yield
            except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
                self._heads.forget()
                raise StoreUnavailable(
                    f"the journal cannot be written: {error}",
                    hint="Check free space and permissions of the store, then append again.",
                ) from error
            except BaseException:
                self._heads.forget()
                raise

    def _catch_up(self) -> None:
        """Another process was faster, or died: see what it did."""
        if self._parts.journal.state().intent is not None:
            raise _BatchCutShort
        self._heads.forget()
        self._heads.refresh()

    def _decide(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> list[RecordedEvent] | None:
        """The recorded events of a batch that is known, ``None`` where it may be recorded."""
        if self._heads.flushed < 0:
            self._heads.refresh()
        streams = dict.fromkeys([*(p.event.stream_id for p in proposals), *expected])
        self._heads.load(streams)
        versions = {stream: self._heads.get(stream).version for stream in streams}
        try:
            found = already_recorded(proposals, self._known(ids), expected, versions)
            if found is None:
                check_new(proposals, expected, versions)
        except WrongExpectedVersion:
            if self._parts.journal.highest() == (self._heads.flushed, self._heads.last):
                raise
            self._catch_up()  # others have appended: what is cached here is no ground to refuse
            return self._decide(proposals, ids, expected)
        if found is None:
            for stream in {p.event.stream_id for p in proposals}:
                if not versions[stream]:
                    self._heads.check_new_stream(stream)
        return found

    def _known(self, ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """The recorded events among these ids; the journal first, as every reader does."""
        if not ids:
            return {}
        parts = self._parts
        found: dict[str, RecordedEvent] = {}
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            events = [*map(recorded, parts.journal.by_ids(some)), *parts.index.by_ids(some)]
            found.update((event.event.id or "", event) for event in events)
        return found

    def _place(self, proposals: Sequence[Proposal]) -> tuple[list[JournalRow], list[GitObject]]:
        """Rows and objects after the streams' heads; the heads move only when they are durable."""
        rows: list[JournalRow] = []
        objects: list[GitObject] = []
        ends: dict[str, JournalRow] = {}
        position = self._heads.last
        for proposal in proposals:
            stream = proposal.event.stream_id
            position += 1
            before = ends.get(stream)
            head = self._heads.get(stream) if before is None else head_of(before)
            row, made = place(proposal, head, position, self._parts.stamper)
            ends[stream] = row
            rows.append(row)
            objects += made
        return rows, objects

    def _insert(self, rows: Sequence[JournalRow]) -> bool:
        """Make rows durable unless another process has been faster."""
        if len(rows) == 1:
            return self._parts.journal.insert(rows[0], self._heads.flushed)
        if self._parts.journal.highest() != (self._heads.flushed, self._heads.last):
            return False
        if self._parts.journal.state().intent is not None:
            return False
        self._parts.journal.insert_many(rows)
        return True

    def _take_over(self, proposals: Sequence[Proposal], rows: Sequence[JournalRow]) -> Appended:
        self._heads.note(rows)
        self._on_recorded(map(recorded_from, proposals, rows))
        return Appended(proposals, rows)


def recorded_from(proposal: Proposal, row: JournalRow) -> RecordedEvent:
    """The recorded event of a row just written."""
    return trusted_event(
        row.stream,
        row.type,
        proposal.own_data,
        proposal.own_metadata,
        row.event_id,
        from_microseconds(row.time),
        row.version,
        row.position,
        row.commit_id.hex(),
    )
