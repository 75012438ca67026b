"""Holding saved states against what the events make, and saying how far they have come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gitstore.core.base import BaseEventStore
from gitstore.core.canonical import JSON
from gitstore.core.errors import ForeignCheckpoint, StaleCheckpoint
from gitstore.core.findings import Progress, silent
from gitstore.projections.projection import Factory, checked, types_of
from gitstore.projections.slot import Slot
from gitstore.projections.stateform import Header, Stopped, decode_state
from gitstore.projections.states import States

State = Literal["current", "behind", "stopped", "stale", "foreign", "outdated", "unusable", "none"]
"""How a saved state stands; see ``ProjectionStatus``."""
_MOST_DIFFERENCES = 20
_REPORT_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """One projection as it is saved.

    - ``state``: ``current``; ``behind``: events wait for it; ``stopped``: at the event in
      ``stopped``; what the next run makes anew: ``stale`` (a rebase moved what it has handled),
      ``foreign`` (of another store), ``outdated`` (by another version of its code), ``unusable``
      (damaged); ``none``: nothing is saved.
    - ``version``: of the code; ``position``: up to which it has handled events; ``lag``: how many
      positions that is behind the store; ``saved``: when, as text.
    - ``building``: the position that a state which is being made anew has come to, or ``None``.
    - ``skipped``: ids of the events it has passed over.
    """

    name: str
    version: int
    state: State
    position: int
    lag: int
    saved: str | None = None
    building: int | None = None
    stopped: Stopped | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StateCheck:
    """A saved state held against a fold to its own position.

    ``differences``: paths such as ``tasks.AUTH-001.status`` whose values differ, at most 20;
    ``problem``: why there was nothing to compare, or ``None``.
    """

    name: str
    position: int
    differences: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether both are the same."""
        return not self.differences and self.problem is None


def statuses(
    store: BaseEventStore, factories: Iterable[Factory], states: States
) -> Iterator[ProjectionStatus]:
    """How each projection's saved state stands; changes nothing."""
    last = store.last_position()
    for factory in factories:
        projection = checked(factory)
        slot = Slot(projection.name, projection.version, states)
        yield _status(store, slot, projection.name, projection.version, last)


def check_state(
    store: BaseEventStore, factory: Factory, states: States, progress: Progress | None = None
) -> StateCheck:
    """Fold to where the saved state has come, and compare; changes nothing.

    ``progress``: told ``"Checking"``, the position reached, and the one to reach.
    """
    folded = checked(factory)
    slot = Slot(folded.name, folded.version, states)
    loaded = slot.load()
    if loaded is None:
        return StateCheck(folded.name, 0, problem=(*slot.notes, "nothing is saved")[0])
    header, body = loaded
    position = header.checkpoint.position
    try:
        store.resume(header.checkpoint)
    except (StaleCheckpoint, ForeignCheckpoint) as error:
        return StateCheck(folded.name, position, problem=str(error))
    tell = progress or silent
    for count, recorded in enumerate(store.read_all(types=types_of(folded)), 1):
        if recorded.position > position:
            break
        if recorded.event.id not in header.skipped:
            try:
                folded.handle(recorded)
            except Exception as error:  # noqa: BLE001 - code of its own, whatever it raises
                stopped = Stopped.at(recorded, error)
                why = f"a fold stops at {stopped.place}: {stopped.error}"
                return StateCheck(folded.name, position, problem=why)
        if count % _REPORT_EVERY == 0:
            tell("Checking", recorded.position, position)
    found = _differences(decode_state(body), folded.state(), "")
    paths = tuple(path for path, _ in zip(found, range(_MOST_DIFFERENCES), strict=False))
    return StateCheck(folded.name, position, paths)


def _status(
    store: BaseEventStore, slot: Slot, name: str, version: int, last: int
) -> ProjectionStatus:
    header = slot.header()
    building = slot.begun(header.build if header else "")
    at = building.checkpoint.position if building else None
    stopped = (building.stopped if building else None) or (header.stopped if header else None)
    if header is None:
        kind: State = "unusable" if slot.is_there() else "none"
        if kind == "none" and stopped:
            kind = "stopped"
        return ProjectionStatus(name, version, kind, 0, last, None, at, stopped)
    position = header.checkpoint.position
    kind = _kind(store, header, version, last)
    if stopped and kind == "behind":
        kind = "stopped"
    lag = max(last - position, 0)
    return ProjectionStatus(
        name, version, kind, position, lag, header.saved, at, stopped, header.skipped
    )


def _kind(store: BaseEventStore, header: Header, version: int, last: int) -> State:
    if header.version != version:
        return "outdated"
    try:
        store.resume(header.checkpoint)
    except StaleCheckpoint:
        return "stale"
    except ForeignCheckpoint:
        return "foreign"
    return "current" if header.checkpoint.position >= last else "behind"


def _differences(saved: JSON, folded: JSON, path: str) -> Iterator[str]:
    """The paths at which two states differ, as deep as both are objects."""
    if not (isinstance(saved, dict) and isinstance(folded, dict)):
        if saved != folded:
            yield path or "all of it"
        return
    for key in dict.fromkeys((*saved, *folded)):
        below = f"{path}.{key}" if path else str(key)
        if (key in saved) != (key in folded):
            yield below
        else:
            yield from _differences(saved[key], folded[key], below)
