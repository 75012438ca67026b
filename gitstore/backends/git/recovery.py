"""Opening after anything: a journal or index that is gone, behind or damaged is made good again.

Git has every flushed event, so the index can always be rebuilt from the feed, and the journal's
state from the feed's tip. A damaged journal gives back the rows that can still be read.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path

from gitstore.backends.disk.connections import transaction
from gitstore.backends.disk.files import holds_wal, make_directory, sync_directory
from gitstore.backends.git import feed
from gitstore.backends.git.index import Index
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journal import JournalDamaged
from gitstore.backends.git.journalschema import SELECT_PENDING, JournalRow, select_pending
from gitstore.backends.git.layout import FEED, StoreLayout
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.repository import begin_store, store_id
from gitstore.backends.git.rows import objects_of, row_of_commit
from gitstore.core.errors import StoreCorrupted, StoreUnavailable

_LOG = logging.getLogger("gitstore.recovery")
_AT_ONCE = 5_000


def prepare_journal(parts: Parts, *, taken_in: bool = False) -> list[JournalRow]:
    """Make sure there is a sound journal; gives rows salvaged from a damaged one.

    Those must be recorded again by the caller; nothing else knows them. ``taken_in``: the
    repository is a clone that has just become a store.
    """
    with contextlib.suppress(JournalDamaged):
        if not parts.read_only and parts.journal.is_older():
            with parts.write_lock.held():
                parts.journal.upgrade()
        if parts.journal.exists() and is_journal_sound(parts):
            return []
    if parts.read_only:
        raise StoreCorrupted(
            "journal.db is missing or damaged, and the store is read only",
            hint="Open the store once where it can be written to; that mends it.",
        )
    with parts.flush_lock.held(), parts.write_lock.held():
        return prepare_journal_locked(parts, taken_in=taken_in)


def prepare_journal_locked(parts: Parts, *, taken_in: bool = False) -> list[JournalRow]:
    """``prepare_journal`` for one who holds both locks."""
    damage: JournalDamaged | None = None
    try:
        if parts.journal.exists() and is_journal_sound(parts):
            return []  # another process was faster
    except JournalDamaged as error:
        damage = error
    tip = _feed_tip(parts)  # first: where there is none, everything stays as it was
    salvaged = _salvage(parts, damage) if damage is not None else []
    flushed = feed.last_position(parts.objects, tip)
    if parts.layout.elsewhere is None and (flushed or taken_in):
        if damage is None and not taken_in:
            _LOG.warning("journal.db was missing or empty: what was not in git yet is lost")
        # Positions that only the journal knew may be given again.
        tip = _begin_again(parts, tip)
    parts.journal.create(flushed, tip, store_id(parts.objects, tip))
    sync_directory(parts.layout.local)
    return salvaged


def prepare_index(parts: Parts) -> None:
    """Make sure the index is sound and complete; needs a sound journal."""
    with contextlib.suppress(IndexDamaged):
        if parts.index.is_usable() and _index_is_complete(parts):
            return
    if parts.read_only:
        raise StoreCorrupted(
            "index.db is missing or behind, and the store is read only",
            hint="Open the store once where it can be written to; that rebuilds the index.",
        )
    with parts.flush_lock.held():
        mend_index(parts)


def mend_index(parts: Parts, *, thorough: bool = False) -> None:
    """Reopen the index, catch up with the feed, or rebuild it; the flush lock is held.

    ``thorough``: do not trust its pages before SQLite has looked at all of them.
    """
    parts.index.reopen()
    try:
        if parts.index.is_usable():
            if thorough:
                parts.index.check()
            if _catch_up(parts):
                return
    except IndexDamaged as error:
        _LOG.warning("%s; it is rebuilt from git", error)
    rebuild_index(parts)


def rebuild_index(parts: Parts) -> None:
    """Make the index anew from the feed and the commits; needs the flush lock.

    Raises ``StoreCorrupted`` where one of them cannot be read, and leaves the old index as it was:
    it may be all that is left of an event.
    """

    def fill(index: NewIndex) -> bool:
        commits = feed.commits_since(parts.objects, parts.journal.state().feed, None)
        _apply(parts, index, commits or [])
        return ends_in_time(parts)

    try:
        replace_index(parts, fill)
    except StoreCorrupted as error:
        raise StoreCorrupted(f"index.db cannot be rebuilt from git alone: {error}") from error


class NewIndex(Index):
    """An index that is being made beside the one in use."""

    def note_head(self, stream: str, head: StreamHead) -> None:
        """Let a stream end at an event that is not here, unless it ends later by itself."""
        db = self._db()
        with transaction(db):
            db.intern_streams({stream})
            db.execute(
                "UPDATE streams SET version=?, commit_id=?, date=? WHERE name=? AND version<?",
                (head.version, head.commit, head.date, stream, head.version),
            )


def replace_index(parts: Parts, fill: Callable[[NewIndex], bool]) -> None:
    """Put a new index in the place of the old, when ``fill`` is done; needs the flush lock.

    ``fill`` says whether the old one may go: else it is kept aside. Other processes notice by the
    file's inode. What ``fill`` raises leaves everything as it was.
    """
    layout = replace(parts.layout, elsewhere=parts.layout.local / "rebuilding")
    shutil.rmtree(layout.local, ignore_errors=True)  # left by a process that was killed
    make_directory(layout.local)
    index = NewIndex(layout, parts.objects, wal=holds_wal(parts.layout.root), read_only=False)
    try:
        index.create()
        is_spare = fill(index)
        index.cut_log()
        index.close()
        if is_spare:
            # The file before its log: a log may never come to lie beside another file.
            for path in _files_of(parts.layout.index):
                path.unlink(missing_ok=True)
        else:
            with contextlib.suppress(StoreCorrupted, StoreUnavailable):
                parts.index.cut_log()  # then the file alone has everything
            kept = keep_aside(parts.layout, parts.layout.index)
            _LOG.warning("the old index.db is kept as %s", kept)
        layout.index.rename(parts.layout.index)
        sync_directory(parts.layout.local)
    finally:
        index.close()
        shutil.rmtree(layout.local, ignore_errors=True)
        parts.index.reopen()


def ends_in_time(parts: Parts) -> bool:
    """Whether the index lists no event later than the journal knows, as far as it can be read."""
    if not parts.layout.index.exists():
        return True
    try:
        return parts.index.state()[0] <= parts.journal.highest()[1]
    except IndexDamaged:
        return True


def keep_aside(layout: StoreLayout, path: Path) -> Path:
    """Keep a database in ``gitstore/salvage``, with its log, so that SQLite can open it there."""
    make_directory(layout.salvage)
    kept = layout.salvage / f"{path.stem}-{time.time_ns()}{path.suffix}"
    for old, new in zip(_files_of(path), _files_of(kept), strict=True):
        if old.exists():
            old.rename(new)
    sync_directory(path.parent)
    sync_directory(layout.salvage)
    return kept


def _files_of(path: Path) -> list[Path]:
    """A database's file, its log and its shared memory."""
    return [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm")]


def is_journal_sound(parts: Parts) -> bool:
    """``True``; raises ``JournalDamaged`` where state or rows cannot be read."""
    parts.journal.state()
    parts.journal.check()
    try:
        for row in parts.journal.pending(1 << 40):
            objects_of(row)
    except (StoreCorrupted, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise JournalDamaged(f"a row cannot be read: {error}") from error
    return True


def _index_is_complete(parts: Parts) -> bool:
    through, tip = parts.index.state()
    state = parts.journal.state()
    return (through == state.flushed and tip == state.feed) or _is_ahead(parts, tip)


def _is_ahead(parts: Parts, tip: str) -> bool:
    """Whether a flush is under way, or was cut short, between the index and the journal."""
    state = parts.journal.state()
    if not parts.journal.count() and state.intent is None:
        # The other process may have finished since `state` was read.
        return parts.index.state()[1] == parts.journal.state().feed
    found = parts.objects.read_any(tip) if tip else None
    return found is not None and feed.decode_feed(found[1]).parent == state.feed


def _catch_up(parts: Parts) -> bool:
    """Index what the feed lists after the index's end; ``False`` where that is not below it."""
    if _index_is_complete(parts):
        return True
    _, tip = parts.index.state()
    missing = feed.commits_since(parts.objects, parts.journal.state().feed, tip or None)
    if missing is None or not tip:
        return False
    _apply(parts, parts.index, missing)
    return True


def _apply(parts: Parts, index: Index, commits: Sequence[str]) -> None:
    """Index the events of feed commits, oldest first, but for those still in the journal.

    What a rebase superseded is passed over where its commit is not here: nothing stands on it.
    """
    waiting = {row.position for row in parts.journal.pending(1 << 40)}
    flushed = parts.journal.state().flushed
    is_superseded = _superseded_ones(parts, commits)
    rows: list[JournalRow] = []
    last = ""
    for commit in commits:
        last = commit
        for entry in feed.decode_feed(parts.objects.read(commit)).entries:
            if entry.position in waiting:
                continue
            try:
                rows.append(row_of_commit(parts.objects, entry.commit, entry.position))
            except StoreCorrupted:
                if not is_superseded(entry.position):
                    raise
        if len(rows) >= _AT_ONCE:
            index.add(rows, rows[-1].position, commit)
            rows = []
    if last:
        index.add(rows, flushed, last)


def _superseded_ones(parts: Parts, commits: Sequence[str]) -> Callable[[int], bool]:
    """Whether the feed that ends with the last of ``commits`` says that a rebase superseded one.

    The feed is gone through when that is first asked.
    """

    @functools.cache
    def positions() -> Set[int]:
        return feed.superseded_positions(parts.objects, commits[-1])

    return lambda position: position in positions()


def _feed_tip(parts: Parts) -> str:
    """The feed's tip, else the one the index knows; a new feed where there never was one here.

    Raises ``StoreCorrupted`` where the feed is lost: with a new one the index would be rebuilt
    without the events that it alone may have.
    """
    tip = parts.refs.read(FEED)
    if tip is not None and parts.objects.holds(tip):
        return tip
    through, indexed = _indexed(parts)
    if indexed and parts.objects.holds(indexed):
        parts.refs.move([RefUpdate(FEED, indexed, frozenset({tip}))])
        _LOG.warning("the feed's ref was lost: it is put back where the index has it")
        return indexed
    if tip is not None or through:
        raise StoreCorrupted("journal.db is missing or damaged, and the feed is lost")
    root = begin_store(parts.stamper.clock)
    keep = parts.objects.add([root])
    parts.refs.move([RefUpdate(FEED, root.id, frozenset({tip}))])
    keep.unlink()
    _LOG.warning("there is no feed: positions are given anew, under a new store id")
    return root.id


def _indexed(parts: Parts) -> tuple[int, str]:
    """How far the index goes, and its feed; ``-1`` where it is there and cannot be read."""
    if not parts.layout.index.exists():
        return 0, ""
    try:
        return parts.index.state()
    except IndexDamaged:
        return -1, ""


def begin_again_where_copied(parts: Parts) -> None:
    """Give a copy of a store an id of its own; needs the flush lock, and nothing pending."""
    if parts.journal.is_copy():
        with parts.write_lock.held():
            tip = _begin_again(parts, parts.journal.state().feed)
            parts.index.add([], 0, tip)
            parts.journal.settle(tip, store_id(parts.objects, tip))
        _LOG.warning("%s is a copy: it goes on under a new store id", parts.layout.root)


def _begin_again(parts: Parts, tip: str) -> str:
    """Go on from a feed under a new store id; gives the feed's new tip."""
    begun = parts.refs.read(FEED)
    if begun is not None and begun != tip and _begins_after(parts, begun, tip):
        return begun  # a crash came between this and the journal
    beginning = begin_store(parts.stamper.clock, tip)
    keep = parts.objects.add([beginning])
    failures = parts.refs.move([RefUpdate(FEED, beginning.id, frozenset({tip}))])
    keep.unlink()
    if failures:
        raise StoreUnavailable(f"the feed could not be moved: {failures[0].why}")
    return beginning.id


def _begins_after(parts: Parts, commit: str, tip: str) -> bool:
    try:
        found = feed.decode_feed(parts.objects.read(commit))
    except StoreCorrupted:
        return False
    return found.parent == tip and found.store_id is not None


def _salvage(parts: Parts, error: JournalDamaged) -> list[JournalRow]:
    """Keep the damaged journal aside and read what it still gives."""
    parts.journal.reopen()
    kept = keep_aside(parts.layout, parts.layout.journal)
    _LOG.warning("journal.db is damaged (%s); it is kept as %s", error, kept)
    rows = []
    for row in _readable_rows(kept):
        try:
            objects_of(row)
        except (StoreCorrupted, ValueError, TypeError, AttributeError, ArithmeticError) as why:
            _LOG.warning("a journal row at position %s cannot be read: %s", row.position, why)
        else:
            rows.append(row)
    _LOG.warning("%d events were salvaged from %s", len(rows), kept)
    return rows


def _readable_rows(path: Path) -> Iterator[JournalRow]:
    """What a damaged journal still gives: from both ends, and one by one between them."""
    db = sqlite3.connect(path, isolation_level=None)
    db.text_factory = lambda text: text.decode(errors="replace")
    found: dict[int, JournalRow] = {}
    select = SELECT_PENDING
    try:
        with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            select = select_pending(db)
        for order in ("ASC", "DESC"):
            with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
                for row in db.execute(f"{select} ORDER BY position {order}"):
                    found[row[0]] = JournalRow._make(row)
        for position in range(min(found, default=0), max(found, default=0)):
            if position not in found:
                with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
                    row = db.execute(f"{select} WHERE position = ?", (position,)).fetchone()
                    if row is not None:
                        found[position] = JournalRow._make(row)
                        continue
                _LOG.warning("the journal's row at position %d is lost", position)
    finally:
        db.close()
    yield from (found[position] for position in sorted(found))
