"""Refs moved by others: what plain git did to a live store, and what becomes of it.

A tip that descends from ours, with nothing of ours waiting, is adopted once each of its commits has
been checked as a pull would. Any other is kept in quarantine, and our chain stands: what was
acknowledged here is never displaced.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitstore.backends.git.adopting import Adopter, Checked
from gitstore.backends.git.arrivals import Arrivals
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefLocked, RefUpdate
from gitstore.backends.git.superseding import is_superseded
from gitstore.core.errors import StoreCorrupted, StoreUnavailable, UnsupportedFormat
from gitstore.core.names import encode_name

_LOG = logging.getLogger("gitstore.refs")


@dataclass(slots=True)
class Changes:
    """What others did: streams that were ``adopted``, refs that were ``put_back``.

    ``postponed``: a ref is ahead of what waits in the journal, and can be judged after a flush; or
    one could not be put back.
    """

    adopted: set[str] = field(default_factory=set)
    put_back: list[str] = field(default_factory=list)
    postponed: bool = False


class Reconciler:
    """Looks through the stream refs when they are not as the last flush left them."""

    def __init__(self, parts: Parts, flusher: Flusher) -> None:
        self._parts = parts
        self._flusher = flusher

    def is_due(self) -> bool:
        """Whether the stream refs are not as the last flush left them; two stats and a row."""
        return self._parts.refs.signature() != self._parts.journal.state().refs

    def note_moves(self) -> None:
        """Take the refs for looked through as they are now: who holds the flush lock moved them."""
        self._note(self._parts.refs.signature())

    def run(self) -> Changes:
        """Adopt what may be adopted and put the rest back; needs the flush lock."""
        self._flusher.finish_intent()
        changes = Changes()
        signature = self._parts.refs.signature()
        self._check_feed(changes)
        odd: dict[str, str] = {}
        refs = self._parts.refs.under(STREAMS, odd)
        waiting = {STREAMS + encode_name(name): name for name in self._parts.journal.streams()}
        ours = {STREAMS + encode_name(n): (n, h) for n, h in self._parts.index.heads()}
        tips: dict[str, str] = {}
        for name, tip in refs.items():
            known = ours.get(name)
            is_elsewhere = known is None or known[1].commit.hex() != tip
            if is_elsewhere and self._judge(name, tip, known and known[0], waiting, changes):
                tips[name] = tip
        self._take_in(tips, {name: head for name, (_, head) in ours.items()}, changes)
        for name, why in odd.items():
            if name in ours or name in waiting:
                self._drop_unreadable(name, why)
        for name, (_, head) in ours.items():
            if name not in refs:
                self._put_back(name, None, head.commit.hex(), changes)
        self._settle(changes, signature)
        return changes

    def _settle(self, changes: Changes, signature: tuple[int, ...]) -> None:
        """Note what the refs look like now; ``signature``: when they were looked through.

        Recording what was adopted has noted it.
        """
        if changes.postponed:
            self._note(())
        elif changes.put_back:
            self.note_moves()
        elif not changes.adopted:
            self._note(signature)

    def _note(self, signature: tuple[int, ...]) -> None:
        with self._parts.write_lock.held():
            self._parts.journal.note_refs(signature)

    def _judge(
        self, name: str, tip: str, stream: str | None, waiting: dict[str, str], changes: Changes
    ) -> bool:
        """Whether a ref that is not where our index has it is to be checked, and may be adopted.

        Where events of its stream wait, or a rebase could not move it, its fate is decided here.
        """
        known = self._parts.index.head(stream) if stream else None
        if known and is_superseded(self._parts.refs, name, tip):
            self._put_back(name, tip, known.commit.hex(), changes)
            return False
        pending = waiting.get(name)
        if pending is None:
            return True
        if self._is_pending(pending, tip):
            return False  # a flush was cut short; the next one goes on
        if self._continues_pending(pending, tip):
            changes.postponed = True
            return False
        if not self._is_ours(tip, stream):
            self._flusher.quarantine(name, tip)
        head = self._parts.index.head(pending)
        self._put_back(name, tip, head.commit.hex() if head else None, changes)
        return False

    def _take_in(
        self, tips: Mapping[str, str], ours: Mapping[str, StreamHead], changes: Changes
    ) -> None:
        """Adopt the tips that pass the checks of a pull; put the other refs back."""
        adopter = Adopter(self._parts, self._flusher)
        if not tips:
            return
        with Arrivals() as arrivals:
            checked = adopter.check(tips, self._parts.objects, arrivals)
            refused = dict(checked.refused)
            refused.update(dict.fromkeys(checked.diverged, "it does not descend from ours"))
            for name, why in refused.items():
                _LOG.warning("%s was moved by others and is not adopted: %s", name, why)
                self._flusher.quarantine(name, tips[name])
            for name in (*refused, *checked.known):
                head = ours.get(name)
                self._put_back(name, tips[name], head.commit.hex() if head else None, changes)
            self._adopt(adopter, arrivals, checked, changes)

    def _adopt(
        self, adopter: Adopter, arrivals: Arrivals, checked: Checked, changes: Changes
    ) -> None:
        ahead = {one.stream: one.tip for one in checked.candidates.values()}
        passed: set[str] = set()
        try:
            for rows in arrivals.in_order():
                changes.adopted.update(adopter.record(rows, ahead, passed))
        except StoreUnavailable as error:
            _LOG.warning("%s", error)
            passed.update(ahead)
        if passed:
            changes.postponed = True  # judged again by the next run

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
            event = self._parts.objects.read_foreign(tip)
        except (StoreCorrupted, UnsupportedFormat):
            return False
        found = self._parts.index.by_place(stream, event.version)
        return found is not None and found.commit == tip

    def _put_back(self, name: str, tip: str | None, ours: str | None, changes: Changes) -> None:
        failures = self._parts.refs.move([RefUpdate(name, ours, frozenset({tip}))])
        for failure in failures:
            _LOG.warning("%s could not be put back: %s", name, failure.why)
            changes.postponed = True
        if ours is not None and not failures:
            _LOG.warning("%s was moved or deleted by others, and is put back", name)
        changes.put_back.append(name)

    def _drop_unreadable(self, name: str, why: str) -> None:
        _LOG.warning("%s; it is put back", why)
        try:
            self._parts.refs.drop_unreadable(name)
        except (OSError, RefLocked) as error:
            _LOG.warning("%s could not be put back: %s", name, error)

    def _check_feed(self, changes: Changes) -> None:
        """The feed's ref was deleted, its file damaged, or it was left behind: put it back."""
        tip = self._parts.journal.state().feed
        try:
            self._parts.refs.read(FEED)
        except StoreCorrupted as error:
            self._drop_unreadable(FEED, str(error))
        at = self._parts.refs.read(FEED)
        if at == tip or not self._parts.objects.holds(tip):
            return
        if at is None or self._flusher.is_feed_behind(at):
            changes.postponed |= bool(
                self._parts.refs.move([RefUpdate(FEED, tip, frozenset({at}))])
            )
