"""Verify: hold everything the store claims against what git holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitstore.backends.git import feed
from gitstore.backends.git.commits import EventCommit, check_canonical, check_follows
from gitstore.backends.git.index import IndexDamaged
from gitstore.backends.git.journal import JournalRow
from gitstore.backends.git.layout import FEED, QUARANTINE, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.reading import Reader
from gitstore.backends.git.rows import objects_of
from gitstore.core import canonical
from gitstore.core.errors import EventStoreError, StoreCorrupted
from gitstore.core.event import RecordedEvent
from gitstore.core.filters import EventFilter
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    ``kind``: ``stream``, ``feed``, ``index``, ``journal`` or ``quarantine``; ``ref``, ``stream``
    and ``commit`` where they apply; ``repairable``: whether it can be rebuilt from what is left.
    """

    kind: str
    message: str
    ref: str | None = None
    stream: str | None = None
    commit: str | None = None
    repairable: bool = False


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` found; ``ok``: no damage (a foreign tip in quarantine is none)."""

    findings: tuple[Finding, ...]
    events: int
    streams: int

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return all(finding.kind == "quarantine" for finding in self.findings)


class Verifier:
    """Walks one store; takes the flush lock's holder's view: nothing moves meanwhile."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._commits: dict[str, str] = {}
        """Commit → ``stream@version`` of every event on a stream ref, or waiting."""
        self._ids: dict[str, str] = {}
        self._waiting: dict[int, JournalRow] = {}
        self._last = 0

    def run(self) -> VerifyReport:
        """Look through streams, journal, feed, index and quarantine; the flush lock is held."""
        self._waiting = {r.position: r for r in self._parts.journal.pending(1 << 40)}
        self._last = max(self._waiting, default=self._parts.journal.state().flushed)
        refs = self._parts.refs.under(STREAMS)
        findings = [
            *(finding for name, tip in refs.items() for finding in self._stream(name, tip)),
            *self._journal(),
            *self._feed(),
            *self._index(),
            *self._quarantine(),
        ]
        return VerifyReport(tuple(findings), len(self._commits), len(refs))

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
                yield Finding("stream", str(error), ref=name, stream=stream, commit=at)
                return
            stream = event.stream_id
            place = f"{stream}@{event.version}"
            if STREAMS + encode_name(stream) != name:
                message = f"{place} stands on the ref of another stream"
                yield Finding("stream", message, name, stream, at)
            if expected is not None and event.version != expected:
                yield Finding("stream", f"{place} should be @{expected}", name, stream, at)
            if child is not None:
                yield from _date_finding(name, *child, event.date)
            twin = self._ids.setdefault(event.event_id, place)
            if twin != place:
                message = f"{place} has the event id of {twin}"
                yield Finding("stream", message, name, stream, at)
            self._commits[at] = place
            child, expected, at = (at, event), event.version - 1, event.parent
        if expected != 0:
            yield Finding("stream", f"version 1 of {stream} is missing", name, stream, tip)

    def _journal(self) -> Iterator[Finding]:
        for row in self._waiting.values():
            try:
                objects_of(row)
            except StoreCorrupted as error:
                yield Finding("journal", str(error), stream=row.stream)
            commit = row.commit_id.hex()
            if row.parent is not None and row.parent.hex() not in self._commits:
                message = f"{row.stream}@{row.version} waits for a parent that is missing"
                yield Finding("journal", message, stream=row.stream, commit=commit)
            self._commits[commit] = f"{row.stream}@{row.version}"

    def _feed(self) -> Iterator[Finding]:
        tip = self._parts.refs.read(FEED)
        if tip is None:
            yield Finding("feed", "the feed's ref is missing", ref=FEED, repairable=True)
            return
        above: int | None = None
        listed = 0
        try:
            for commit in feed.read_back(self._parts.objects, tip):
                for entry in reversed(commit.entries):
                    if above is not None and entry.position >= above:
                        yield Finding("feed", f"position {entry.position} is out of order", FEED)
                    above = entry.position
                    listed += 1
                    if self._commits.get(entry.commit) != f"{entry.stream_id}@{entry.version}":
                        message = f"position {entry.position} names a commit no stream has"
                        yield Finding("feed", message, FEED, entry.stream_id, entry.commit)
        except StoreCorrupted as error:
            yield Finding("feed", str(error), ref=FEED)
            return
        tip_entries = feed.decode_feed(self._parts.objects.read(tip)).entries
        last = tip_entries[-1].position if tip_entries else 0
        unlisted = sum(1 for position in self._waiting if position > last)
        if listed + unlisted != len(self._commits):
            message = f"it lists {listed} events, the streams hold {len(self._commits) - unlisted}"
            yield Finding("feed", message, ref=FEED, repairable=True)

    def _index(self) -> Iterator[Finding]:
        """Every event that readers are given is the one git holds."""
        seen = 0
        before = 0
        try:
            for recorded in Reader(self._parts).all(EventFilter(), 0, None, backwards=False):
                if recorded.position > self._last:
                    break  # appended since we began
                seen += 1
                place = f"{recorded.stream_id}@{recorded.version}"
                if self._commits.get(recorded.commit or "") != place:
                    message = f"{place} at position {recorded.position} is in no stream of git"
                    yield Finding("index", message, stream=recorded.stream_id, repairable=True)
                elif self._differs(recorded):
                    message = f"{place} is not what its commit says"
                    yield Finding("index", message, stream=recorded.stream_id, repairable=True)
                if recorded.position <= before:
                    yield Finding("index", f"position {recorded.position} comes twice")
                before = recorded.position
        except IndexDamaged as error:
            yield Finding("index", str(error), repairable=True)
            return
        if seen != len(self._commits):
            message = f"readers are given {seen} events, git holds {len(self._commits)}"
            yield Finding("index", message, repairable=True)

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

    def _quarantine(self) -> Iterator[Finding]:
        for name, tip in self._parts.refs.under(QUARANTINE).items():
            yield Finding(
                "quarantine",
                "a tip that others put on a stream, and that does not continue it",
                ref=name,
                commit=tip,
            )


def _date_finding(
    name: str, commit: str, event: EventCommit, parent_date: int
) -> Iterator[Finding]:
    try:
        check_follows(event, parent_date)
    except StoreCorrupted as error:
        yield Finding("stream", str(error), name, event.stream_id, commit)
