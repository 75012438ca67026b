"""``sc-events list``: the recorded events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Usage
from gitstore_cli.stores import reading

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.core.event import RecordedEvent

_HELD = 5_000
_EXAMPLES = """\b
Examples:
  sc-events list --last 20
  sc-events list --category task --type TaskCreated --since yesterday
  sc-events list --stream task-AUTH-001 -f jsonl | jq .data"""


@options.command(
    epilog=_EXAMPLES,
    short_help="Show recorded events.",
    context_settings={"max_content_width": 100},
)
@options.selection_options
@options.last_option("Only the last N, the oldest of them first.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N events.")
@click.option("--reverse", is_flag=True, help="The newest first.")
@options.format_option
def command(
    env: Env,
    form: str,
    selection: options.Selection,
    last: int | None,
    limit: int | None,
    reverse: bool,
) -> None:
    """Show events in the order they arrived, those that pass all filters."""
    from gitstore_cli.render.events import write_events

    if last is not None and limit is not None:
        raise Usage("--last and --limit cannot both be given", hint="Give one of the two.")
    with reading(env, form) as store:
        if store is None:
            return
        if last is None:
            events = store.read_all(**selection.arguments(), limit=limit, backwards=reverse)
        else:
            events = _last(store, selection, last, reverse=reverse)
        if not write_events(env, form, events) and form == "table":
            env.say("No events match.")


def _last(
    store: BaseEventStore, selection: options.Selection, count: int, *, reverse: bool
) -> Iterator[RecordedEvent]:
    backwards = store.read_all(**selection.arguments(), limit=count, backwards=True)
    if reverse:
        return backwards
    if count <= _HELD:
        return reversed(list(backwards))
    # Too many to hold: find where they begin, then read on from there.
    first = 0
    for recorded in backwards:
        first = recorded.position
    return store.read_all(**selection.arguments(max(first - 1, 0)), limit=count)
