"""The index from feed and commits, also where some commits are lost for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitstore.backends.git import feed
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.journal import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.restoring import rows_without_commits
from gitstore.backends.git.rows import row_of_commit
from gitstore.backends.git.salvaging import set_aside
from gitstore.core.errors import EventStoreError


def rebuild_index(parts: Parts) -> None:
    """Make the index anew from feed and commits, and keep the rows whose commits are lost.

    The old file is kept aside, not deleted: it may be all that is left of an event.
    """
    state = parts.journal.state()
    waiting = {row.position for row in parts.journal.pending(1 << 40)}
    kept = {row[0]: row for row in rows_without_commits(parts)}
    commits = feed.commits_since(parts.objects, state.feed, None) or []
    for suffix in ("", "-wal", "-shm"):
        path = parts.layout.index.with_name(f"index.db{suffix}")
        if path.exists():
            set_aside(parts.layout, path) if kept else path.unlink()
    parts.index.reopen()
    parts.index.create()
    for commit in commits:
        entries = feed.decode_feed(parts.objects.read(commit)).entries
        rows = list(_rows_of(parts, (e for e in entries if e.position not in waiting), kept))
        last = entries[-1].position if entries else 0
        parts.index.add(rows, min(last, state.flushed), commit)


def _rows_of(
    parts: Parts, entries: Iterable[FeedEntry], kept: dict[int, JournalRow]
) -> Iterator[JournalRow]:
    for entry in entries:
        try:
            yield row_of_commit(parts.objects, entry.commit, entry.position)
        except EventStoreError:
            if entry.position in kept:
                yield kept[entry.position]
