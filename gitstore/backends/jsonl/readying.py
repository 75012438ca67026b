"""Opening a layout for writing: whatever state it was left in, all its parts in step."""

from __future__ import annotations

from gitstore.backends.jsonl.filing import BY_STREAM_FILE
from gitstore.backends.jsonl.indexlines import end_before
from gitstore.backends.jsonl.layout import BY_STREAM, index_files, is_day
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.rebuilding import empty_journal, rebuild
from gitstore.backends.jsonl.recovery import bring_up, recover
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.takingin import take_in
from gitstore.core.errors import StoreCorrupted

_TYPES = "SELECT type, max(position) FROM events GROUP BY type"


def make_ready(parts: Parts) -> None:
    """Bring all parts in step: the journal's events filed, indexes whole, others' lines taken in.

    Under the lock. ``parts.state`` is what a layout gets that has none of its own.
    """
    if LiveState.load(parts.indexes) is None and not _has_events(parts):
        parts.state.save(parts.indexes)
    if not _recovered(parts):
        empty_journal(parts)
        rebuild(parts)
    take_in(parts, parts.watch.changed())


def indexes_fit(parts: Parts) -> bool:
    """Whether the text indexes end where ``index.db`` does, as far as a look at their ends says."""
    bring_up(parts)
    _, through, last = parts.index.noted()
    by_stream = parts.filing.open(BY_STREAM_FILE)
    if by_stream.size() < through or parts.filing.last() != (last, through):
        return False
    rows = parts.index.file.get().execute(_TYPES).fetchall()
    return all(
        end_before(parts.filing.open(index_files(kind)[1]).descriptor, last + 1)[0] == position
        for kind, position in rows
    )


def _has_events(parts: Parts) -> bool:
    return BY_STREAM in parts.indexes.names() or any(map(is_day, parts.root.names()))


def _recovered(parts: Parts) -> bool:
    """Whether the journal alone tells what is to be done; else indexes are to be made anew."""
    try:
        if LiveState.load(parts.indexes) is None:
            return False
        if parts.index.is_new():
            if _has_events(parts):
                return False
            parts.index.create(parts.state.store_id)
        elif not parts.index.is_known() or parts.index.noted()[0] != parts.state.store_id:
            return False
        recover(parts)
        return indexes_fit(parts)
    except StoreCorrupted:
        return False
