"""Where an event is, and where it was before a rebase gave it another place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import recorded
from gitstore.core.event import RecordedEvent
from gitstore.core.names import encode_name

SUPERSEDED = "refs/superseded/"
"""Under it, by stream, the tips that a rebase replaced."""


class EventPlaces(NamedTuple):
    """All places of one event in this store.

    - ``now``: the live one.
    - ``was``: those before, by position, each with ``superseded_by``.
    - ``refs``: commit of one of those → the ref whose history holds it; without such as no ref
      holds any more.
    - ``origin``: of an event that a rebase, here or on another machine, has replayed: the commit
      by which it was first recorded.
    """

    now: RecordedEvent
    was: tuple[RecordedEvent, ...]
    refs: Mapping[str, str]
    origin: str | None


def places(parts: Parts, event_id: str) -> EventPlaces | None:
    """All places of the event of this id; ``None`` where there is none."""
    waiting = parts.journal.by_ids([event_id])
    found = parts.index.places(event_id)
    if not found or found[-1].event.superseded_by is not None:
        return EventPlaces(recorded(waiting[0]), (), {}, None) if waiting else None
    *past, live = found
    refs = superseded_refs(parts, live.event.stream_id) if past else {}
    return EventPlaces(
        live.event,
        tuple(place.event for place in past),
        {p.event.commit: refs[p.tip] for p in past if p.event.commit and p.tip in refs},
        live.origin,
    )


def superseded_refs(parts: Parts, stream: str) -> dict[str, str]:
    """Tip → name of each ref under which a superseded tip of the stream is kept."""
    names = parts.refs.under(f"{SUPERSEDED}{encode_name(stream)}/")
    return {tip: name for name, tip in sorted(names.items(), reverse=True)}
