"""``sc-events import``: events from JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import FAILURE, OK, Usage
from gitstore_cli.finding import Place, find_place
from gitstore_cli.stores import existing, made, tended

if TYPE_CHECKING:
    from gitstore.sync.importing import Import, ImportSummary, Source

_EXAMPLES = """\b
Examples:
  sc-events import history.jsonl
  sc-events import history.jsonl --dry-run
  sc-events list -f jsonl | sc-events import - --store copy.git"""


@options.command(
    epilog=_EXAMPLES,
    short_help="Record the events of JSONL files.",
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
@options.format_option
def command(
    env: Env,
    form: str,
    files: tuple[str, ...],
    renumber: bool,
    keep_going: bool,
    dry_run: bool,
) -> int:
    """Record the events of FILEs, one JSON object a line; - is standard input.

    All lines are checked before anything is recorded. Events that are recorded already are passed
    over, so importing again adds nothing.
    """
    from gitstore.sync.importing import Import
    from gitstore_cli.render.progress import ProgressBar

    if files.count("-") > 1:
        raise Usage("standard input can be read only once", hint="Give - once.")
    with (
        _opened(env, files) as sources,
        ProgressBar(env) as progress,
        Import(sources, renumber=renumber, keep_going=keep_going, progress=progress) as work,
    ):
        summary = _import(env, work, dry_run=dry_run)
    _write(env, form, summary, dry_run=dry_run)
    return FAILURE if summary.left_out else OK


def _import(env: Env, work: Import, *, dry_run: bool) -> ImportSummary:
    place = find_place(env)
    if not place.is_missing:
        with tended(env, place), existing(env, place) as store:
            summary = work.check(store)
            if not dry_run:
                work.run(store)
        return summary
    # Not made before it is known that there is something to record.
    with existing(env, Place("memory:", "nothing")) as nothing:
        summary = work.check(nothing)
    if summary.imported and not dry_run:
        with tended(env, place), made(env, place) as store:
            work.run(store)
    return summary


@contextmanager
def _opened(env: Env, files: tuple[str, ...]) -> Iterator[list[Source]]:
    from gitstore.sync.importing import Source

    with ExitStack() as stack:
        yield [
            Source("standard input", env.stdin)
            if name == "-"
            else Source(name, stack.enter_context(options.input_file(env, name).open("rb")))
            for name in files
        ]


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
    parts = [f"{summary.known} already recorded"]
    if summary.duplicates:
        parts.append(f"{_counted(summary.duplicates, 'line')} given twice")
    if summary.left_out:
        parts.append(f"{_counted(len(summary.left_out), 'line')} left out")
    rest = ", ".join(parts)
    if not summary.imported:
        return f"{'[DRY RUN] ' if dry_run else ''}0 new, {rest}"
    verb = "[DRY RUN] Would import" if dry_run else "Imported"
    events, streams = _counted(summary.imported, "event"), _counted(summary.streams, "stream")
    return f"{verb} {events} into {streams}; {rest}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
