"""``sc-events follow``: events as they are recorded, by whatever process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import INTERRUPTED, OK
from gitstore_cli.finding import find_place
from gitstore_cli.pipes import stop_when_closed
from gitstore_cli.stores import existing, say_no_events

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.core.event import RecordedEvent

_POLL = 0.1  # seconds between looks for a store that is not there yet
_EXAMPLES = """\b
Examples:
  sc-events follow
  sc-events follow --category task --last 10
  sc-events follow -f jsonl --after 1201 | my-tool

\b
In jsonl, one flushed line an event: start again with --after and the last
position that was handled, and no event is missed or seen twice."""


@options.command(
    epilog=_EXAMPLES,
    short_help="Show events as they are recorded.",
    context_settings={"max_content_width": 100},
)
@options.selection_options
@options.last_option("Begin with the last N events.")
@options.format_option
def command(env: Env, form: str, selection: options.Selection, last: int | None) -> int:
    """Show new events as they are recorded, until Ctrl-C.

    With --after, begin after that position; with --last, with the last N events.
    """
    from gitstore_cli.render.events import write_events

    with stop_when_closed(env.stdout) as stop:
        opened = _open(env, stop)
        if opened is None:
            return OK
        store, was_missing = opened
        with store:
            start = 0 if was_missing else _start(store, selection, last)
            events = _Interruptible(store.follow(**selection.arguments(start), stop=stop))
            write_events(env, form, events, live=True)
    return events.code


class _Interruptible:
    """Ends with Ctrl-C instead of raising, so that what has been begun can be completed."""

    def __init__(self, events: Iterator[RecordedEvent]) -> None:
        self._events = events
        self.code = OK

    def __iter__(self) -> Iterator[RecordedEvent]:
        try:
            yield from self._events
        except KeyboardInterrupt:
            self.code = INTERRUPTED


def _open(env: Env, stop: threading.Event) -> tuple[BaseEventStore, bool] | None:
    """The store, and whether it had to be waited for; ``None`` when stopped before."""
    from gitstore.core.errors import StoreNotFound

    place = find_place(env)
    waited = place.is_default and place.is_missing
    if waited:
        say_no_events(env, place)
        env.say("Waiting for the first event.")
    while not stop.is_set():
        try:
            return existing(env, place), waited
        except StoreNotFound:
            if not waited:
                raise
        stop.wait(_POLL)
    return None


def _start(store: BaseEventStore, selection: options.Selection, last: int | None) -> int:
    """The position after which to begin."""
    if last is None and selection.after_position is not None:
        return selection.after_position
    # Before the search: what is recorded during it is new.
    start = store.last_position()
    if last:
        for recorded in store.read_all(**selection.arguments(), limit=last, backwards=True):
            start = recorded.position - 1
    return start
