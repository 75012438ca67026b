"""The git store at a glance."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitstore.backends.git.layout import QUARANTINE, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.repository import FORMAT_VERSION
from gitstore.core.status import StoreStatus


def take_status(parts: Parts, contested: Mapping[str, str]) -> StoreStatus:
    """Look at everything, change nothing. ``contested``: streams whose refs cannot be moved."""
    events, _ = parts.index.counts()
    unflushed = parts.journal.count()
    streams = {*parts.index.streams(None), *parts.journal.streams()}
    return StoreStatus(
        str(parts.layout.root),
        f"gitstore format {FORMAT_VERSION}",
        parts.journal.state().store_id,
        events + unflushed,
        len(streams),
        parts.index.superseded_count(),
        parts.index.superseded_streams(),
        unflushed,
        sum(_sizes(parts.layout.root)),
        tuple(_notes(parts, contested)),
    )


def _sizes(folder: Path) -> Iterator[int]:
    """The sizes of all files below; writers make and remove some meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            else:
                with contextlib.suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_size


def _notes(parts: Parts, contested: Mapping[str, str]) -> Iterator[str]:
    kept = parts.refs.under(QUARANTINE)
    if kept:
        tips = "1 foreign tip" if len(kept) == 1 else f"{len(kept)} foreign tips"
        yield f"{tips} in quarantine: git for-each-ref {QUARANTINE}"
    odd: dict[str, str] = {}
    parts.refs.under(STREAMS, odd)
    for name in odd:
        yield f"{name} is no ref of a stream, and is passed over"
    here = parts.index.counts()[0] + parts.index.superseded_count() + parts.journal.count()
    missing = parts.journal.highest()[1] - here
    if missing > 0:
        yield f"{missing} events are lost: `sc-events verify` names them"
    if parts.layout.salvage.is_dir():
        yield f"damaged files are kept in {parts.layout.salvage}"
    for stream, why in contested.items():
        yield f"stream {stream} waits in the journal: {why}"
