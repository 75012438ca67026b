"""Rebases made by hand, step by step, as a store records them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.commits import EventCommit, GitObject, committer_date, encode_commit
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.rows import NO_HEAD, head_of, place, row_of, row_of_commit
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.superseding import keep_tips
from gitstore.core import canonical
from gitstore.core.idempotence import Proposal
from gitstore.core.names import encode_name
from tests.backends.git.witness import reopen

SPILLED = "s" * 9_000


def copied(template: Path, place: Path) -> Path:
    """A copy of a store in a folder; opened once, so that it has an id of its own."""
    copy = place / "events.git"
    shutil.copytree(template, copy)
    with reopen(copy) as opened:
        opened.flush()
    return copy


def rebase(store: GitEventStore, stream: str, fork: int, theirs: Iterable[DomainEvent]) -> None:
    """Let ``theirs`` follow version ``fork`` of a stream, and what stood there follow them."""
    store.flush()
    parts = store._parts
    ours = list(store.read_stream(stream))
    with parts.flush_lock.held(), parts.write_lock.held():
        rows: list[JournalRow] = []
        objects: list[GitObject] = []
        head = _head(parts, ours[:fork])
        for each in [*theirs, *ours[fork:]]:
            position = parts.journal.highest()[1] + len(rows) + 1
            if isinstance(each, RecordedEvent):
                row, made = _replayed(parts, each, head, position)
            else:
                row, made = place(Proposal.of(each), head, position, parts.stamper)
            rows.append(row)
            objects += made
            head = head_of(row)
        _record(store, ours, rows, objects)
    store._upkeep.forget_heads()


def _record(
    store: GitEventStore,
    ours: Sequence[RecordedEvent],
    rows: Sequence[JournalRow],
    objects: Sequence[GitObject],
) -> None:
    """Keep the old tip, move the stream, and let the feed list the rows; both locks are held."""
    parts, stream, old = store._parts, rows[0].stream, ours[-1].commit
    assert old is not None
    assert not keep_tips(parts.refs, {stream: old})
    parts.objects.add(objects).unlink()
    move = RefUpdate(STREAMS + encode_name(stream), rows[-1].commit_id.hex(), frozenset({old}))
    assert not parts.refs.move([move])
    Flusher(parts).record(rows, objects)


def _head(parts: Parts, events: Sequence[RecordedEvent]) -> StreamHead:
    if not events:
        return NO_HEAD
    commit = events[-1].commit
    assert commit is not None
    date = parts.objects.read_event(commit).date
    return StreamHead(events[-1].version, bytes.fromhex(commit), date)


def _replayed(
    parts: Parts, recorded: RecordedEvent, head: StreamHead, position: int
) -> tuple[JournalRow, list[GitObject]]:
    assert recorded.commit is not None
    old = parts.objects.read_event(recorded.commit)
    data = parts.objects.read_data(old)
    event: EventCommit = old._replace(
        version=head.version + 1,
        parent=head.commit.hex() or None,
        date=committer_date(old.time, head.date),
        origin=old.origin or recorded.commit,
    )
    objects = encode_commit(event, data)
    metadata = canonical.encode(event.metadata)
    return row_of(event, objects[-1].id, position, data, metadata), objects


def rebased(path: Path, spilled: str = SPILLED) -> Path:
    """A store with two streams rebased, one of them twice, from different forks, among others.

    Stream ``task-1`` forks at 2 and then at 1, with spilled data on both sides; ``a/b`` from its
    beginning; ``other`` never. Events come before, between and after. Without ``spilled`` the index
    has all that a commit says.
    """
    with reopen(path) as store:
        for n in range(5):
            store.append(noted("task-1", f"ours-{n}", spilled if n == 3 else n))
            store.append(noted("other", f"other-{n}", n))
        store.append(noted("a/b", "first", 1))
        rebase(store, "task-1", 2, [noted("task-1", "x", spilled + "x"), noted("task-1", "y", 1)])
        store.append(noted("task-1", "after", 1))
        store.append(noted("other", "other-after", 1))
        rebase(store, "a/b", 0, [noted("a/b", "before", 0)])
        rebase(store, "task-1", 1, [noted("task-1", "z", 1)])
        store.append(noted("task-1", "last", 1))
        store.append(noted("a/b", "second", 1))
    return path


def noted(stream: str, event_id: str, data: object) -> DomainEvent:
    """An event whose id says which."""
    return DomainEvent(stream, "Noted", {"d": data}, {"userId": "ada"}, id=event_id)  # type: ignore[dict-item]


def back_to(store: GitEventStore, stream: str, ref: str, known: Sequence[str]) -> None:
    """Let a stream go back to the chain of ``ref``, whose ids are ``known``; ours follow."""
    store.flush()
    parts = store._parts
    ours = list(store.read_stream(stream))
    with parts.flush_lock.held(), parts.write_lock.held():
        at = parts.refs.read(ref)
        assert at is not None
        rows: list[JournalRow] = []
        first = parts.journal.highest()[1] + 1
        row = row_of_commit(parts.objects, at, first)
        rows.append(row)
        assert row.version == len(known) == 1
        objects: list[GitObject] = []
        for each in ours:
            if each.event.id not in known:
                row, made = _replayed(parts, each, head_of(rows[-1]), first + len(rows))
                rows.append(row)
                objects += made
        _record(store, ours, rows, objects)
    store._upkeep.forget_heads()
