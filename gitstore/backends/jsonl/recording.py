"""Recording entries: the journal, then the files; how much may wait for the disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gitstore.backends.jsonl.entries import Entry
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.recovery import bring_up, settle
from gitstore.core.errors import EventStoreError

_LOG = logging.getLogger("gitstore.store")
_SETTLE_EVENTS = 4_000
_SETTLE_BYTES = 8 * 1024 * 1024


def record(parts: Parts, entries: Sequence[Entry], *, stand: bool = False) -> None:
    """Make entries durable that follow on what is recorded; under the lock, caught up.

    ``stand``: their lines stand in the data files already.

    ``StoreUnavailable`` as in ``Journal.append``. Once they are in the journal they are, whatever
    happens to the files: these are then behind, and the next who comes brings them on.
    """
    parts.journal.append(entries[0].row.position, entries)
    try:
        placed = parts.filing.file_lines(entries, stand=stand)
    except (OSError, EventStoreError) as error:
        parts.tail.add(entries)
        parts.tail.is_behind = True
        _LOG.warning("%s: recorded, but not in its files yet: %s", parts.where, error)
    else:
        parts.tail.add(placed)
        _make_way(parts)


def _make_way(parts: Parts) -> None:
    """Let neither the tail nor the journal grow too long."""
    try:
        if parts.tail.is_full:
            bring_up(parts)
        if parts.journal.count >= _SETTLE_EVENTS or parts.journal.size >= _SETTLE_BYTES:
            settle(parts)
    except (OSError, EventStoreError) as error:
        _LOG.warning("%s: recorded, but not in its last place yet: %s", parts.where, error)
