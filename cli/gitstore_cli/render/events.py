"""Events in each of the formats, one after the other in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitstore.core.event import RecordedEvent
from gitstore.core.timestamps import format_timestamp
from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import array, event_object, one_line
from gitstore_cli.render.names import reference
from gitstore_cli.safe import printable


def write_events(
    env: Env, form: str, events: Iterable[RecordedEvent], *, live: bool = False
) -> int:
    """Write all events as they come, and give how many they were.

    ``live``: more will come later, so each is shown at once.
    """
    if form == "table":
        from gitstore_cli.render.eventtable import write_table

        return write_table(env, events, live=live)
    counted = Counted(events)
    texts = array(map(event_object, counted)) if form == "json" else map(_LINE[form], counted)
    for text in texts:
        env.stdout.write(text)
        if live:
            env.stdout.flush()
    return counted.count


class Counted:
    """Goes through events and counts them."""

    def __init__(self, events: Iterable[RecordedEvent]) -> None:
        self._events = events
        self.count = 0

    def __iter__(self) -> Iterator[RecordedEvent]:
        for recorded in self._events:
            self.count += 1
            yield recorded


def _json_line(recorded: RecordedEvent) -> str:
    return one_line(event_object(recorded)) + "\n"


def minimal_line(recorded: RecordedEvent, *more: str) -> str:
    """An event's cells between tabs, and after them ``more``."""
    event = recorded.event
    assert event.timestamp is not None  # a recorded event has one
    cells = (
        str(recorded.position),
        reference(recorded),
        event.type,
        format_timestamp(event.timestamp),
        event.user_id or "",
        recorded.commit or "",
        *more,
    )
    return "\t".join(map(printable, cells)) + "\n"


_LINE: dict[str, Callable[[RecordedEvent], str]] = {
    "jsonl": _json_line,
    "minimal": minimal_line,
}
