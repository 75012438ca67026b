"""The index from feed and commits, also where some commits are lost for good."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator

from gitstore.backends.git import feed
from gitstore.backends.git.checking_refs import is_sound, look_at_refs
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.recovery import NewIndex, ends_in_time, replace_index
from gitstore.backends.git.restoring import FAULTS, raw_rows
from gitstore.backends.git.rows import row_of_commit
from gitstore.core.errors import EventStoreError
from gitstore.core.names import encode_name

_LOG = logging.getLogger("gitstore.repair")
_PAGE = 1_000


def rebuild_index(parts: Parts) -> None:
    """Make the index anew from feed and commits, without the events whose commits are lost.

    The streams of those end where they did, so that no version is given twice; but not of those
    that a rebase superseded, which are no one's end. The old file is kept aside where it may be all
    that is left of an event.
    """
    lost: list[FeedEntry] = []

    def fill(index: NewIndex) -> bool:
        _fill(parts, index, lost)
        _note_heads(parts, index, _live_ones(parts, lost))
        return ends_in_time(parts) and (not lost or _knows_nothing_of(parts, lost))

    replace_index(parts, fill)
    for entry in lost:
        _LOG.warning("%s@%d, %s, is lost", entry.stream_id, entry.version, entry.commit)


def _fill(parts: Parts, index: NewIndex, lost: list[FeedEntry]) -> None:
    state = parts.journal.state()
    waiting = {row.position for row in parts.journal.pending(1 << 40)}
    for commit in feed.commits_since(parts.objects, state.feed, None) or []:
        entries = feed.decode_feed(parts.objects.read(commit)).entries
        rows = list(_rows_of(parts, (e for e in entries if e.position not in waiting), lost))
        last = entries[-1].position if entries else 0
        index.add(rows, min(last, state.flushed), commit)


def _rows_of(
    parts: Parts, entries: Iterable[FeedEntry], lost: list[FeedEntry]
) -> Iterator[JournalRow]:
    for entry in entries:
        try:
            yield row_of_commit(parts.objects, entry.commit, entry.position)
        except EventStoreError:
            lost.append(entry)


def _live_ones(parts: Parts, entries: list[FeedEntry]) -> list[FeedEntry]:
    """Those of the feed's entries that no rebase has superseded."""
    if not entries:
        return []
    superseded = feed.superseded_positions(parts.objects, parts.journal.state().feed)
    return [entry for entry in entries if entry.position not in superseded]


def _note_heads(parts: Parts, index: NewIndex, lost: Iterable[FeedEntry]) -> None:
    """Let streams end at lost events: those the feed lists, and those both index and ref know."""
    known = dict(_old_heads(parts))
    for entry in lost:
        commit = bytes.fromhex(entry.commit)
        old = known.get(entry.stream_id)
        date = old.date if old is not None and old.commit == commit else 0
        index.note_head(entry.stream_id, StreamHead(entry.version, commit, date))
    tips = look_at_refs(parts.layout).ids
    for stream, head in known.items():
        tip = head.commit.hex()
        if tips.get(STREAMS + encode_name(stream)) == tip and not is_sound(parts.objects, tip):
            index.note_head(stream, head)


def _old_heads(parts: Parts) -> Iterator[tuple[str, StreamHead]]:
    """Where each stream ends, as far as the old index can be read."""
    after = 0
    with contextlib.suppress(*FAULTS):
        while parts.layout.index.exists() and (page := parts.index.raw_streams(after, _PAGE)):
            for _, name, _, version, commit, date in page:
                if isinstance(name, str) and isinstance(commit, bytes) and version:
                    yield name, StreamHead(int(version), commit, int(date))
            after = page[-1][0]


def _knows_nothing_of(parts: Parts, lost: Iterable[FeedEntry]) -> bool:
    """Whether the old index can be read to its end, and has none of these events."""
    if not parts.layout.index.exists():
        return True
    try:
        parts.index.check()
    except IndexDamaged:
        return False
    commits = {bytes.fromhex(entry.commit) for entry in lost}
    return not any(raw[6] in commits for raw in raw_rows(parts))
