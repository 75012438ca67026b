"""Flush: moving journaled commits into git's packs, the refs and the index.

Objects first, durable; then the refs, each compared and swapped; then the index; then the journal's
rows go. Each step may be repeated after a crash at any point, because the commits are those the
append made: a flush re-homes them, it never makes new ones.

A large batch takes the same way without the journal's rows: its pack is durable before its feed
commit is noted as the journal's ``intent``, and from then on whoever finds that finishes it.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from gitstore.backends.git import feed
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.packs import clear_leftovers
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefFailure, RefUpdate
from gitstore.backends.git.rows import objects_of, row_of_commit
from gitstore.backends.git.superseding import is_superseded
from gitstore.core.errors import EventStoreError
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds

_LOG = logging.getLogger("gitstore.flush")
_BYTES_AT_ONCE = 32 << 20
_MOST = 64
"""Feed commits that crashes one after another may have left ahead of the journal."""
_NOWHERE: Mapping[str, str] = {}


class Flusher:
    """Moves events into git. Every method needs the store's flush lock to be held."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.contested: dict[str, str] = {}
        """Streams whose ref could not be moved, and why; they wait in the journal."""
        self._is_ahead = False

    def flush(self, *, write_locked: bool = False) -> None:
        """Move what is pending now; streams whose refs cannot be moved stay, see ``contested``.

        What is appended meanwhile waits: under load a flush that took it along would never end.
        ``write_locked``: the caller holds the write lock too, so that nothing comes meanwhile.
        """
        if write_locked:
            self._finish_intent()
        else:
            self.finish_intent()
        _, last = self._parts.journal.highest()
        while True:
            rows = list(self._parts.journal.pending(_BYTES_AT_ONCE))
            if not rows or not self._flush_rows(rows, write_locked) or rows[-1].position >= last:
                break
        self._forget_settled()
        self._merge_small_packs()

    def _forget_settled(self) -> None:
        """Let go of what is contested no more: nothing of it waits, and its ref is where it ends.

        Another process may have moved it, or the reconciler: what a rebase left never waits.
        """
        waiting = {*self._parts.journal.streams()} if self.contested else set()
        for name in self.contested.keys() - waiting:
            if name == FEED:
                end: str | None = self._parts.journal.state().feed
            else:
                head = self._parts.index.head(name)
                end = head.commit.hex() if head else None
            if self._parts.refs.read(FEED if name == FEED else STREAMS + encode_name(name)) == end:
                del self.contested[name]

    def finish_intent(self) -> None:
        """Finish the batch that a crash left with durable objects and refs half moved."""
        state = self._parts.journal.state()
        if state.intent is not None:
            with self._parts.write_lock.held():
                self._finish_intent()

    def record(
        self,
        rows: Sequence[JournalRow],
        objects: Iterable[GitObject],
        ahead: Mapping[str, str] = _NOWHERE,
    ) -> None:
        """Make a batch durable and bring it into git; the write lock is held, nothing is pending.

        ``rows`` continue the positions. Objects that are in git already need not be given.
        ``ahead``: for streams, commits after ``rows`` at which their refs may stand already.
        """
        base = self._parts.journal.state().feed
        tip, keep = self._intend(rows, objects, base)
        try:
            self._finish(rows, tip, base, ahead)
        except (EventStoreError, OSError) as error:
            # Recorded all the same: an error here would make the caller record it twice.
            _LOG.warning("a batch is recorded, but not in git yet: %s", error)
            self._parts.journal.finish([], 0, base, (), stay=rows)
            self._parts.flush_lock.interrupted = True  # its pack's keep mark stays until then
            return
        keep.unlink(missing_ok=True)

    def rebase(
        self, rows: Sequence[JournalRow], objects: Iterable[GitObject], tips: Mapping[str, str]
    ) -> None:
        """The same for rows that take the place of others, of whole streams.

        ``tips``: where each of these streams ends until then; kept under ``refs/superseded/``.
        None of it ever waits in the journal, where the old rows' versions would be given twice: a
        ref that cannot be moved is put back later. What this raises after the batch is durable,
        leaves the batch to be finished by whoever comes next.
        """
        base = self._parts.journal.state().feed
        tip, keep = self._intend(rows, objects, base)
        try:
            self._finish(rows, tip, base, tips=tips)
        except (EventStoreError, OSError):
            self._parts.flush_lock.interrupted = True
            raise
        keep.unlink(missing_ok=True)

    def _intend(
        self, rows: Sequence[JournalRow], objects: Iterable[GitObject], base: str
    ) -> tuple[str, Path]:
        """Make a batch durable; gives its feed commit, and its pack's keep mark."""
        state = self._parts.journal.state()
        assert self._parts.journal.highest()[1] == state.listed, "something is pending"
        tip = self._feed_commit(rows, base)
        keep = self._parts.objects.add([*objects, tip])
        self._parts.journal.intend(tip.id)
        return tip.id, keep

    def clear_leftovers(self) -> None:
        """Remove what a crashed flush left behind; call when nothing is pending."""
        self._parts.refs.clear_stale_locks()
        clear_leftovers(self._parts.layout.packs)

    def _merge_small_packs(self) -> None:
        """Unless somebody maintains the store: git must not lose packs it is copying from."""
        if not self._parts.maintain_lock.try_acquire():
            return
        try:
            self._parts.objects.merge_small_packs()
        except OSError as error:
            _LOG.warning("small packs could not be merged: %s", error)
        finally:
            self._parts.maintain_lock.release()

    def _flush_rows(self, rows: Sequence[JournalRow], write_locked: bool) -> bool:
        """Move these rows; whether any left the journal."""
        parts = self._parts
        base, listed, bases = self._feed_base(rows)
        objects = [item for row in rows for item in objects_of(row)]
        tip = base
        unlisted = [row for row in rows if row.position > listed]
        if unlisted:
            objects.append(self._feed_commit(unlisted, base))
            tip = objects[-1].id
        keep = parts.objects.add(objects)
        stuck = self._move_refs(rows, tip, bases)
        if FEED in stuck:
            return False
        moved = [row for row in rows if row.stream not in stuck]
        signature = self._signature()
        if moved:
            known = {tip, base, parts.journal.state().feed}
            parts.index.add(moved, moved[-1].position, tip, after=known)
        with contextlib.nullcontext() if write_locked else parts.write_lock.held():
            parts.journal.finish(moved, max(listed, rows[-1].position), tip, signature)
            parts.journal.checkpoint()
        parts.index.checkpoint()
        if not stuck:
            keep.unlink(missing_ok=True)
        return bool(moved)

    def _feed_base(self, rows: Sequence[JournalRow]) -> tuple[str, int, set[str]]:
        """The feed commit to go on from, the highest position it lists, and where the ref may be.

        A crash can leave the ref ahead of what the journal knows; any other place is somebody
        else's doing.
        """
        state = self._parts.journal.state()
        at = self._parts.refs.read(FEED)
        if at is None or at == state.feed:
            return state.feed, state.listed, {state.feed}
        if self.is_feed_behind(at):
            return state.feed, state.listed, {state.feed, at}
        last = self._last_listed_ahead(at, state.feed, rows)
        if last is not None:
            return at, max(last, state.listed), {at}
        self.quarantine(FEED, at)
        return state.feed, state.listed, {state.feed, at}

    def is_feed_behind(self, at: str) -> bool:
        """Whether the feed's ref, at this commit, was left behind by a rebase."""
        feeds = feed.read_back(self._parts.objects, self._parts.journal.state().feed)
        return any(commit.parent == at for commit in itertools.islice(feeds, _MOST))

    def _last_listed_ahead(self, tip: str, base: str, rows: Sequence[JournalRow]) -> int | None:
        """The highest position ``tip`` lists, where it lists nothing after ``base`` but these rows.

        ``None`` where it lists others, or does not continue ``base``.
        """
        waiting = {row.position: row.commit_id.hex() for row in rows}
        try:
            ahead = list(itertools.islice(feed.read_back(self._parts.objects, tip, base), _MOST))
        except EventStoreError:  # what others put there need be no feed
            return None
        entries = [entry for commit in ahead for entry in commit.entries]
        if ahead[-1].parent != base:
            return None
        if any(waiting.get(entry.position) != entry.commit for entry in entries):
            return None
        return max((entry.position for entry in entries), default=0)

    def _finish_intent(self) -> None:
        parts = self._parts
        intent = parts.journal.state().intent
        if intent is None:
            return
        commit = feed.decode_feed(parts.objects.read(intent))
        rows = [row_of_commit(parts.objects, e.commit, e.position) for e in commit.entries]
        self._finish(rows, intent, commit.parent or "")

    def _finish(
        self,
        rows: Sequence[JournalRow],
        tip: str,
        base: str,
        ahead: Mapping[str, str] = _NOWHERE,
        tips: Mapping[str, str] = _NOWHERE,
    ) -> None:
        parts = self._parts
        stuck = self._move_refs(rows, tip, {base}, ahead, tips)
        back = self._going_back(rows, stuck)
        self._is_ahead |= bool(back)  # refs to be put where the index has them
        moved = [row for row in rows if row.stream not in stuck or row.stream in back]
        stay = [row for row in rows if row.stream in stuck and row.stream not in back]
        signature = self._signature()
        if FEED in stuck and not back:
            parts.journal.finish([], 0, base, signature, stay=rows)
            return
        last = rows[-1].position
        parts.index.add(moved, last, tip, after={tip, base})
        parts.journal.finish(moved, last, tip, signature, stay=stay)
        parts.journal.checkpoint()
        parts.index.checkpoint()

    def _going_back(self, rows: Sequence[JournalRow], stuck: Set[str]) -> set[str]:
        """Of the streams that are stuck, those whose rows begin at a version the index has.

        A rebase, or what was indexed before a crash: the journal has no place for either.
        """
        first: dict[str, int] = {}
        for row in rows if stuck else ():
            first.setdefault(row.stream, row.version)
        heads = {stream: self._parts.index.head(stream) for stream in stuck & first.keys()}
        return {stream for stream, head in heads.items() if head and first[stream] <= head.version}

    def _move_refs(
        self,
        rows: Sequence[JournalRow],
        tip: str,
        bases: set[str],
        ahead: Mapping[str, str] = _NOWHERE,
        tips: Mapping[str, str] = _NOWHERE,
    ) -> set[str]:
        """Move the stream refs and the feed; gives the streams that did not move.

        ``tips``: other commits at which streams' refs may stand. Without the feed nothing has left
        the journal: all of them, and ``FEED`` itself.
        """
        chains: dict[str, list[JournalRow]] = defaultdict(list)
        for row in rows:
            chains[row.stream].append(row)
        updates = {_update_of(chain, tips.get(s)): s for s, chain in chains.items()}
        move_feed = RefUpdate(FEED, tip, frozenset({*bases, None}))
        failures = self._parts.refs.move([*updates, move_feed])
        failures = [f for f in failures if not self._put_back(f, updates, ahead)]
        stuck = {updates[f.update]: f.why for f in failures if f.update in updates}
        for stream, why in stuck.items():
            _LOG.warning("the ref of stream %s could not be moved: %s", stream, why)
        for failure in failures:
            if failure.update is move_feed:
                _LOG.warning("the feed could not be moved: %s", failure.why)
                stuck = dict.fromkeys(
                    [*chains, FEED], f"the feed could not be moved: {failure.why}"
                )
        for stream in (*chains, FEED):
            self.contested.pop(stream, None)
        self.contested.update(stuck)
        return set(stuck)

    def _put_back(
        self, failure: RefFailure, updates: dict[RefUpdate, str], ahead: Mapping[str, str]
    ) -> bool:
        """Keep a foreign tip in quarantine and put our chain in its place; whether that worked."""
        if failure.found is None and not failure.why.startswith("it is at"):
            return False
        update = failure.update
        if update in updates and failure.found is not None:
            known = ahead.get(updates[update]) == failure.found
            if known or self.continues(failure.found, update.new or ""):
                self._is_ahead = True
                return True
            if not is_superseded(self._parts.refs, update.name, failure.found):
                self.quarantine(update.name, failure.found)
        again = RefUpdate(update.name, update.new, update.olds | {failure.found})
        return not self._parts.refs.move([again])

    def _signature(self) -> tuple[int, ...]:
        """What the stream refs look like; nothing where one is ahead and wants to be judged."""
        ahead, self._is_ahead = self._is_ahead, False
        return () if ahead else self._parts.refs.signature()

    def continues(self, tip: str, commit: str) -> bool:
        """Whether ``tip`` is an event commit that descends from the event commit ``commit``."""
        try:
            version = self._parts.objects.read_foreign(commit).version
            event = self._parts.objects.read_foreign(tip)
            at: str | None = tip
            while event.version > version and event.parent is not None:
                at = event.parent
                event = self._parts.objects.read_foreign(at)
        except EventStoreError:
            return False
        return at == commit

    def quarantine(self, name: str, tip: str) -> str:
        """Keep a foreign tip of a stream's ref; gives the ref it is kept under."""
        for number in range(1, 1_000):
            place = "outside" if number == 1 else f"outside-{number}"
            kept = f"refs/quarantine/{place}/{name.removeprefix('refs/')}"
            if not self._parts.refs.move([RefUpdate(kept, tip, frozenset({None, tip}))]):
                _LOG.warning(
                    "%s was moved to %s by others; that tip is kept as %s", name, tip, kept
                )
                return kept
        raise AssertionError("a thousand foreign tips of one ref")

    def _feed_commit(self, rows: Sequence[JournalRow], parent: str) -> GitObject:
        lines = [
            feed.line_of(r.position, r.type, r.stream, r.version, r.commit_id.hex()) for r in rows
        ]
        now = to_microseconds(self._parts.stamper.clock()) // 1_000_000
        return feed.encode_lines(parent, max(now, 0), rows[0].position, rows[-1].position, lines)


def _update_of(chain: Sequence[JournalRow], tip: str | None = None) -> RefUpdate:
    """From the first row's parent, from ``tip``, or from any commit of the chain, to its end."""
    first = chain[0].parent
    olds = {first.hex() if first else None, *(row.commit_id.hex() for row in chain[:-1])}
    if tip is not None:
        olds.add(tip)
    return RefUpdate(
        STREAMS + encode_name(chain[0].stream), chain[-1].commit_id.hex(), frozenset(olds)
    )
