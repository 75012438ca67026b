"""``sc-events append``: record one event."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options, times
from gitstore_cli.env import Env
from gitstore_cli.failures import Usage
from gitstore_cli.stores import writing

if TYPE_CHECKING:
    from gitstore.core.event import RecordedEvent
    from gitstore.core.expected import ExpectedVersion

_FAR_AHEAD = timedelta(hours=24)
_QUOTING = """Quote it for the shell: --data '{"title": "Ship it"}', or use --data-file."""
_EXAMPLES = """\b
Examples:
  sc-events append note-1 Noted --data '{"text": "Ask Ada"}' --user ada
  sc-events append task-AUTH-001 TaskMoved --expect 1 --data-file move.json
  echo '{"n": 1}' | sc-events append counter-1 Counted --data-file -

\b
The data of Scopecraft's own types must fit: `sc-events schema TYPE` shows how."""


@options.command(
    epilog=_EXAMPLES, short_help="Record one event.", context_settings={"max_content_width": 100}
)
@click.argument("stream")
@click.argument("type", metavar="TYPE")
@click.option("--data", metavar="JSON", help="What the event carries; null if not given.")
@click.option(
    "--data-file", metavar="FILE", help="Read the data from a file, or - for standard input."
)
@click.option("--metadata", metavar="JSON", help="An object with whatever else is to be kept.")
@click.option("--user", metavar="ID", help="Who did it (metadata.userId).")
@click.option("--correlation", metavar="ID", help="What it belongs to (metadata.correlationId).")
@click.option("--causation", metavar="ID", help="The event that led to it (metadata.causationId).")
@click.option("--id", "event_id", metavar="ID", help="Its id; a second append of it is a retry.")
@click.option(
    "--time",
    "timestamp",
    type=options.Time(times.moment),
    metavar="TIME",
    help="When it happened; now if not given.",
)
@click.option(
    "--expect",
    metavar="VERSION",
    default="any",
    help="The stream's version before: a number, any, none or exists. Exit code 3 if it differs.",
)
@click.option("--no-validate", is_flag=True, help="Record it also where its data does not fit.")
@options.format_option
def command(env: Env, form: str, expect: str, timestamp: datetime | None, **given: Any) -> None:
    """Record one event of STREAM: TYPE says what happened."""
    from gitstore.core.event import DomainEvent
    from gitstore.schemas.checking import check_event

    expected = _expected(expect)
    kind, data = _behind(given["type"], _data(env, given["data"], given["data_file"]))
    event = DomainEvent(
        given["stream"],
        kind,
        data,
        _metadata(given),
        given["event_id"],
        timestamp,
    )
    if timestamp is not None and timestamp - env.clock() > _FAR_AHEAD:
        env.say(f"Warning: the event's time, {timestamp.isoformat()}, is over a day ahead.")
    if not given["no_validate"]:
        check_event(event)  # before a store is made
    with writing(env, validate=False) as store:
        recorded = store.append(event, expected)
    _show(env, form, recorded)


def _expected(text: str) -> ExpectedVersion:
    from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS

    names: dict[str, ExpectedVersion] = {"any": ANY, "none": NO_STREAM, "exists": STREAM_EXISTS}
    if text in names:
        return names[text]
    if text.isascii() and text.isdecimal() and len(text) < 20:
        return int(text)
    raise Usage(f"--expect {text!r} is no version", hint="Give a number, any, none or exists.")


def _behind(name: str, data: Any) -> tuple[str, Any]:
    """The type and data that are meant where the type is an alias; else as they are."""
    from gitstore.core.aliases import ALIASES

    alias = ALIASES.get(name)
    if alias is None:
        return name, data
    if not isinstance(data, dict) or data.get(alias.key, alias.value) != alias.value:
        raise Usage(
            f"{name} stands for {alias.type} whose data is an object with {alias.key} "
            f"{alias.value!r}",
            hint=f"Give such data, or append {alias.type}.",
        )
    return alias.type, {**data, alias.key: alias.value}


def _data(env: Env, text: str | None, file: str | None) -> Any:
    if text is not None and file is not None:
        raise Usage("--data and --data-file cannot both be given", hint="Give one of the two.")
    if file is not None:
        raw = env.stdin.read() if file == "-" else options.input_file(env, file).read_bytes()
        return _decoded(raw, f"--data-file {file}", hint="The file must hold one JSON value.")
    return None if text is None else _decoded(_encoded(text), "--data")


def _metadata(given: dict[str, Any]) -> dict[str, Any]:
    text = given["metadata"]
    metadata = {} if text is None else _decoded(_encoded(text), "--metadata")
    if not isinstance(metadata, dict):
        raise Usage("--metadata must be a JSON object", hint="""Such as '{"traceId": "4bf9"}'.""")
    for option, key in (
        ("user", "userId"),
        ("correlation", "correlationId"),
        ("causation", "causationId"),
    ):
        value = given[option]
        if value is None:
            continue
        if metadata.setdefault(key, value) != value:
            raise Usage(
                f"--{option} {value!r} contradicts metadata.{key} {metadata[key]!r}",
                hint="Give one of the two.",
            )
    return metadata


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # the bytes the shell handed over


def _decoded(raw: bytes, what: str, hint: str = _QUOTING) -> Any:
    from gitstore.core import canonical
    from gitstore.core.errors import InvalidEvent

    try:
        return canonical.decode(raw.strip())
    except InvalidEvent as error:
        own = error.hint if error.hint != InvalidEvent.hint else hint
        raise Usage(f"{what}: {error}", hint=own) from error


def _show(env: Env, form: str, recorded: RecordedEvent) -> None:
    from gitstore_cli.render.events import write_events
    from gitstore_cli.render.jsontext import event_object, pretty
    from gitstore_cli.render.names import reference, short_commit
    from gitstore_cli.safe import printable

    if form == "table":
        line = f"{reference(recorded)}  {recorded.event.type}  {short_commit(recorded)}"
        env.answer(printable(line.rstrip()))
    elif form == "json":
        env.answer(pretty(event_object(recorded)))
    else:
        write_events(env, form, [recorded])
