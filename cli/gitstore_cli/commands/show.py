"""``sc-events show``: one event, whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Failure
from gitstore_cli.stores import as_git_store, holding

if TYPE_CHECKING:
    from gitstore.backends.git.places import EventPlaces
    from gitstore.core.base import BaseEventStore
    from gitstore.core.event import RecordedEvent

_COMMIT = re.compile(r"[0-9a-fA-F]{4,40}")
_EXAMPLES = """\b
Examples:
  sc-events show task-AUTH-001@3
  sc-events show 95517ead-a633-51e7-9db3-4bf6c9e18423
  sc-events show 1a2b3c4

\b
Of an event that a rebase gave another place: where it is now, where it was,
and the ref that keeps the commit it had there."""


@options.command(epilog=_EXAMPLES, short_help="Show one event with all it carries.")
@click.argument("event", metavar="EVENT-ID | STREAM@VERSION | COMMIT")
@options.format_option
def command(env: Env, form: str, event: str) -> None:
    """Show one event, named by its id, its place in a stream, or its commit."""
    from gitstore_cli.render.block import event_block
    from gitstore_cli.render.events import write_events
    from gitstore_cli.render.jsontext import one_line, pretty
    from gitstore_cli.render.superseded import placed_object, places_block

    with holding(env, f"event {event!r}") as store:
        recorded = _find(store, event)
        if recorded is None:
            raise Failure(f"there is no event {event!r}", hint=_hint(store, event))
        places = _places(store, recorded)
        if form == "table":
            env.answer(event_block(recorded, places_block(recorded, places) if places else ()))
        elif form == "minimal":
            write_events(env, form, [recorded])
        else:
            text = pretty if form == "json" else one_line
            env.answer(text(placed_object(recorded, places)))


def _places(store: BaseEventStore, recorded: RecordedEvent) -> EventPlaces | None:
    if not store.capabilities.commits:
        return None
    return as_git_store(store).places(recorded.event.id or "")


def _find(store: BaseEventStore, name: str) -> RecordedEvent | None:
    return _by_id(store, name) or _by_place(store, name) or _by_commit(store, name)


def _by_id(store: BaseEventStore, name: str) -> RecordedEvent | None:
    from gitstore.core.errors import InvalidEvent

    try:
        return store.find_event(name)
    except InvalidEvent:  # it cannot be an id: a stream's name may hold other characters
        return None


def _by_place(store: BaseEventStore, name: str) -> RecordedEvent | None:
    from gitstore.core.errors import InvalidEvent

    stream, _, digits = name.rpartition("@")
    if not (stream and digits.isascii() and digits.isdecimal() and 0 < int(digits[:19]) < 2**63):
        return None
    version = int(digits)
    try:
        return next(store.read_stream(stream, version - 1, version), None)
    except InvalidEvent:
        return None


def _by_commit(store: BaseEventStore, name: str) -> RecordedEvent | None:
    if not (store.capabilities.commits and _COMMIT.fullmatch(name)):
        return None
    try:
        return as_git_store(store).find_commit(name.lower())
    except ValueError as error:
        raise Failure(str(error), hint="Give more digits of the commit id.") from None


def _hint(store: BaseEventStore, name: str) -> str:
    from gitstore.core.errors import InvalidEvent

    stream = name.rpartition("@")[0] or name
    try:
        version = store.stream_version(stream)
    except InvalidEvent:
        version = 0
    if version:
        return f"Stream {stream!r} has versions 1 to {version}: `sc-events list --stream {stream}`."
    return "Give an event id, STREAM@VERSION, or 4 to 40 digits of a commit id; see `list`."
