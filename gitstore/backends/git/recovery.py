"""Opening after anything: a journal or index that is gone, behind or damaged is made good again.

Git has every flushed event, so the index can always be rebuilt from the feed, and the journal's
state from the feed's tip. A damaged journal gives back the rows that can still be read.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitstore.backends.disk.files import make_directory, sync_directory
from gitstore.backends.git import feed
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.journal import SELECT_PENDING, JournalDamaged, JournalRow
from gitstore.backends.git.layout import FEED
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
        if parts.journal.exists() and _is_sound(parts):
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
    salvaged: list[JournalRow] = []
    try:
        if parts.journal.exists() and _is_sound(parts):
            return []  # another process was faster
        missing = True
    except JournalDamaged as error:
        salvaged = _salvage(parts, error)
        missing = False
    tip = _feed_tip(parts)
    flushed = feed.last_position(parts.objects, tip)
    if parts.layout.elsewhere is None and (flushed or taken_in):
        if missing and not taken_in:
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

    Written in place of the old file, which other processes notice by its inode.
    """
    for suffix in ("", "-wal", "-shm"):
        path = parts.layout.index.with_name(f"index.db{suffix}")
        path.unlink(missing_ok=True)
    parts.index.reopen()
    parts.index.create()
    state = parts.journal.state()
    _apply(parts, feed.commits_since(parts.objects, state.feed, None) or [])


def _is_sound(parts: Parts) -> bool:
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
    _apply(parts, missing)
    return True


def _apply(parts: Parts, commits: Sequence[str]) -> None:
    """Index the events of feed commits, oldest first, but for those still in the journal."""
    waiting = {row.position for row in parts.journal.pending(1 << 40)}
    flushed = parts.journal.state().flushed
    rows: list[JournalRow] = []
    last = ""
    for commit in commits:
        last = commit
        rows += [
            row_of_commit(parts.objects, entry.commit, entry.position)
            for entry in feed.decode_feed(parts.objects.read(commit)).entries
            if entry.position not in waiting
        ]
        if len(rows) >= _AT_ONCE:
            parts.index.add(rows, rows[-1].position, commit)
            rows = []
    if last:
        parts.index.add(rows, flushed, last)


def _feed_tip(parts: Parts) -> str:
    """The feed's tip; where feed or tip are gone, a new feed under a new store id."""
    tip = parts.refs.read(FEED)
    if tip is not None and parts.objects.holds(tip):
        return tip
    root = begin_store(parts.stamper.clock)
    keep = parts.objects.add([root])
    parts.refs.move([RefUpdate(FEED, root.id, frozenset({tip}))])
    keep.unlink()
    _LOG.warning("the feed was lost: positions are given anew, under a new store id")
    return root.id


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
    folder = parts.layout.salvage
    make_directory(folder)
    kept = folder / f"journal-{time.time_ns()}.db"
    parts.journal.reopen()
    for suffix in ("", "-wal", "-shm"):
        path = parts.layout.journal.with_name(f"journal.db{suffix}")
        if path.exists():
            path.rename(kept.with_name(f"{kept.name}{suffix}"))
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
    try:
        for order in ("ASC", "DESC"):
            with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
                for row in db.execute(f"{SELECT_PENDING} ORDER BY position {order}"):
                    found[row[0]] = JournalRow._make(row)
        for position in range(min(found, default=0), max(found, default=0)):
            if position not in found:
                with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
                    row = db.execute(f"{SELECT_PENDING} WHERE position = ?", (position,)).fetchone()
                    if row is not None:
                        found[position] = JournalRow._make(row)
                        continue
                _LOG.warning("the journal's row at position %d is lost", position)
    finally:
        db.close()
    yield from (found[position] for position in sorted(found))
