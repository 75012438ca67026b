"""``sc-events follow``: events as they are recorded, by whatever process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import INTERRUPTED, OK
from gitstore_cli.finding import find_place
from gitstore_cli.interrupts import stopped_by_interrupt
from gitstore_cli.pipes import stop_when_closed
from gitstore_cli.stores import existing, say_no_events

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore

_POLL = 0.1  # seconds between looks for a store that is not there yet
_EXAMPLES = """\b
Examples:
  sc-events follow
  sc-events follow --category task --last 10
  sc-events follow -f jsonl --after 1201 | my-tool

\b
In jsonl, one flushed line an event: start again with --after and the last
position that was handled, and no event is missed or seen twice.

\b
A rebase gives events new places: they are shown once more, with the position
before (2→7, in JSON "replaces"). To count each event once, follow with
--superseded and pass over what has "replaces"."""


@options.command(
    epilog=_EXAMPLES,
    short_help="Show events as they are recorded.",
    context_settings={"max_content_width": 100},
)
@options.selection_options
@options.last_option("Begin with the last N events.")
@click.option(
    "--superseded",
    is_flag=True,
    help="Leave out nothing: also what a rebase has superseded by now.",
)
@options.format_option
def command(
    env: Env, form: str, selection: options.Selection, last: int | None, superseded: bool
) -> int:
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
            start = 0 if was_missing else _start(store, selection, last, superseded)
            with stopped_by_interrupt(stop) as interrupted:
                events = store.follow(
                    **selection.arguments(start), stop=stop, superseded=superseded
                )
                write_events(env, form, events, live=True)
    return INTERRUPTED if interrupted.is_set() else OK


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


def _start(
    store: BaseEventStore, selection: options.Selection, last: int | None, superseded: bool
) -> int:
    """The position after which to begin."""
    if last is None and selection.after_position is not None:
        return selection.after_position
    # Before the search: what is recorded during it is new.
    start = store.last_position()
    if last:
        for recorded in store.read_all(
            **selection.arguments(), limit=last, backwards=True, superseded=superseded
        ):
            start = recorded.position - 1
    return start
