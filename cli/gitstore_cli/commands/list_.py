"""``sc-events list``: the recorded events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Usage
from gitstore_cli.finding import find_place
from gitstore_cli.stores import as_git_store, check_git, reading

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.core.event import RecordedEvent

Read = Callable[..., "Iterator[RecordedEvent]"]
"""A read of what is selected: ``read(after, limit=…, backwards=…)``."""

_HELD = 5_000
_EXAMPLES = """\b
Examples:
  sc-events list --last 20
  sc-events list --category task --type TaskCreated --since yesterday
  sc-events list --stream task-AUTH-001 -f jsonl | jq .data
  sc-events list --superseded --stream task-AUTH-001

\b
A position such as 2→7: a rebase gave the event of position 2 a new place."""


@options.command(
    epilog=_EXAMPLES,
    short_help="Show recorded events.",
    context_settings={"max_content_width": 100},
)
@options.selection_options
@options.last_option("Only the last N, the oldest of them first.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N events.")
@click.option("--reverse", is_flag=True, help="The newest first.")
@click.option(
    "--superseded",
    is_flag=True,
    help="Instead, the places that events had before a rebase, and where they are now.",
)
@options.format_option
def command(
    env: Env,
    form: str,
    selection: options.Selection,
    last: int | None,
    limit: int | None,
    reverse: bool,
    superseded: bool,
) -> None:
    """Show events in the order they arrived, those that pass all filters."""
    if last is not None and limit is not None:
        raise Usage("--last and --limit cannot both be given", hint="Give one of the two.")
    if superseded:
        check_git(find_place(env), "--superseded shows git commits from before a rebase")
    with reading(env, form) as store:
        if store is None:
            return
        read = _reader(store, selection, superseded=superseded)
        if last is None:
            events = read(selection.after_position, limit=limit, backwards=reverse)
        else:
            events = _last(read, selection.after_position, last, reverse=reverse)
        if not _write(env, form, store, events, superseded=superseded) and form == "table":
            env.say("No superseded events match." if superseded else "No events match.")


def _reader(store: BaseEventStore, selection: options.Selection, *, superseded: bool) -> Read:
    if not superseded:
        return lambda after, **more: store.read_all(**selection.arguments(after), **more)
    from gitstore.core.filters import EventFilter

    git_store = as_git_store(store)
    given = selection.arguments()
    del given["after_position"]
    wanted = EventFilter.of(**given)
    return lambda after, **more: git_store.superseded(wanted, after or 0, **more)


def _write(
    env: Env,
    form: str,
    store: BaseEventStore,
    events: Iterator[RecordedEvent],
    *,
    superseded: bool,
) -> int:
    from gitstore_cli.render.events import write_events
    from gitstore_cli.render.superseded import write_superseded

    if superseded:
        return write_superseded(env, form, as_git_store(store), events)
    return write_events(env, form, events)


def _last(read: Read, after: int | None, count: int, *, reverse: bool) -> Iterator[RecordedEvent]:
    backwards = read(after, limit=count, backwards=True)
    if reverse:
        return backwards
    if count <= _HELD:
        return reversed(list(backwards))
    # Too many to hold: find where they begin, then read on from there.
    first = 0
    for recorded in backwards:
        first = recorded.position
    return read(max(first - 1, 0), limit=count)
