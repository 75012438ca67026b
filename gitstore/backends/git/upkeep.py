"""Upkeep: what an open store does besides appending and reading, so that both can rely on it.

It makes good what a crash, a user or another program left, before the first read; it looks, before
each append, whether others moved refs or took the journal away; and it flushes.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from gitstore.backends.git import incoming, recovery, typeindex
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.heads import Heads
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.reconciling import Reconciler
from gitstore.backends.git.refs import RefFailure, RefUpdate
from gitstore.backends.git.rows import is_sound
from gitstore.core.errors import EventStoreError, FlushFailed, StoreUnavailable

_LOG = logging.getLogger("gitstore.store")
_WAIT_AT_OPEN = 2.0
_LOOK_AGAIN = 60.0
_LOOK_PAUSE = 0.005
_CLOCK_TICK = 0.01
"""Changes of a directory that come closer together may leave the same time on it."""
T = TypeVar("T")


class Upkeep:
    """Keeps one open store in order.

    ``readmit`` records rows again that a damaged or replaced journal gave back.
    """

    def __init__(
        self,
        parts: Parts,
        flusher: Flusher,
        heads: Heads,
        readmit: Callable[[Sequence[JournalRow]], None],
    ) -> None:
        self._parts = parts
        self._flusher = flusher
        self._reconciler = Reconciler(parts, flusher)
        self._heads = heads
        self._readmit = readmit
        self._signature: tuple[int, ...] = ()
        self._looked = time.monotonic()
        self._look_next = 0.0
        self._is_prepared = False
        self._left_behind: list[JournalRow] = []

    def prepare(self, *, create: bool, taken_in: bool = False) -> None:
        """Make good what a crash, a user or another program left; see ``recovery``."""
        salvaged = recovery.prepare_journal(self._parts, taken_in=taken_in)
        recovery.prepare_index(self._parts)
        if self._parts.read_only:
            return
        if salvaged:
            self.with_sound_index(lambda: self._readmit(salvaged))
        self._tidy(for_writing=create)

    def prepare_to_write(self) -> None:
        """What ``prepare`` leaves undone for who only reads; before the first append."""
        if not self._is_prepared:
            self._tidy(for_writing=True)

    def _tidy(self, *, for_writing: bool) -> None:
        self._is_prepared = for_writing
        if not self._has_leftovers(for_writing=for_writing):
            return
        # Another process may be flushing: then it does what is to do here.
        if self._parts.flush_lock.try_acquire(_WAIT_AT_OPEN):
            try:
                self._reconcile_locked()
                if for_writing:
                    incoming.clear_leftovers(self._parts.layout)
                    self._flush_locked()
                    recovery.begin_again_where_copied(self._parts)
            except StoreUnavailable as error:
                _LOG.warning("events are recorded, but not in git yet: %s", error)
            finally:
                self._parts.flush_lock.release()

    def _has_leftovers(self, *, for_writing: bool) -> bool:
        journal = self._parts.journal
        if self._reconciler.is_due():
            return True
        if for_writing and (self._parts.flush_lock.is_marked() or journal.is_copy()):
            return True
        if for_writing and incoming.has_leftovers(self._parts.layout):
            return True
        return for_writing and (journal.state().intent is not None or journal.count() > 0)

    def flush(self) -> None:
        """Bring every recorded event into git; see the store's ``flush``."""
        with self._parts.flush_lock.held():
            self._flush_locked()

    def _flush_locked(self) -> None:
        self._replace_journal_locked()
        self._with_mended_index(self._flush_once)
        if self._flusher.contested:
            self._parts.flush_lock.interrupted = True  # its pack's keep mark stays until then
            stream, why = next(iter(self._flusher.contested.items()))
            raise FlushFailed(
                f"{len(self._flusher.contested)} streams could not be moved into git, "
                f"the first {stream!r}: {why}"
            )
        if self._parts.flush_lock.interrupted:
            self._flusher.clear_leftovers()
            self._parts.flush_lock.interrupted = False

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Hold the flush lock, with all in git that is recorded and can be moved there."""
        with self._parts.flush_lock.held():
            self._replace_journal_locked()
            self._with_mended_index(self._flush_once)
            yield

    def move_refs(self, updates: Sequence[RefUpdate]) -> list[RefFailure]:
        """Move refs that are not the store's own, such as those of remotes.

        So that no later append looks through all refs for it. Gives those that did not move.
        """
        with self._parts.flush_lock.held():
            self._with_mended_index(self._reconcile_locked)
            is_known = not self._reconciler.is_due()
            failures = self._parts.refs.move(updates)
            if is_known:
                self._reconciler.note_moves()
        return failures

    def index_types(self, *, only_if_due: bool = False) -> None:
        """Bring ``refs/notes/types`` up to what is in git; see ``typeindex.update``."""
        with self._parts.flush_lock.held():
            typeindex.update(self._parts, only_if_due=only_if_due)

    def try_index_types(self) -> None:
        """The same where it is due; it is derived, so what goes wrong is only logged."""
        try:
            self.index_types(only_if_due=True)
        except (EventStoreError, OSError, sqlite3.Error) as error:
            _LOG.warning("the type index is behind: %s", error)

    def _flush_once(self) -> None:
        self._reconcile_locked()
        self._flusher.flush()

    def _with_mended_index(self, act: Callable[[], None]) -> None:
        """``act`` under the flush lock, again after a repair of the index, then after a rebuild."""
        for repair in (self._mend_index, self._rebuild_index):
            try:
                return act()
            except IndexDamaged as error:
                _LOG.warning("%s", error)
                self._parts.flush_lock.interrupted = True  # what was begun left its keep mark
                repair()
        return act()

    def _mend_index(self) -> None:
        recovery.mend_index(self._parts, thorough=True)

    def _rebuild_index(self) -> None:
        recovery.rebuild_index(self._parts)

    def look_through(self) -> None:
        """Look through all stream refs, also where nothing seems to have moved.

        Not where the index is damaged: without it nobody knows what was here before.
        """
        with self._parts.flush_lock.held():
            self._looked = -math.inf
            try:
                self._reconcile_locked()
            except IndexDamaged as error:
                _LOG.warning("%s", error)

    def pack_refs(self) -> None:
        """Let git gather loose refs in ``packed-refs``, and look through all of them afterwards.

        So a ref that others moved meanwhile is seen, and the next flush need not look again.
        """
        with self._parts.flush_lock.held():
            Git(self._parts.layout.root).run("pack-refs", "--all")
            time.sleep(_CLOCK_TICK)
            self._looked = -math.inf
            self._reconcile_locked()

    def _reconcile_locked(self) -> None:
        # A ref moved while a flush was moving others goes unseen, so now and then all are listed.
        if self._reconciler.is_due() or time.monotonic() - self._looked > _LOOK_AGAIN:
            self._looked = time.monotonic()
            if self._reconciler.run().adopted:
                self.forget_heads()

    def look_outside(self) -> None:
        """Before an append: did others move refs, or take the journal away? Three stats.

        Not more often than once in 5 ms: they would cost a tenth of each append in a row.
        """
        now = time.monotonic()
        if now < self._look_next:
            return
        self._look_next = now + _LOOK_PAUSE
        self.look_for_journal()
        signature = self._parts.refs.signature()
        if signature == self._signature:
            return
        if self._reconciler.is_due():
            # Held: a flush is moving refs right now, and looks for itself.
            if self._parts.flush_lock.try_acquire():
                try:
                    self._reconcile_locked()
                finally:
                    self._parts.flush_lock.release()
                self._signature = signature  # what could not be put back, the next flush tries
        else:
            self._signature = signature

    def look_for_journal(self) -> None:
        """Before an append and each page of a read: is the journal still the one opened? A stat."""
        journal = self._parts.journal
        if not journal.is_replaced():
            return
        if self._parts.read_only:
            journal.reopen()
            return
        with self._parts.flush_lock.held():
            self._replace_journal_locked()

    def _replace_journal_locked(self) -> None:
        """The journal was deleted under us: what is pending is still readable, so keep it."""
        journal = self._parts.journal
        if not journal.is_replaced() and not self._left_behind:
            return  # another thread was faster
        with self._parts.write_lock.held():
            # Kept until they are recorded again: what comes next may fail, and be tried again.
            self._left_behind += filter(is_sound, journal.left_behind())
            journal.reopen()
            self._left_behind += recovery.prepare_journal_locked(self._parts)
        waiting = self._left_behind
        _LOG.warning("journal.db was deleted or replaced; %d events are kept", len(waiting))
        self.forget_heads()
        recovery.mend_index(self._parts)
        self._with_mended_index(lambda: self._readmit(waiting))
        self._left_behind = []

    def with_sound_index(self, act: Callable[[], T]) -> T:
        """``act``, once more after a rebuild where the index turns out to be damaged."""
        try:
            return act()
        except IndexDamaged as error:
            _LOG.warning("%s", error)
            self.repair_index()
            return act()

    def repair_index(self, rebuild: bool = False) -> None:
        """Make a damaged index good again; ``rebuild``: whatever SQLite says of it."""
        if self._parts.read_only:
            recovery.prepare_index(self._parts)
            return
        with self._parts.flush_lock.held():
            self._rebuild_index() if rebuild else self._mend_index()
        self.forget_heads()

    def forget_heads(self) -> None:
        """Look the streams up again; others have changed them."""
        with self._parts.write_lock.held():
            self._heads.forget()
