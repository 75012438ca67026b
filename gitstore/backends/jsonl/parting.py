"""Layouts that hold a part of a history: what may be recorded in one.

Versions are those of the whole history, so they rise and may have gaps; nothing is given anew, so
an event comes with its id, its version and its timestamp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitstore.core.errors import InvalidEvent, PartialDuplicate, WrongExpectedVersion
from gitstore.core.event import RecordedEvent
from gitstore.core.idempotence import Proposal, already_recorded


def recorded_of_part(
    proposals: Sequence[Proposal], known: Mapping[str, RecordedEvent]
) -> list[RecordedEvent] | None:
    """The recorded events of a batch that was appended before, ``None`` for a new one.

    The rules of ``core.idempotence``, but for the places: those are in the events.
    """
    if not known:
        return None
    unknown = [p.event.id or "(no id)" for p in proposals if (p.event.id or "") not in known]
    if unknown:
        raise PartialDuplicate(list(known), unknown)
    found: list[RecordedEvent] = []
    for proposal in proposals:
        found += already_recorded([proposal], known, {}, {}) or []
    return found


def check_part(proposals: Sequence[Proposal], versions: Mapping[str, int]) -> None:
    """Raise unless every event of a new batch is whole, and stands after its stream's head."""
    heads = dict(versions)
    for proposal in proposals:
        event = proposal.event
        if event.id is None or event.version is None or event.timestamp is None:
            raise InvalidEvent(
                f"{event.stream_id}: an event of a part of a history needs id, version and "
                "timestamp",
                hint="Append to the store that has the whole history, and export again.",
            )
        if event.version <= heads[event.stream_id]:
            raise WrongExpectedVersion(event.stream_id, event.version - 1, heads[event.stream_id])
        heads[event.stream_id] = event.version
