"""A store at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.git.layout import QUARANTINE
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.repository import FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """A store at a glance.

    ``unflushed``: events that are durable and not in git yet; ``size``: bytes on disk of the whole
    store; ``notes``: sentences about anything that wants a look.
    """

    where: Path
    format: str
    store_id: str
    events: int
    streams: int
    unflushed: int
    size: int
    notes: tuple[str, ...]


def take_status(parts: Parts, contested: Mapping[str, str]) -> StoreStatus:
    """Look at everything, change nothing. ``contested``: streams whose refs cannot be moved."""
    events, _ = parts.index.counts()
    unflushed = parts.journal.count()
    streams = {*parts.index.streams(None), *parts.journal.streams()}
    return StoreStatus(
        parts.layout.root,
        f"gitstore format {FORMAT_VERSION}",
        parts.journal.state().store_id,
        events + unflushed,
        len(streams),
        unflushed,
        sum(file.stat().st_size for file in parts.layout.root.rglob("*") if file.is_file()),
        tuple(_notes(parts, contested)),
    )


def _notes(parts: Parts, contested: Mapping[str, str]) -> Iterator[str]:
    kept = parts.refs.under(QUARANTINE)
    if kept:
        yield f"{len(kept)} foreign tips in quarantine: git for-each-ref {QUARANTINE}"
    if parts.layout.salvage.is_dir():
        yield f"damaged files are kept in {parts.layout.salvage}"
    for stream, why in contested.items():
        yield f"stream {stream} waits in the journal: {why}"
