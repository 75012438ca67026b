"""Events as rows for people. Apart from the other formats, because rich takes its time to load."""

from __future__ import annotations

from collections.abc import Iterable

from gitstore.core.event import RecordedEvent
from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import one_line
from gitstore_cli.render.moments import local_seconds
from gitstore_cli.render.names import reference, short_commit
from gitstore_cli.render.table import Column, Table

_PREVIEW = 500  # characters of data that a row could show on the widest terminal
_COLUMNS = (
    Column("Position", "dim", right=True, leaves=3),
    Column("Time", "green"),
    Column("Type", "cyan", most=40, least=9),
    Column("Event", "bold", least=18, keeps_end=True),
    Column("User", "magenta", most=20, least=6, leaves=2),
    Column("Commit", "yellow", leaves=1),
    Column("Data", rest=True),
)
# Positions stay to the last: readers come with one that they noted.
_SUPERSEDED = (
    Column("Position", "dim", right=True),
    Column("Time", "green", leaves=4),
    *_COLUMNS[2:4],
    Column("Now", "bold"),
    Column("Kept by", "dim", least=18, keeps_end=True, leaves=3),
    *_COLUMNS[4:],
)
# Widths for rows that are still to come.
_USUAL = (
    "1000",
    "2026-11-23 08:00:00",
    "TaskStatusChanged",
    "task-some-name-of-it-05A@12",
    "user-1",
    "0123456",
    "",
)


def write_superseded_table(env: Env, rows: Iterable[tuple[RecordedEvent, str, str]]) -> int:
    """The same of superseded events, each with where it is now and the ref that keeps it."""
    cells = ((_cells(event), now, kept) for event, now, kept in rows)
    return Table(env, _SUPERSEDED).write((*c[:4], now, kept, *c[4:]) for c, now, kept in cells)


def _position(recorded: RecordedEvent) -> str:
    """The position; of an event that a rebase moved here, ``2→7``: where it was before, and is."""
    if recorded.replaces is None:
        return str(recorded.position)
    return f"{recorded.replaces}→{recorded.position}"


def write_table(env: Env, events: Iterable[RecordedEvent], *, live: bool) -> int:
    """Write a row an event, and give how many they were; ``live``: each at once."""
    table = Table(env, _COLUMNS)
    if live:
        table.begin([_USUAL])
    return table.write(map(_cells, events), live=live)


def _cells(recorded: RecordedEvent) -> tuple[str, ...]:
    event = recorded.event
    assert event.timestamp is not None  # a recorded event has one
    return (
        _position(recorded),
        local_seconds(event.timestamp),
        event.type,
        reference(recorded),
        event.user_id or "",
        short_commit(recorded),
        "" if event.data is None else one_line(event.data)[:_PREVIEW],
    )
