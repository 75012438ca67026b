"""The thorough look, when the fast one has doubts: every stream, entry and row, every fault named.

Needs a store at rest: whoever can, holds the flush lock. Takes some 80 µs and 300 bytes of memory
an event.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gitstore.backends.git import feed
from gitstore.backends.git.checking_rows import ODDITIES
from gitstore.backends.git.checking_superseded import SupersededWalk
from gitstore.backends.git.commits import EventCommit, check_canonical, check_follows
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import FEED, STREAMS, SUPERSEDED
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.reading import Reader
from gitstore.backends.git.rows import objects_of
from gitstore.core import canonical
from gitstore.core.errors import EventStoreError, StoreCorrupted
from gitstore.core.event import RecordedEvent
from gitstore.core.filters import EventFilter
from gitstore.core.findings import Finding, Progress
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds

_EVERY = 1_000


class StreamWalk:
    """One thorough look.

    ``refs``: every ref under ``refs/streams/`` and ``refs/superseded/``, and the feed's.
    """

    def __init__(self, parts: Parts, refs: dict[str, str], progress: Progress) -> None:
        self._parts = parts
        self._refs = refs
        self._progress = progress
        self._commits: dict[str, str] = {}
        """Commit → ``stream@version`` of every event on a stream ref, or waiting."""
        self._ids: dict[str, str] = {}
        self._waiting: dict[int, JournalRow] = {}
        self._rebuildable: set[str] = set()
        """Commits that the index can give again."""
        self._superseded = SupersededWalk(parts, self._commits, self._rebuildable)
        self._total = 0

    @property
    def events(self) -> int:
        """Events found in git and journal."""
        return len(self._commits)

    @property
    def superseded(self) -> int:
        """Their former places that refs keep from before rebases."""
        return len(self._superseded.commits)

    def run(self) -> Iterator[Finding]:
        """Everything that is not as it should be."""
        yield from self._pending()
        yield from self._index_commits()
        for name, tip in self._refs.items():
            if name.startswith(STREAMS):
                yield from self._stream(name, tip)
        for name, tip in self._refs.items():
            if name.startswith(SUPERSEDED):
                yield from self._superseded.chain(name, tip)
        yield from self._journal()
        yield from self._feed()
        yield from self._index()

    def _pending(self) -> Iterator[Finding]:
        try:
            self._waiting = {row.position: row for row in self._parts.journal.pending(1 << 40)}
            self._parts.journal.state()
        except (EventStoreError, sqlite3.Error, *ODDITIES) as error:
            yield Finding("journal", f"{error}", repairable=True)

    def _index_commits(self) -> Iterator[Finding]:
        """Which commits stand in the index, body and all."""
        try:
            self._total = self._parts.index.counts()[0]
            after = 0
            while page := self._parts.index.raw_page(after, 2**63 - 1, _EVERY):
                self._rebuildable.update(row[6].hex() for row in page if row[11] is not None)
                after = page[-1][0]
        except (EventStoreError, sqlite3.Error, *ODDITIES) as error:
            yield Finding("index", f"{error}", repairable=True)

    # Streams

    def _stream(self, name: str, tip: str) -> Iterator[Finding]:
        at: str | None = tip
        child: tuple[str, EventCommit] | None = None
        expected: int | None = None
        stream: str | None = None
        while at is not None:
            try:
                event = self._parts.objects.read_event(at)
                check_canonical(at, event, self._parts.objects.read_data(event))
            except EventStoreError as error:
                place = f"{stream}@{expected}: " if stream else ""
                repairable = at in self._rebuildable
                yield Finding("stream", f"{place}{error}", name, stream, at, repairable)
                at, child, expected = self._below(stream, expected)
                continue
            stream = event.stream_id
            yield from self._place(name, at, event, expected)
            if child is not None:
                yield from _date_finding(name, *child, event.date)
            self._commits[at] = f"{stream}@{event.version}"
            if not len(self._commits) % _EVERY:
                self._progress("Looking again", len(self._commits), self._total)
            child, expected, at = (at, event), event.version - 1, event.parent
        if expected != 0:
            yield Finding("stream", f"version 1 of {stream} is missing", name, stream, tip)

    def _below(self, stream: str | None, version: int | None) -> tuple[str | None, None, int]:
        """Where to go on below a commit that is lost: at the next one the index knows."""
        if stream is None or not version or version == 1:
            return None, None, 0
        try:
            page = self._parts.index.stream_page(stream, 0, version - 1, 1, backwards=True)
        except (EventStoreError, sqlite3.Error, *ODDITIES):
            page = []
        return (page[0].commit, None, page[0].version) if page else (None, None, 0)

    def _place(
        self, name: str, commit: str, event: EventCommit, expected: int | None
    ) -> Iterator[Finding]:
        stream, place = event.stream_id, f"{event.stream_id}@{event.version}"
        if STREAMS + encode_name(stream) != name:
            message = f"{place} stands on the ref of another stream"
            yield Finding("stream", message, name, stream, commit)
        if expected is not None and event.version != expected:
            yield Finding("stream", f"{place} should be @{expected}", name, stream, commit)
        twin = self._ids.setdefault(event.event_id, place)
        if twin != place:
            message = f"{place} has the event id of {twin}"
            yield Finding("stream", message, name, stream, commit)

    # Journal

    def _journal(self) -> Iterator[Finding]:
        for row in self._waiting.values():
            commit, place = row.commit_id.hex(), f"{row.stream}@{row.version}"
            try:
                objects_of(row)
            except (StoreCorrupted, *ODDITIES) as error:
                message = f"the row of {place} is damaged, a repair can only keep it aside: {error}"
                yield Finding("journal", message, stream=row.stream, commit=commit, repairable=True)
            if row.parent is not None and row.parent.hex() not in self._commits:
                message = f"{place} waits for a parent that is missing"
                yield Finding("journal", message, stream=row.stream, commit=commit)
            self._commits[commit] = place

    # Feed

    def _feed(self) -> Iterator[Finding]:
        tip = self._refs.get(FEED)
        if tip is None:
            yield Finding("feed", "the feed's ref is missing", ref=FEED, repairable=True)
            return
        above: int | None = None
        listed: set[str] = set()
        live = feed.Liveness()
        try:
            for commit in feed.read_back(self._parts.objects, tip):
                for entry in reversed(commit.entries):
                    if above is not None and entry.position >= above:
                        message = f"position {entry.position} is out of order"
                        yield Finding("feed", message, FEED, repairable=True)
                    above = entry.position
                    listed.add(entry.commit)
                    if not live.is_live(entry):
                        yield from self._superseded.entry(entry)
                    elif self._commits.get(entry.commit) != f"{entry.stream_id}@{entry.version}":
                        yield self._unknown_entry(entry)
        except EventStoreError as error:
            yield Finding("feed", str(error), ref=FEED, repairable=True)
            return
        waiting = {row.commit_id.hex() for row in self._waiting.values()}
        found = self._commits | self._superseded.commits
        unlisted = found.keys() - listed - waiting
        if unlisted:
            message = f"{len(unlisted)} events are not in it, such as {found[min(unlisted)]}"
            yield Finding("feed", message, ref=FEED, repairable=True)

    def _unknown_entry(self, entry: feed.FeedEntry) -> Finding:
        place = f"{entry.stream_id}@{entry.version}"
        message = f"position {entry.position}, {place}, is a commit that no stream has"
        return Finding(
            "feed", message, FEED, entry.stream_id, entry.commit, entry.commit in self._rebuildable
        )

    # Index

    def _index(self) -> Iterator[Finding]:
        """Every event that readers are given is the one git holds."""
        seen = 0
        before = 0
        try:
            for recorded in Reader(self._parts).all(EventFilter(), 0, None, backwards=False):
                seen += 1
                if not seen % _EVERY:
                    self._progress("Reading", seen, self._total)
                yield from self._row(recorded)
                if recorded.position <= before:
                    message = f"position {recorded.position} comes twice"
                    yield Finding("index", message, repairable=True)
                before = recorded.position
            yield from self._superseded.index()
        except IndexDamaged as error:
            yield Finding("index", str(error), repairable=True)
            return
        except (EventStoreError, sqlite3.Error, *ODDITIES) as error:
            yield Finding("index", f"it cannot be read to its end: {error}")
            return
        if seen != len(self._commits):
            message = f"readers are given {seen} events, git holds {len(self._commits)}"
            yield Finding("index", message, repairable=True)

    def _row(self, recorded: RecordedEvent) -> Iterator[Finding]:
        place = f"{recorded.stream_id}@{recorded.version}"
        message = ""
        if self._commits.get(recorded.commit or "") != place:
            message = f"{place} at position {recorded.position} is in no stream of git"
        elif self._differs(recorded):
            message = f"{place} is not what its commit says"
        if message:
            yield Finding(
                "index",
                message,
                stream=recorded.stream_id,
                commit=recorded.commit,
                repairable=True,
            )

    def _differs(self, recorded: RecordedEvent) -> bool:
        """Whether a read gave something else than the commit holds."""
        assert recorded.commit is not None
        if recorded.position in self._waiting:
            return False  # its row was checked
        event = self._parts.objects.read_event(recorded.commit)
        given = recorded.event
        assert given.timestamp is not None
        return (
            given.id,
            given.type,
            to_microseconds(given.timestamp),
            canonical.encode(given.data),
            given.metadata,
        ) != (
            event.event_id,
            event.type,
            event.time,
            self._parts.objects.read_data(event),
            event.metadata,
        )


def _date_finding(
    name: str, commit: str, event: EventCommit, parent_date: int
) -> Iterator[Finding]:
    try:
        check_follows(event, parent_date)
    except StoreCorrupted as error:
        yield Finding("stream", str(error), name, event.stream_id, commit)
