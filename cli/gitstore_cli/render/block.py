"""One event, whole, for people."""

from __future__ import annotations

from collections.abc import Iterable

from gitstore.core.event import RecordedEvent
from gitstore_cli.render.jsontext import one_line, pretty
from gitstore_cli.render.moments import local_and_utc
from gitstore_cli.render.names import reference
from gitstore_cli.safe import printable

_NAMED = {"User": "userId", "Correlation": "correlationId", "Causation": "causationId"}


def event_block(recorded: RecordedEvent, places: Iterable[tuple[str, str]] = ()) -> str:
    """All there is to know of an event, safe for a terminal.

    ``places``: lines more, each a title and its text.
    """
    event = recorded.event
    assert event.timestamp is not None  # a recorded event has one
    fields = {
        "Id": event.id or "",
        "Position": str(recorded.position),
        "Commit": recorded.commit or "",
        "Time": local_and_utc(event.timestamp),
    }
    rest = dict(event.metadata)
    for title, key in _NAMED.items():
        if isinstance(rest.get(key), str):
            fields[title] = rest.pop(key)
    lines = [f"{printable(reference(recorded))}  {printable(event.type)}"]
    lines += [f"  {title:<12} {printable(text)}" for title, text in fields.items() if text]
    lines += [f"  {printable(key):<12} {one_line(value)}" for key, value in rest.items()]
    lines += [f"  {title:<12} {printable(text)}" for title, text in places]
    lines += ["", *(f"  {line}" for line in pretty(event.data).split("\n"))]
    return "\n".join(lines)
