"""The one vocabulary of flags, and the decorators that add it to a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import update_wrapper, wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from gitstore_cli import times
from gitstore_cli.env import Env
from gitstore_cli.failures import Usage

FORMATS = ("table", "json", "jsonl", "minimal")
"""What ``--format`` takes: for people, for programs, for line tools, for ``cut``."""

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are wanted, as ``read_all`` and ``follow`` take it."""

    after_position: int | None
    types: tuple[str, ...] | None
    streams: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    users: tuple[str, ...] | None
    correlations: tuple[str, ...] | None
    since: datetime | None
    until: datetime | None

    def arguments(self, after_position: int | None = None) -> dict[str, Any]:
        """The keyword arguments, from another position on where one is given."""
        names = ("types", "streams", "categories", "users", "correlations", "since", "until")
        given = {name: getattr(self, name) for name in names}
        after = self.after_position if after_position is None else after_position
        return {"after_position": after or 0, **given}


class Time(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A time of the command line; ``read`` is one of the functions of ``times``."""

    name = "time"

    def __init__(self, read: Callable[[str, datetime], datetime]) -> None:
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        assert ctx is not None  # every command has one
        try:
            return self._read(value, ctx.ensure_object(Env).clock())
        except times.NotATime as error:
            self.fail(str(error), param, ctx)


def command(**attributes: Any) -> Callable[[Function], click.Command]:
    """A command whose function gets the ``Env`` first; ``--store`` may stand after it too."""

    def decorate(function: Function) -> click.Command:
        @click.pass_context
        def call(ctx: click.Context, /, store: str | None, **arguments: Any) -> Any:
            env = ctx.ensure_object(Env)
            return function(replace(env, store=store or env.store), **arguments)

        # The help text, and the options added so far.
        update_wrapper(call, function)
        option = click.option("--store", metavar="PATH", help="The event store to use.")
        made: click.Command = click.command(**attributes)(option(call))
        return made

    return decorate


def format_option(function: F) -> F:
    """``-f/--format``; the function gets ``form``."""

    @wraps(function)
    def call(env: Env, *, form: str | None, **arguments: Any) -> Any:
        chosen = form or ("table" if env.on_terminal else "jsonl")
        return function(env, form=chosen, **arguments)

    return click.option(
        "-f",
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="How to answer; a table on a terminal, jsonl in a pipe.",
    )(call)  # type: ignore[return-value]  # the same function to whoever decorates it


def input_file(env: Env, name: str) -> Path:
    """The file of that name, relative to the current directory, or a usage error."""
    path = Path(env.cwd, name)
    if path.is_dir() or not path.exists():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise Usage(f"{name!r} {what}", hint="Name a file, or - for standard input.")
    return path


timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up when the remote is silent for so long.",
)


def last_option(help_text: str) -> Callable[[F], F]:
    """``--last N``."""
    return click.option("--last", type=click.IntRange(min=0), metavar="N", help=help_text)


def selection_options(function: F) -> F:
    """The filters; the function gets ``selection``."""

    @wraps(function)
    def call(env: Env, **arguments: Any) -> Any:
        names = ("types", "streams", "categories", "users", "correlations")
        given = {name: arguments.pop(name) or None for name in names}
        since, until = arguments.pop("since"), arguments.pop("until")
        if since is not None and until is not None and since > until:
            raise Usage("--since is later than --until, so no event can match")
        selection = Selection(arguments.pop("after"), since=since, until=until, **given)
        return function(env, selection=selection, **arguments)

    decorated: Function = call
    for option in reversed(_FILTERS):
        decorated = option(decorated)
    return decorated  # type: ignore[return-value]  # the same function to whoever decorates it


def _several(name: str, target: str, help_text: str) -> Callable[[F], F]:
    return click.option(name, target, multiple=True, help=f"{help_text} May be repeated.")


_FILTERS: tuple[Callable[[Function], Function], ...] = (
    _several("--type", "types", "Events of this type."),
    _several("--stream", "streams", "Events of this stream."),
    _several("--category", "categories", "Events of streams such as CATEGORY-…"),
    _several("--user", "users", "Events of this user."),
    _several("--correlation", "correlations", "Events with this correlation id."),
    click.option(
        "--after",
        type=click.IntRange(min=0),
        metavar="POSITION",
        help="Events after this position.",
    ),
    click.option(
        "--since",
        "--from",
        "since",
        type=Time(times.since),
        metavar="TIME",
        help=f"Events from this time on: {times.FORMS}.",
    ),
    click.option(
        "--until",
        "--to",
        "until",
        type=Time(times.until),
        metavar="TIME",
        help="Events before this time; a day is included whole.",
    ),
)
