"""``sc-events streams``: which streams there are, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.stores import reading

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.core.event import RecordedEvent

_EXAMPLES = """\b
Examples:
  sc-events streams
  sc-events streams --category session -f minimal | cut -f1"""


@options.command(epilog=_EXAMPLES, short_help="List the streams.")
@click.option("--category", help="Only streams such as CATEGORY-…")
@options.format_option
def command(env: Env, form: str, category: str | None) -> None:
    """List the streams by name, with version, type and time of the last event."""
    with reading(env, form) as store:
        if store is not None:
            _write(env, form, _heads(store, category))


def _heads(store: BaseEventStore, category: str | None) -> Iterator[RecordedEvent]:
    for stream in store.streams(category):
        yield from store.read_stream(stream, limit=1, backwards=True)


def _write(env: Env, form: str, heads: Iterator[RecordedEvent]) -> None:
    from gitstore_cli.render.jsontext import array, one_line
    from gitstore_cli.safe import printable

    if form == "table":
        _write_table(env, heads)
        return
    objects = map(_object, heads)
    if form == "json":
        env.stdout.writelines(array(objects))
    elif form == "jsonl":
        env.stdout.writelines(one_line(value) + "\n" for value in objects)
    else:
        for value in objects:
            env.answer("\t".join(printable(str(cell)) for cell in value.values()))


def _object(head: RecordedEvent) -> dict[str, Any]:
    from gitstore.core.timestamps import format_timestamp

    assert head.event.timestamp is not None  # a recorded event has one
    return {
        "streamId": head.stream_id,
        "version": head.version,
        "lastType": head.event.type,
        "lastTimestamp": format_timestamp(head.event.timestamp),
    }


def _write_table(env: Env, heads: Iterator[RecordedEvent]) -> None:
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("Stream", "bold", most=1000, least=18, keeps_end=True),
        Column("Version", right=True),
        Column("Last type", "cyan", most=40, least=9, leaves=1),
        Column("Last time", "green"),
    )
    if not Table(env, columns).write(map(_cells, heads)):
        env.say("No streams match.")


def _cells(head: RecordedEvent) -> tuple[str, ...]:
    from gitstore_cli.render.moments import local_seconds

    assert head.event.timestamp is not None  # a recorded event has one
    return (
        head.stream_id,
        str(head.version),
        head.event.type,
        local_seconds(head.event.timestamp),
    )
