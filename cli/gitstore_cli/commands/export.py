"""``sc-events export``: events as JSON lines, or as a layout of files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, INTERRUPTED, OK, Failure, Usage
from gitstore_cli.interrupts import stopped_by_interrupt
from gitstore_cli.stores import reading

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gitstore.core.base import BaseEventStore
    from gitstore.sync.exporting import Output

_EXAMPLES = """\b
Examples:
  sc-events export -o history.jsonl
  sc-events export --category task --since 2026-11-01 -o november.jsonl
  sc-events export --layout events/
  sc-events export --layout events/ --follow
  sc-events export -f cloudevents | my-broker

\b
A layout is DIR/YYYY-MM-DD/<stream>.jsonl with indexes to seek by, and a store,
jsonl:DIR. Run it again and only what is new is written. `sc-events import`
takes files, layouts and CloudEvents; a part of a history only where the store
has what came before.

\b
Exit codes: 0 done, 3 the layout has something that the store has not."""


@options.command(
    epilog=_EXAMPLES,
    short_help="Write events as JSONL, or as a layout of files.",
    context_settings={"max_content_width": 100},
)
@options.selection_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write to FILE, whole or not at all; - is standard output.",
)
@click.option("--layout", metavar="DIR", help="Bring the files of a layout up to the present.")
@click.option("--follow", is_flag=True, help="Keep the layout current, until Ctrl-C.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(("jsonl", "cloudevents")),
    help="What the lines are: the interface's form (jsonl), or CloudEvents 1.0.",
)
def command(
    env: Env,
    selection: options.Selection,
    output: str | None,
    layout: str | None,
    follow: bool,
    form: str | None,
) -> int:
    """Write events in the order they arrived, those that pass all filters, one JSON object a line.

    The same events give the same bytes each time; a whole history, imported into an empty store,
    the same commits.
    """
    _check(output, layout, form, follow=follow)
    with reading(env) as store:
        if store is None:
            return OK
        if layout is None:
            return _write_lines(env, store, selection, output, form or "jsonl")
        where = Path(env.cwd, layout)
        return (_follow if follow else _write_layout)(env, store, selection, where, layout)


def _check(output: str | None, layout: str | None, form: str | None, *, follow: bool) -> None:
    if layout is None and follow:
        raise Usage("--follow keeps a layout current", hint="Give --layout DIR too.")
    if layout is not None and output is not None:
        raise Usage("--output and --layout cannot both be given", hint="Run it once for each.")
    if layout is not None and form == "cloudevents":
        raise Usage(
            "a layout has lines of one form, jsonl",
            hint="Leave out --format, or write CloudEvents to a file with -o.",
        )


def _write_lines(
    env: Env, store: BaseEventStore, selection: options.Selection, output: str | None, form: str
) -> int:
    from gitstore.sync.exporting import export_events
    from gitstore.sync.forms import FORMS
    from gitstore_cli.render.progress import ProgressBar

    with _opened(env, output) as out, ProgressBar(env) as progress:
        summary = export_events(
            store, out, form=FORMS[form], progress=progress, **selection.arguments()
        )
    if output not in (None, "-"):
        env.say(f"Exported {_counted(summary.events)} to {output}.")
    elif env.stderr.isatty():
        env.say(f"Exported {_counted(summary.events)}.")
    return OK


def _opened(env: Env, output: str | None) -> AbstractContextManager[Output]:
    from gitstore.sync.exporting import whole_file

    if output is None or output == "-":
        buffer = None if env.on_terminal else getattr(env.stdout, "buffer", None)
        return nullcontext(buffer or _SafeLines(env))
    path = Path(env.cwd, output)
    if path.is_dir():
        raise Usage(f"{output!r} is a directory", hint="Name a file, or give --layout DIR.")
    return whole_file(path)


class _SafeLines:
    """Lines as text, with the same values, that a terminal can be shown."""

    def __init__(self, env: Env) -> None:
        self._env = env

    def write(self, lines: bytes) -> object:
        from gitstore_cli.safe import safe_json

        return self._env.stdout.write(safe_json(lines.decode()))


def _write_layout(
    env: Env, store: BaseEventStore, selection: options.Selection, where: Path, name: str
) -> int:
    from gitstore.sync.layouts import export_layout
    from gitstore_cli.render.progress import ProgressBar

    with _disagreement_told(), ProgressBar(env) as progress:
        summary = export_layout(store, where, progress=progress, **selection.arguments())
    env.say(f"Wrote {_counted(summary.events)} to {name}, now at position {summary.position}.")
    return OK


def _follow(
    env: Env, store: BaseEventStore, selection: options.Selection, where: Path, name: str
) -> int:
    from gitstore.sync.layouts import follow_layout
    from gitstore_cli.render.progress import ProgressBar

    stop = threading.Event()
    wanted = selection.arguments()
    with _disagreement_told(), stopped_by_interrupt(stop) as interrupted, ProgressBar(env) as bar:
        following = follow_layout(store, where, stop=stop, progress=bar, **wanted)
        for count, summary in enumerate(following):
            bar.stop()
            if count == 0:
                env.say(
                    f"Wrote {_counted(summary.events)} to {name}, now at position "
                    f"{summary.position}; following."
                )
    return INTERRUPTED if interrupted.is_set() else OK


@contextmanager
def _disagreement_told() -> Iterator[None]:
    """Exit code 3 where the layout has something that the store has not."""
    from gitstore.sync.copying import StoresDiffer

    try:
        yield
    except StoresDiffer as error:
        raise Failure(str(error), hint=error.hint, code=DISAGREE) from error


def _counted(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
