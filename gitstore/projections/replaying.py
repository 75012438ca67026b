"""Replay: what events make, folded now, from all of them or from those up to a moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitstore.core.base import BaseEventStore
from gitstore.core.event import RecordedEvent
from gitstore.core.findings import Progress, silent
from gitstore.projections.projection import Projection, types_of, wants
from gitstore.projections.stateform import Stopped

_REPORT_EVERY = 1_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did.

    - ``events``: how many were read; ``position``: of the last of them, 0 without any.
    - ``stopped``: by name, the event at which a projection stopped: its state is worth nothing.
    """

    events: int
    position: int
    stopped: dict[str, Stopped]


def replay(
    store: BaseEventStore,
    projections: Iterable[Projection],
    *,
    as_of: int | datetime | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    skipped: Mapping[str, Collection[str]] | None = None,
    progress: Progress | None = None,
) -> Replayed:
    """Hand the store's events to new projections, by position; nothing is saved.

    - ``as_of``: only what was there then: a position (inclusive), with every event where it stood
      before later rebases; or an aware datetime, what had happened by then (inclusive).
    - ``since`` (inclusive) and ``until`` (exclusive): only what happened in between, so that a
      state is that window's alone.
    - ``skipped``: by the projection's name, ids of events that it is not to be handed.
    - ``progress``: told ``"Replaying"``, the position reached, and the store's last.
    """
    tell = progress or silent
    last = store.last_position()
    passed_over = skipped or {}
    running = [(one, types_of(one), passed_over.get(one.name, ())) for one in projections]
    stopped: dict[str, Stopped] = {}
    count = position = 0
    for count, recorded in enumerate(_wanted(store, as_of, since, until), 1):
        position = recorded.position
        for projection, types, skips in running:
            if wants(types, recorded.event) and recorded.event.id not in skips:
                try:
                    projection.handle(recorded)
                except Exception as error:  # noqa: BLE001 - it stops this projection alone
                    stopped[projection.name] = Stopped.at(recorded, error)
        if stopped:
            running = [one for one in running if one[0].name not in stopped]
        if count % _REPORT_EVERY == 0:
            tell("Replaying", position, max(position, last))
    return Replayed(count, position, stopped)


def _wanted(
    store: BaseEventStore,
    as_of: int | datetime | None,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[RecordedEvent]:
    if isinstance(as_of, datetime):
        end = as_of + _MICROSECOND
        until = end if until is None else min(until, end)
    events = store.read_all(since=since, until=until, superseded=isinstance(as_of, int))
    return _as_they_stood(events, as_of) if isinstance(as_of, int) else events


def _as_they_stood(events: Iterator[RecordedEvent], position: int) -> Iterator[RecordedEvent]:
    """Of all events, superseded ones too, those that were live when this was the last position."""
    for recorded in events:
        if recorded.position > position:
            return
        if recorded.superseded_by is None or recorded.superseded_by > position:
            yield recorded
