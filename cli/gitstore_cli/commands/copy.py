"""``sc-events copy``: a history from any store into any other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, INTERRUPTED, OK, Failure, Usage
from gitstore_cli.finding import Place, named_place
from gitstore_cli.interrupts import stopped_by_interrupt
from gitstore_cli.stores import existing, made, tended

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.sync.copying import CopySummary

_EXAMPLES = """\b
Examples:
  sc-events copy ~/.scopecraft/events.git sqlite:events.db
  sc-events copy events.git sqlite:events.db --follow
  sc-events copy sqlite:events.db new.git

\b
Stores are named as with --store: a path, git:PATH or sqlite:FILE.

\b
Exit codes: 0 both say the same, 3 TO has something that FROM has not."""


@options.command(epilog=_EXAMPLES, short_help="Copy a history into any other store.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--follow", is_flag=True, help="Go on with what is recorded later, until Ctrl-C.")
@options.format_option
def command(env: Env, form: str, source: str, target: str, follow: bool) -> int:
    """Bring the store TO up to what FROM has: ids, versions, times and order are kept.

    TO is made where there is none. A copy that was killed goes on where it ended. At the end both
    are read side by side, to prove that they say the same.
    """
    if env.store:
        raise Usage("copy names both its stores itself", hint="Leave out --store.")
    ours, theirs = _place(env, source, "FROM"), _place(env, target, "TO")
    with _opened(env, ours, theirs) as (opened, copied):
        return (_follow if follow else _copy)(env, form, opened, copied, theirs)


def _place(env: Env, text: str, name: str) -> Place:
    place = named_place(env, text, name)
    if place.address.kind == "memory":
        raise Usage(
            f"{name} is memory:, which is gone when the command ends",
            hint="Give a path, git:PATH or sqlite:FILE.",
        )
    return place


@contextmanager
def _opened(
    env: Env, source: Place, target: Place
) -> Iterator[tuple[BaseEventStore, BaseEventStore]]:
    """Both stores; what goes wrong between them, as what to say of it."""
    from gitstore.sync.copying import StoresDiffer

    try:
        with existing(env, source) as ours, tended(env, target), made(env, target) as theirs:
            if ours.store_id == theirs.store_id:
                raise Usage("FROM and TO are one store", hint="Name another place to copy to.")
            yield ours, theirs
    except StoresDiffer as error:
        raise Failure(str(error), hint=error.hint, code=DISAGREE) from error
    except KeyboardInterrupt:
        env.say("Interrupted: run it again, and it goes on where it ended.")
        raise


def _copy(env: Env, form: str, source: BaseEventStore, target: BaseEventStore, to: Place) -> int:
    from gitstore.sync.copying import copy
    from gitstore_cli.render.progress import ProgressBar

    with ProgressBar(env) as bar:
        summary = copy(source, target, progress=bar)
    _write(env, form, summary, to)
    return OK


def _follow(env: Env, form: str, source: BaseEventStore, target: BaseEventStore, to: Place) -> int:
    from gitstore.sync.copying import follow_copy
    from gitstore_cli.render.progress import ProgressBar

    stop = threading.Event()
    with stopped_by_interrupt(stop) as interrupted, ProgressBar(env) as bar:
        for count, summary in enumerate(follow_copy(source, target, stop=stop, progress=bar)):
            bar.stop()
            if form in {"json", "jsonl"} or count == 0:
                _write(env, form, summary, to, following=not stop.is_set())
                env.stdout.flush()
    return INTERRUPTED if interrupted.is_set() else OK


def _write(
    env: Env, form: str, summary: CopySummary, to: Place, *, following: bool = False
) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty
    from gitstore_cli.safe import printable

    if form in {"table", "minimal"}:
        sentence = _sentence(summary, to.where)
        env.answer(printable(f"{sentence} Following." if following else sentence))
        return
    answer = {
        "to": to.where,
        "events": summary.events,
        "streams": summary.streams,
        "position": summary.position,
        "checked": summary.checked,
    }
    env.answer(pretty(answer) if form == "json" else one_line(answer))


def _sentence(summary: CopySummary, where: str) -> str:
    from gitstore_cli.render.names import counted

    in_all = "" if summary.checked == summary.events else f" {counted(summary.checked, 'event')}"
    if not summary.events:
        return f"Nothing new for {where}; both say the same{in_all}."
    events, streams = counted(summary.events, "event"), counted(summary.streams, "stream")
    return f"Copied {events} of {streams} to {where}; both say the same{in_all}."
