"""Events, feed, journal and index made again from each other: what one has lost another may know.

Commits come from the index's rows, id for id; the feed from the index's positions; the index from
feed and commits; where neither feed nor index is left, positions are given anew, under a new store
id. Every step may be repeated after a crash at any point. All of it needs the flush lock.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gitstore.backends.git import feed
from gitstore.backends.git.checking_refs import RefsFound, is_sound
from gitstore.backends.git.checking_rows import ODDITIES
from gitstore.backends.git.commits import SPILL_OVER, GitObject, committer_date
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.indexschema import unpack_id
from gitstore.backends.git.journal import JournalRow, JournalState
from gitstore.backends.git.layout import FEED, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.repository import store_id
from gitstore.backends.git.rows import objects_of, row_of_commit
from gitstore.backends.git.salvaging import listed, set_aside, write_objects
from gitstore.core.errors import EventStoreError
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds

_PAGE = 1_000
_AT_ONCE = 5_000
_FAILURES = (EventStoreError, sqlite3.Error, *ODDITIES)


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that can be read from its tip to its first commit."""

    tip: str
    last: int
    """The highest position it lists."""
    store_id: str


def index_rows(parts: Parts, *, lost: bool = False) -> Iterator[JournalRow]:
    """The index's rows that give their commit's id, or whose commit git has.

    ``lost``: the others too, for their places; their data may be missing or wrong.
    """
    heads: dict[int, tuple[bytes, int]] = {}
    for raw in _raw_rows(parts):
        row = _as_row(parts, raw, *heads.get(raw[1], (None, 0)))
        if row is None:
            continue
        # Its successor can be encoded, also where the row itself has no data any more.
        heads[raw[1]] = (row.commit_id, row.date)
        sound = _checked(parts, row, has_data=raw[11] is not None)
        if sound is not None:
            yield sound
        elif lost:
            yield row


def _raw_rows(parts: Parts) -> Iterator[tuple[Any, ...]]:
    """Rows of the index as they lie there, as far as it can be read."""
    after = 0
    while True:
        try:
            page = parts.index.raw_page(after, 2**63 - 1, _PAGE)
        except _FAILURES:
            return
        if not page:
            return
        yield from page
        after = page[-1][0]


def _as_row(
    parts: Parts, raw: tuple[Any, ...], parent: bytes | None, date: int
) -> JournalRow | None:
    """A row of the index in the journal's form, unchecked; ``None`` where it has no sense."""
    position, stream, version, kind, time, packed, commit, *_, data, metadata = raw
    if not isinstance(version, int) or not isinstance(commit, bytes) or len(commit) != 20:
        return None
    try:
        return JournalRow(
            position,
            parts.index.stream_name(stream),
            version,
            parts.index.word(kind),
            time,
            unpack_id(packed) if isinstance(packed, bytes) else packed,
            commit,
            parent,
            committer_date(time, date),
            data or b"",
            metadata or b"{}",
        )
    except _FAILURES:
        return None


def _checked(parts: Parts, row: JournalRow, *, has_data: bool) -> JournalRow | None:
    """The row where it gives its commit's id, else what git has, else nothing."""
    with contextlib.suppress(*_FAILURES):
        if has_data:
            objects_of(row)
            return row
    with contextlib.suppress(*_FAILURES):
        return row_of_commit(parts.objects, row.commit_id.hex(), row.position)
    return None


def restore_commits(parts: Parts) -> int:
    """Write the events again that the index knows and git has lost; how many objects those were."""
    return write_objects(
        parts.layout,
        (
            item
            for row in index_rows(parts)
            for item in objects_of(row)
            if not is_sound(parts.objects, item.id)
        ),
    )


def restore_spilled(parts: Parts) -> int:
    """Find the blobs again of events whose commit or tree is lost; how many objects were written.

    The index knows all of such an event but its data: the blob that gives the commit's id is it.
    """
    lost = list(_spilled_and_lost(parts))
    if not lost:
        return 0
    found = (
        item
        for data in _large_blobs(parts)
        for row in lost
        for item in _objects_with(row, data)
        if not is_sound(parts.objects, item.id)
    )
    return write_objects(parts.layout, found)


def _spilled_and_lost(parts: Parts) -> Iterator[JournalRow]:
    heads: dict[int, tuple[bytes, int]] = {}
    for raw in _raw_rows(parts):
        row = _as_row(parts, raw, *heads.get(raw[1], (None, 0)))
        if row is None:
            continue
        heads[raw[1]] = (row.commit_id, row.date)
        if raw[11] is None and _checked(parts, row, has_data=False) is None:
            yield row


def _large_blobs(parts: Parts) -> Iterator[bytes]:
    """Every blob that spilled data may be."""
    for index in sorted(parts.layout.packs.glob("pack-*.idx")):
        for name in listed(index):
            with contextlib.suppress(*_FAILURES):
                kind, content = parts.objects.read_any(name) or ("", b"")
                if kind == "blob" and len(content) > SPILL_OVER:
                    yield content


def _objects_with(row: JournalRow, data: bytes) -> list[GitObject]:
    """The objects of a row with this data, none where they do not give its commit's id."""
    try:
        return objects_of(row._replace(data=data))
    except _FAILURES:
        return []


