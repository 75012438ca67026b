"""Places that events had before a rebase: a list of them, and what is told of one event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gitstore.core.event import RecordedEvent
from gitstore_cli.env import Env
from gitstore_cli.render.events import Counted, minimal_line
from gitstore_cli.render.jsontext import array, event_object, one_line
from gitstore_cli.render.names import reference

if TYPE_CHECKING:
    from gitstore.backends.git.places import EventPlaces
    from gitstore.backends.git.store import GitEventStore

    Placed = tuple[RecordedEvent, EventPlaces]


def write_superseded(
    env: Env, form: str, store: GitEventStore, events: Iterable[RecordedEvent]
) -> int:
    """Write superseded events, each with where it is now; gives how many they were."""
    counted = Counted(events)
    found = ((event, store.places(event.event.id or "")) for event in counted)
    placed = ((event, places) for event, places in found if places is not None)
    if form == "table":
        from gitstore_cli.render.eventtable import write_superseded_table

        return write_superseded_table(env, map(_cells, placed))
    lines = _minimal if form == "minimal" else _json_line
    texts = array(map(_object, placed)) if form == "json" else map(lines, placed)
    env.stdout.writelines(texts)
    return counted.count


def placed_object(recorded: RecordedEvent, places: EventPlaces | None) -> dict[str, Any]:
    """``event_object``, and of an event that was moved all its places here.

    ``now`` and ``was`` (by position), each with its version, position, commit and, where one keeps
    it, ``ref``; ``origin``: the commit by which it was first recorded, here or elsewhere.
    """
    given = event_object(recorded)
    if places is not None and (places.was or places.origin):
        given["now"] = _place(places.now, places)
        given["was"] = [_place(event, places) for event in places.was]
        given["origin"] = places.origin
    return given


def places_block(recorded: RecordedEvent, places: EventPlaces) -> list[tuple[str, str]]:
    """Titles and texts of the places that the event has besides the one shown; safe or not."""
    lines: list[tuple[str, str]] = []
    if recorded.superseded_by is not None:
        lines += [("Kept by", _ref(recorded, places) or "no ref"), *_titled("Now", places.now)]
    for event in places.was:
        if event.position != recorded.position:
            lines += _titled("Was", event)
            lines.append(("", f"kept by {_ref(event, places) or 'no ref'}"))
    here = {event.commit for event in (recorded, *places.was)}
    if places.origin and places.origin not in here:
        lines.append(("Origin", f"commit {places.origin}, on another machine"))
    return lines


def _titled(title: str, event: RecordedEvent) -> list[tuple[str, str]]:
    return [
        (title, f"{reference(event)}, position {event.position}"),
        ("", f"commit {event.commit}"),
    ]


def _place(event: RecordedEvent, places: EventPlaces) -> dict[str, Any]:
    place = {"version": event.version, "position": event.position, "commit": event.commit}
    ref = _ref(event, places)
    return {**place, "ref": ref} if ref else place


def _ref(event: RecordedEvent, places: EventPlaces) -> str:
    return places.refs.get(event.commit or "", "")


def _now_short(places: EventPlaces) -> str:
    """``@5 at 8``: the version in the same stream, and the position."""
    return f"@{places.now.version} at {places.now.position}"


def _cells(placed: Placed) -> tuple[RecordedEvent, str, str]:
    event, places = placed
    return event, _now_short(places), _ref(event, places).removeprefix("refs/")


def _object(placed: Placed) -> dict[str, Any]:
    event, places = placed
    return {**event_object(event), "ref": _ref(event, places) or None}


def _json_line(placed: Placed) -> str:
    return one_line(_object(placed)) + "\n"


def _minimal(placed: Placed) -> str:
    event, places = placed
    return minimal_line(event, reference(places.now), _ref(event, places))
