"""Append: from proposed events to recorded ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gitstore.backends.jsonl.entries import Entry, line_of
from gitstore.backends.jsonl.folders import writing_error
from gitstore.backends.jsonl.layout import data_file, index_files
from gitstore.backends.jsonl.parting import check_part, recorded_of_part
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.preparing import keep_up, restore
from gitstore.backends.jsonl.recording import record
from gitstore.backends.table.schema import Row
from gitstore.core.event import RecordedEvent, trusted_event
from gitstore.core.expected import ANY, ExpectedVersion, check_expected
from gitstore.core.idempotence import Proposal, already_recorded, check_batch_ids, check_new
from gitstore.core.timestamps import format_timestamp


class Appended(NamedTuple):
    """What an append did: the recorded events, and whether they are new."""

    events: list[RecordedEvent]
    is_new: bool


class Writer:
    """Records events in a layout.

    - ``take_in``: called under the lock with a data file that has grown by others' hands; records
      what they wrote.
    - ``on_recorded``: called under the lock with each append's events.
    """

    def __init__(
        self,
        parts: Parts,
        take_in: Callable[[str], None],
        on_recorded: Callable[[Sequence[RecordedEvent]], None],
    ) -> None:
        self._parts = parts
        self._take_in = take_in
        self._on_recorded = on_recorded

    def append(self, proposal: Proposal, belief: ExpectedVersion) -> Appended:
        """Record one event, or find it recorded; see the protocol's ``append``."""

        def record_one() -> Appended:
            event = self._record_next(proposal, belief)
            if event is not None:
                return Appended([event], is_new=True)
            stream = proposal.event.stream_id
            return self._append([proposal], check_batch_ids([proposal]), {stream: belief})

        return self._locked(record_one)

    def append_many(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> Appended:
        """Record proposals, or find them recorded; see the protocol's ``append_many``."""
        ids = check_batch_ids(proposals)
        if not proposals:
            return Appended([], is_new=False)
        return self._locked(lambda: self._append(proposals, ids, expected))

    def _locked(self, work: Callable[[], Appended]) -> Appended:
        parts = self._parts
        # Not `writing_errors_told`: see `_record_next`.
        try:
            with parts.lock.held():
                keep_up(parts)
                appended = work()
                if appended.is_new:
                    self._on_recorded(appended.events)
        except (OSError, sqlite3.Error) as error:
            raise writing_error(str(parts.where), error) from error
        return appended

    def _record_next(self, proposal: Proposal, belief: ExpectedVersion) -> RecordedEvent | None:
        """Record an event where nothing is to be weighed; ``None``: ``_append`` must decide.

        After the disk was waited for, Python's code is in no cache any more: what is left out here
        counts three times.
        """
        parts, given = self._parts, proposal.event
        if parts.state.part or (given.id is not None and self._known([given.id])):
            return None
        head, last = self._head(given.stream_id), parts.tail.last
        if belief is not ANY:
            check_expected(given.stream_id, belief, head)
        if given.version not in (None, head + 1):
            return None
        entry, event = self._placed(proposal, head + 1, last + 1, None)
        if parts.tail.last != last:
            return None  # others' lines were taken in, and came first
        record(parts, [entry])
        return event

    def _append(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> Appended:
        parts = self._parts
        while True:
            found = self._decide(proposals, ids, expected)
            if found is not None:
                return Appended(found, is_new=False)
            last = parts.tail.last
            entries, events = self._place(proposals)
            if parts.tail.last == last:
                break  # else others' lines were taken in, and came first
        record(parts, entries)
        return Appended(events, is_new=True)

    def _decide(
        self,
        proposals: Sequence[Proposal],
        ids: Sequence[str],
        expected: Mapping[str, ExpectedVersion],
    ) -> list[RecordedEvent] | None:
        """The recorded events of a batch that is known, ``None`` where it may be recorded."""
        known = self._known(ids) if ids else {}
        versions = {p.event.stream_id: self._head(p.event.stream_id) for p in proposals}
        for stream in expected:
            if stream not in versions:
                versions[stream] = self._head(stream)
        if self._parts.state.part:
            found = recorded_of_part(proposals, known)
            if found is None:
                check_part(proposals, versions)
            return found
        found = already_recorded(proposals, known, expected, versions)
        if found is None:
            check_new(proposals, expected, versions)
        return found

    def _head(self, stream: str) -> int:
        heads = self._parts.tail.heads
        head = heads.get(stream)
        if head is None:
            head = heads[stream] = self._parts.index.head(stream)
        return head

    def _known(self, ids: Sequence[str]) -> dict[str, RecordedEvent]:
        tail = self._parts.tail
        known = {i: entry.row.recorded() for i in ids if (entry := tail.by_id(i)) is not None}
        rest = [i for i in ids if i not in known]
        known.update((event.event.id or "", event) for event in self._parts.index.by_ids(rest))
        return known

    def _place(self, proposals: Sequence[Proposal]) -> tuple[list[Entry], list[RecordedEvent]]:
        """Entries and events after the streams' heads."""
        heads: dict[str, int] = {}
        ends: dict[str, int] = {}
        entries: list[Entry] = []
        events: list[RecordedEvent] = []
        for position, proposal in enumerate(proposals, self._parts.tail.last + 1):
            given = proposal.event
            stream = given.stream_id
            head = heads.get(stream)
            version = given.version or (self._head(stream) if head is None else head) + 1
            heads[stream] = version
            entry, event = self._placed(proposal, version, position, ends)
            ends[entry.file] = entry.offset + len(entry.line)
            entries.append(entry)
            events.append(event)
        return entries, events

    def _placed(
        self, proposal: Proposal, version: int, position: int, ends: Mapping[str, int] | None
    ) -> tuple[Entry, RecordedEvent]:
        """A proposed event at its place; ``ends``: of files, where the batch's lines so far end."""
        given, data, metadata, own_data, own_metadata = proposal
        stream, kind, stamper = given.stream_id, given.type, self._parts.stamper
        time = given.timestamp or stamper.clock()
        event_id = given.id or stamper.new_id(time)
        text = format_timestamp(time)
        row = Row(position, stream, version, kind, text, event_id, data, metadata)
        file = data_file(stream, text)
        start = ends.get(file) if ends else None
        if start is None:
            start = self._end_of(file)
        if self._parts.filing.folds_case:
            self._parts.filing.open(index_files(kind)[1])  # refused before anything is recorded
        return Entry(row, file, start, line_of(row)), trusted_event(
            stream, kind, own_data, own_metadata, event_id, time, version, position, None
        )

    def _end_of(self, name: str) -> int:
        """Where the next line of a data file begins; what others wrote there is taken in."""
        filing = self._parts.filing
        file = filing.open(name)
        size = file.size()
        if size == file.known:
            return size
        if file.known < 0:
            file.known = self._known_size(name)
        if size < file.known:  # removed, replaced by another, or cut
            restore(self._parts)
            file = filing.open(name)
            file.known = self._known_size(name)
            size = file.size()
        if size > file.known:
            self._take_in(name)
            filing.end_line(name)
        return filing.open(name).size()

    def _known_size(self, name: str) -> int:
        size = self._parts.index.known_size(name)
        for entry in self._parts.tail.entries:
            if entry.file == name and entry.offset == size:
                size += len(entry.line)
        return size