def mend_feed(parts: Parts, refs: RefsFound) -> None:
    """See to it that the feed can be read, from ref and journal; where it is lost, make it anew."""
    state = journal_state(parts)
    known = _index_state(parts)
    tips = [state.feed if state else "", refs.ids.get(FEED, ""), known[1]]
    least = max(state.flushed if state else 0, known[0])
    whole = [found for tip in dict.fromkeys(tips) if tip and (found := _whole(parts, tip))]
    best = max(whole, key=lambda found: found.last, default=None)
    renumber = False
    if best is None or (best.last < least and _is_beyond(parts, state, best)):
        rows = list(_positions(parts, state))
        if rows and [entry.position for entry in rows] == list(range(1, len(rows) + 1)):
            identity = state.store_id if state else (best.store_id if best else "")
        else:
            rows, identity, renumber = _renumbered(parts, refs), "", True
        best = _write_feed(parts, identity or str(uuid.uuid4()), rows)
    if state is not None and not _agrees(parts, state, best):
        parts.journal.restart(best.last, best.tip, best.store_id, renumber=renumber)
    at = refs.ids.get(FEED)
    if at != best.tip:
        parts.refs.move([RefUpdate(FEED, best.tip, frozenset({at, None}))])


def journal_state(parts: Parts) -> JournalState | None:
    """What the journal says has left it; ``None`` where it cannot be read."""
    if not parts.layout.journal.exists():
        return None
    try:
        return parts.journal.state() if parts.journal.exists() else None
    except (*_FAILURES, AssertionError):
        return None


def _index_state(parts: Parts) -> tuple[int, str]:
    try:
        return parts.index.state() if parts.layout.index.exists() else (0, "")
    except _FAILURES:
        return 0, ""


def _whole(parts: Parts, tip: str) -> Feed | None:
    """The feed of this tip, where all of it can be read and its positions rise by one."""
    last = below = 0
    try:
        for commit in feed.read_back(parts.objects, tip):
            for entry in reversed(commit.entries):
                last = last or entry.position
                if below and entry.position != below - 1:
                    return None
                below = entry.position
        return Feed(tip, last, store_id(parts.objects, tip)) if below in (0, 1) else None
    except _FAILURES:
        return None


def _is_beyond(parts: Parts, state: JournalState | None, best: Feed) -> bool:
    """Whether the index has events that this feed does not list."""
    try:
        return any(row.position > best.last for row in index_rows(parts)) or state is None
    except _FAILURES:
        return False


def _agrees(parts: Parts, state: JournalState, best: Feed) -> bool:
    """Whether the journal's state fits the feed, a flush that was cut short included."""
    if state.store_id != best.store_id:
        return False
    if state.feed == best.tip:
        left = state.flushed == best.last or parts.journal.count() > 0
        return left and state.flushed <= best.last == state.listed
    ahead = feed.decode_header(parts.objects.read(best.tip))[0]
    return ahead == state.feed and parts.journal.count() > 0


def _positions(parts: Parts, state: JournalState | None) -> Iterator[FeedEntry]:
    """Every event by position, as the index has it, and the journal where it could not leave."""
    waiting: dict[int, JournalRow] = {}
    if state is not None:
        waiting = {r.position: r for r in parts.journal.pending(1 << 40)}
    for row in index_rows(parts, lost=True):
        for position in sorted(p for p in waiting if p < row.position):
            yield _entry_of(waiting.pop(position))
        waiting.pop(row.position, None)
        yield _entry_of(row)


def _renumbered(parts: Parts, refs: RefsFound) -> list[FeedEntry]:
    """Every event of the streams, by committer date, then stream, then version."""
    found: list[tuple[int, str, int, str, str]] = []
    for name, tip in refs.under(STREAMS).items():
        at: str | None = tip
        while at is not None:
            try:
                event = parts.objects.read_event(at)
            except EventStoreError:
                break  # what lies below is lost, and named by verify
            if STREAMS + encode_name(event.stream_id) != name:
                break
            found.append((event.date, event.stream_id, event.version, at, event.type))
            at = event.parent
    found.sort()
    return [
        FeedEntry(position, kind, stream, version, commit)
        for position, (_, stream, version, commit, kind) in enumerate(found, 1)
    ]


def _write_feed(parts: Parts, identity: str, entries: list[FeedEntry]) -> Feed:
    now = to_microseconds(parts.stamper.clock()) // 1_000_000
    commits = [feed.encode_root(identity, now)]
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        commits.append(feed.encode_feed(commits[-1].id, now, some))
    write_objects(parts.layout, commits)
    return Feed(commits[-1].id, len(entries), identity)


def rebuild_index(parts: Parts) -> None:
    """Make the index anew from feed and commits, and keep the rows whose commits are lost.

    The old file is kept aside, not deleted: it may be all that is left of an event.
    """
    state = parts.journal.state()
    waiting = {row.position for row in parts.journal.pending(1 << 40)}
    kept = {row[0]: row for row in _rows_without_commits(parts)}
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


def _rows_without_commits(parts: Parts) -> Iterator[JournalRow]:
    """What the index knows of events whose commits git has lost for good."""
    for raw in _raw_rows(parts):
        row = _as_row(parts, raw, None, 0)
        known = row is not None and raw[11] is not None and raw[12] is not None
        if row is not None and known and not is_sound(parts.objects, row.commit_id.hex()):
            yield row


def _entry_of(row: JournalRow) -> FeedEntry:
    return FeedEntry(row.position, row.type, row.stream, row.version, row.commit_id.hex())
