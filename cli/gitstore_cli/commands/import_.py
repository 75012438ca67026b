"""``sc-events import``: events from JSON lines, in files or layouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import FAILURE, OK, Usage
from gitstore_cli.finding import find_place
from gitstore_cli.stores import existing, made, tended

if TYPE_CHECKING:
    from gitstore.sync.importing import Import, ImportSummary, LayoutSource, Source

_CLOUDEVENTS = "cloudevents"
_EXAMPLES = """\b
Examples:
  sc-events import history.jsonl
  sc-events import history.jsonl --dry-run
  sc-events import events/ more.jsonl
  sc-events import --format cloudevents outbox.jsonl
  sc-events list -f jsonl | sc-events import - --store copy.git"""


@options.command(
    epilog=_EXAMPLES,
    short_help="Record the events of JSONL files and layouts.",
    context_settings={"max_content_width": 100},
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--renumber",
    is_flag=True,
    help="Append in file order with new versions; the file's stay in metadata.originalVersion.",
)
@click.option(
    "--keep-going", is_flag=True, help="Leave out lines that cannot be imported, and list them."
)
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done.")
@click.option(
    "-f",
    "--format",
    "forms",
    multiple=True,
    type=click.Choice((*options.FORMATS, _CLOUDEVENTS)),
    help="cloudevents: what the files hold. The others: how to answer; a table on a terminal, "
    "jsonl in a pipe. May be given twice, for both.",
)
def command(
    env: Env,
    forms: tuple[str, ...],
    files: tuple[str, ...],
    renumber: bool,
    keep_going: bool,
    dry_run: bool,
) -> int:
    """Record the events of FILEs, one JSON object a line; - is standard input.

    A FILE may be a directory that `sc-events export --layout` has made. All lines are checked
    before anything is recorded. Events that are recorded already are passed over, so importing
    again adds nothing.
    """
    from gitstore.sync.importing import Import
    from gitstore_cli.render.progress import ProgressBar

    if files.count("-") > 1:
        raise Usage("standard input can be read only once", hint="Give - once.")
    with (
        _opened(env, files, forms) as sources,
        ProgressBar(env) as progress,
        Import(sources, renumber=renumber, keep_going=keep_going, progress=progress) as work,
    ):
        summary = _import(env, work, dry_run=dry_run)
    answers = [form for form in forms if form != _CLOUDEVENTS]
    default = "table" if env.on_terminal else "jsonl"
    _write(env, answers[-1] if answers else default, summary, dry_run=dry_run)
    return FAILURE if summary.left_out else OK


def _import(env: Env, work: Import, *, dry_run: bool) -> ImportSummary:
    from gitstore.backends.memory import MemoryEventStore

    place = find_place(env)
    if not place.is_missing:
        with tended(env, place), existing(env, place) as store:
            summary = work.check(store)
            if not dry_run:
                work.run(store)
        return summary
    # Not made before it is known that there is something to record.
    with MemoryEventStore() as nothing:
        summary = work.check(nothing)
    if summary.imported and not dry_run:
        with tended(env, place), made(env, place) as store:
            work.run(store)
    return summary


@contextmanager
def _opened(
    env: Env, files: tuple[str, ...], forms: tuple[str, ...]
) -> Iterator[list[Source | LayoutSource]]:
    from gitstore.sync.forms import CLOUDEVENTS, JSONL
    from gitstore.sync.importing import LayoutSource, Source

    form = CLOUDEVENTS if _CLOUDEVENTS in forms else JSONL
    with ExitStack() as stack:
        sources: list[Source | LayoutSource] = []
        for name in files:
            path = Path(env.cwd, name)
            if name == "-":
                sources.append(Source("standard input", env.stdin, form))
            elif path.is_dir():
                sources.append(LayoutSource(name, _layout(path, name)))
            else:
                file = stack.enter_context(options.input_file(env, name).open("rb"))
                sources.append(Source(name, file, form))
        yield sources


def _layout(path: Path, name: str) -> Path:
    from gitstore.backends.jsonl.layoutreading import is_layout

    if not is_layout(path):
        raise Usage(
            f"{name!r} is a directory without a layout",
            hint="Name the files in it, or a directory with folders such as 2026-11-23.",
        )
    return path


def _write(env: Env, form: str, summary: ImportSummary, *, dry_run: bool) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty

    for left_out in summary.left_out:
        env.say(f"Left out: {left_out.file}:{left_out.line}: {left_out.reason}")
    if form in ("table", "minimal"):
        env.answer(_sentence(summary, dry_run=dry_run))
        return
    answer = {
        "imported": summary.imported,
        "known": summary.known,
        "duplicates": summary.duplicates,
        "streams": summary.streams,
        "leftOut": [asdict(left_out) for left_out in summary.left_out],
        **({"dryRun": True} if dry_run else {}),
    }
    env.answer(pretty(answer) if form == "json" else one_line(answer))


def _sentence(summary: ImportSummary, *, dry_run: bool) -> str:
    from gitstore_cli.render.names import counted

    parts = [f"{summary.known:,} already recorded"]
    if summary.duplicates:
        parts.append(f"{counted(summary.duplicates, 'line')} given twice")
    if summary.left_out:
        parts.append(f"{counted(len(summary.left_out), 'line')} left out")
    rest = ", ".join(parts)
    if not summary.imported:
        return f"{'[DRY RUN] ' if dry_run else ''}0 new, {rest}"
    verb = "[DRY RUN] Would import" if dry_run else "Imported"
    events, streams = counted(summary.imported, "event"), counted(summary.streams, "stream")
    return f"{verb} {events} into {streams}; {rest}"
