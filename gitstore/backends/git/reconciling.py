"""Refs moved by others: what plain git did to a live store, and what becomes of it.

A tip that descends from ours, with nothing of ours waiting, is adopted once each of its commits has
been checked as a pull would. Any other is kept in quarantine, and our chain stands: what was
acknowledged here is never displaced.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from gitstore.backends.git.commits import EventCommit, check_canonical, check_follows
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefLocked, RefUpdate
from gitstore.backends.git.rows import NO_HEAD, row_of_commit
from gitstore.core.errors import EventStoreError, StoreCorrupted, UnsupportedFormat
from gitstore.core.names import encode_name

_LOG = logging.getLogger("gitstore.refs")
_AT_ONCE = 5_000


@dataclass(slots=True)
class Changes:
    """What others did: ``adopted`` commits by stream, oldest first; refs ``put_back``.

    ``postponed``: a ref is ahead of what waits in the journal, and can be judged after a flush.
    """

    adopted: dict[str, list[str]] = field(default_factory=dict)
    put_back: list[str] = field(default_factory=list)
    postponed: bool = False


class Reconciler:
    """Looks through the stream refs when they are not as the last flush left them."""

    def __init__(self, parts: Parts, flusher: Flusher) -> None:
        self._parts = parts
        self._flusher = flusher
        self._adopting: dict[str, str] = {}
        """Event id → commit of what this run has looked at."""

    def is_due(self) -> bool:
        """Whether the stream refs are not as the last flush left them; two stats and a row."""
        return self._parts.refs.signature() != self._parts.journal.state().refs

    def run(self) -> Changes:
        """Adopt what may be adopted and put the rest back; needs the flush lock."""
        self._flusher.finish_intent()
        changes = Changes()
        self._adopting = {}
        signature = self._parts.refs.signature()
        self._check_feed()
        odd: dict[str, str] = {}
        refs = self._parts.refs.under(STREAMS, odd)
        waiting = {STREAMS + encode_name(name): name for name in self._parts.journal.streams()}
        ours = {STREAMS + encode_name(n): (n, h) for n, h in self._parts.index.heads()}
        for name, tip in refs.items():
            known = ours.get(name)
            if known is None or known[1].commit.hex() != tip:
                self._judge(name, tip, known[0] if known else None, waiting, changes)
        for name, why in odd.items():
            if name in ours or name in waiting:
                self._drop_unreadable(name, why)
        for name, (_, head) in ours.items():
            if name not in refs:
                self._put_back(name, None, head.commit.hex(), changes)
        self._settle(changes, signature)
        return changes

    def _settle(self, changes: Changes, signature: tuple[int, ...]) -> None:
        """Take over what was decided; ``signature``: the refs as they were looked through."""
        if changes.adopted:
            self._adopt(changes)
            if changes.postponed:
                self._note(())
        elif not (changes.put_back or changes.postponed):
            self._note(signature)
        if changes.put_back:
            self._note(() if changes.postponed else self._parts.refs.signature())

    def _note(self, signature: tuple[int, ...]) -> None:
        with self._parts.write_lock.held():
            self._parts.journal.note_refs(signature)

    def _judge(
        self, name: str, tip: str, stream: str | None, waiting: dict[str, str], changes: Changes
    ) -> None:
        """Decide about one ref that is not where our index has it."""
        pending = waiting.get(name)
        if pending is not None:
            if self._is_pending(pending, tip):
                return  # a flush was cut short; the next one goes on
            if self._continues_pending(pending, tip):
                changes.postponed = True
                return
            if not self._is_ours(tip, stream):
                self._flusher.quarantine(name, tip)
            head = self._parts.index.head(pending)
            self._put_back(name, tip, head.commit.hex() if head else None, changes)
            return
        head = (self._parts.index.head(stream) if stream else None) or NO_HEAD
        try:
            chain, owner = self._check_chain(name, tip, head)
        except IndexDamaged:
            raise  # it is not the tip that is in doubt
        except EventStoreError as error:
            if not self._is_ours(tip, stream):
                _LOG.warning("%s was moved by others and is not adopted: %s", name, error)
                self._flusher.quarantine(name, tip)
            self._put_back(name, tip, head.commit.hex() or None, changes)
        else:
            changes.adopted[owner] = chain

    def _check_chain(self, name: str, tip: str, head: StreamHead) -> tuple[list[str], str]:
        """The new commits, oldest first, and their stream; raises where one fails a check."""
        base = head.commit.hex() or None
        chain: list[str] = []
        at: str | None = tip
        child: EventCommit | None = None
        while at != base:
            if at is None:
                raise StoreCorrupted("it does not descend from what is recorded here")
            event = self._parts.objects.read_event(at)
            self._check_commit(name, at, event, child)
            chain.append(at)
            child, at = event, event.parent
        if child is None or child.version != head.version + 1:
            raise StoreCorrupted("its versions do not continue what is recorded here")
        check_follows(child, head.date)
        return chain[::-1], child.stream_id

    def _check_commit(
        self, name: str, commit: str, event: EventCommit, child: EventCommit | None
    ) -> None:
        if STREAMS + encode_name(event.stream_id) != name:
            raise StoreCorrupted(f"commit {commit} is of stream {event.stream_id!r}")
        if child is not None:
            if event.version != child.version - 1:
                raise StoreCorrupted(f"{commit} has version {event.version}, below {child.version}")
            check_follows(child, event.date)
        data = self._parts.objects.read_data(event)
        check_canonical(commit, event, data)
        first = self._adopting.setdefault(event.event_id, commit)
        if first != commit or self._is_taken(event.event_id, commit):
            raise StoreCorrupted(f"its event id {event.event_id} stands for another event")

    def _is_taken(self, event_id: str, commit: str) -> bool:
        """Whether an event id stands for an event of another commit."""
        known = {row.commit_id.hex() for row in self._parts.journal.by_ids([event_id])}
        known |= {event.commit or "" for event in self._parts.index.by_ids([event_id])}
        return bool(known - {commit})

    def _is_pending(self, stream: str, tip: str) -> bool:
        rows = self._parts.journal.stream_page(stream, 0, 2**63 - 1, 100_000, backwards=False)
        parents = {row.parent.hex() for row in rows if row.parent}
        return tip in parents or any(row.commit_id.hex() == tip for row in rows)

    def _continues_pending(self, stream: str, tip: str) -> bool:
        """Whether an adoption was cut short: the ref is ahead of what waits."""
        last = self._parts.journal.stream_page(stream, 0, 2**63 - 1, 1, backwards=True)
        return bool(last) and self._flusher.continues(tip, last[0].commit_id.hex())

    def _is_ours(self, tip: str, stream: str | None) -> bool:
        """Whether a tip is an older commit of our own chain: nothing new to keep."""
        if stream is None:
            return False
        try:
            event = self._parts.objects.read_event(tip)
        except (StoreCorrupted, UnsupportedFormat):
            return False
        found = self._parts.index.by_place(stream, event.version)
        return found is not None and found.commit == tip

    def _put_back(self, name: str, tip: str | None, ours: str | None, changes: Changes) -> None:
        failures = self._parts.refs.move([RefUpdate(name, ours, frozenset({tip}))])
        for failure in failures:
            _LOG.warning("%s could not be put back: %s", name, failure.why)
        if ours is not None and not failures:
            _LOG.warning("%s was moved or deleted by others, and is put back", name)
        changes.put_back.append(name)

    def _drop_unreadable(self, name: str, why: str) -> None:
        _LOG.warning("%s; it is put back", why)
        try:
            self._parts.refs.drop_unreadable(name)
        except (OSError, RefLocked) as error:
            _LOG.warning("%s could not be put back: %s", name, error)

    def _check_feed(self) -> None:
        """The feed's ref was deleted, or its file damaged: put it back."""
        tip = self._parts.journal.state().feed
        try:
            self._parts.refs.read(FEED)
        except StoreCorrupted as error:
            self._drop_unreadable(FEED, str(error))
        if self._parts.refs.read(FEED) is None and self._parts.objects.holds(tip):
            self._parts.refs.move([RefUpdate(FEED, tip, frozenset({None}))])

    def _adopt(self, changes: Changes) -> None:
        """Give the adopted events positions: by committer date, then stream, then version."""
        journal = self._parts.journal
        self._flusher.flush()
        with self._parts.write_lock.held():
            # Once more, with nothing coming meanwhile: arrival order needs what waits in front.
            self._flusher.flush(write_locked=True)
            last = journal.highest()[1]
            if last > journal.state().listed:
                changes.adopted.clear()  # the feed cannot be moved now; the next run sees to it
                return
            chains = [self._rows(chain) for chain in changes.adopted.values()]
            rows = [row for chain in chains if self._continues(chain) for row in chain]
            rows.sort(key=lambda row: (row.date, row.stream, row.version))
            placed = [JournalRow(position, *row[1:]) for position, row in enumerate(rows, last + 1)]
            done = 0
            while done < len(placed) and journal.highest()[1] == journal.state().listed:
                self._flusher.record(placed[done : done + _AT_ONCE], [])
                done += _AT_ONCE
            if min(done, len(placed)) < sum(map(len, chains)):
                journal.note_refs(())  # a stream has moved on, or the feed is stuck: judge again

    def _rows(self, chain: list[str]) -> list[JournalRow]:
        return [row_of_commit(self._parts.objects, commit, 0) for commit in chain]

    def _continues(self, chain: list[JournalRow]) -> bool:
        """Whether nothing was appended since a foreign tip was checked that contradicts it."""
        row = chain[0]
        if any(self._is_taken(row.event_id, row.commit_id.hex()) for row in chain):
            return False
        if self._parts.journal.stream_page(row.stream, 0, 2**63 - 1, 1, backwards=True):
            return False
        head = self._parts.index.head(row.stream) or NO_HEAD
        return (head.version, head.commit) == (row.version - 1, row.parent or b"")
