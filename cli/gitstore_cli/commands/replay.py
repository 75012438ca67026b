"""``sc-events replay``: what the events make of tasks, sessions and worktrees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options, times
from gitstore_cli.env import Env
from gitstore_cli.failures import FAILURE, OK, Failure, Usage
from gitstore_cli.projecting import wanted_projections
from gitstore_cli.stores import reading

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.projections import Factory, Projection, Replayed

_EXAMPLES = """\b
Examples:
  sc-events replay --projection TaskBoard
  sc-events replay --projection TaskBoard --as-of 2026-11-23 -f json
  sc-events replay --as-of 1200
  sc-events replay --projection TaskStatistics --from 7d
  sc-events replay --check

\b
Projections: ActiveSessions, TaskBoard, TaskStatistics, WorktreeMap, and those
of modules named with `git config --add gitstore.projections MODULE` in a git
store. Nothing is saved; `sc-events projections` is about saved states.

\b
Exit codes: 0 ok, 1 a projection stopped, or --check found another state."""


class _AsOf(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    name = "as-of"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        """A position, or the last moment that is meant: of a day its end."""
        if isinstance(value, int | datetime):
            return value
        if value.isascii() and value.isdecimal() and len(value) < 19:
            return int(value)
        assert ctx is not None  # every command has one
        now = ctx.ensure_object(Env).clock()
        try:
            end = times.until(value, now)
            is_day = end != times.since(value, now)
        except times.NotATime as error:
            self.fail(f"{error}; or give a position", param, ctx)
        return end - timedelta(microseconds=1) if is_day else end


@options.command(epilog=_EXAMPLES, short_help="Rebuild states from events, as they are or were.")
@click.option(
    "-p", "--projection", "names", multiple=True, metavar="NAME", help="Only this. May be repeated."
)
@click.option(
    "--from",
    "--since",
    "since",
    type=options.Time(times.since),
    metavar="TIME",
    help=f"Fold only what happened from this time on: {times.FORMS}.",
)
@click.option(
    "--to",
    "--until",
    "until",
    type=options.Time(times.until),
    metavar="TIME",
    help="Fold only what happened before this time; a day is included whole.",
)
@click.option(
    "--as-of",
    type=_AsOf(),
    metavar="TIME|POSITION",
    help="The state as it was then, inclusive.",
)
@click.option("--check", is_flag=True, help="Compare with the saved states instead.")
@options.format_option
def command(
    env: Env,
    form: str,
    names: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    as_of: int | datetime | None,
    check: bool,
) -> int:
    """Fold the events into projections, from the first one on, and print the states.

    Events that `sc-events projections skip` has skipped are not handed on here either.

    As JSON: the state of a projection that was named alone, else an object of all by their names.
    """
    if since is not None and until is not None and since >= until:
        raise Usage("--from is not before --to, so no event can match")
    if check and (since, until, as_of) != (None, None, None):
        raise Usage(
            "--check compares with what is saved, at its own position",
            hint="Leave out --from, --to and --as-of.",
        )
    factories = wanted_projections(env, names)
    with reading(env) as store:
        if store is None:
            return _show_nothing(env, form, factories, check=check)
        if check:
            return _check(env, form, store, factories)
        return _replay(env, form, store, factories, since, until, as_of)


def _show_nothing(env: Env, form: str, factories: Mapping[str, Factory], *, check: bool) -> int:
    """What programs expect is there without a store, too: the states before the first event."""
    from gitstore_cli.render.states import write_states

    if form == "json" and check:
        env.answer("[]")
    elif form in {"json", "jsonl"} and not check:
        states = {name: factory().state() for name, factory in factories.items()}
        write_states(env, form, states, 0, alone=len(states) == 1)
    return OK


def _replay(
    env: Env,
    form: str,
    store: BaseEventStore,
    factories: Mapping[str, Factory],
    since: datetime | None,
    until: datetime | None,
    as_of: int | datetime | None,
) -> int:
    from gitstore.projections import replay, states_of, statuses
    from gitstore_cli.render.names import counted
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.states import write_states

    made = {name: factory() for name, factory in factories.items()}
    saved = statuses(store, factories.values(), states_of(store))
    skipped = {one.name: one.skipped for one in saved if one.skipped}
    with ProgressBar(env) as progress:
        done = replay(
            *(store, made.values()),
            as_of=as_of,
            since=since,
            until=until,
            skipped=skipped,
            progress=progress,
        )
    states = {name: _state_of(one) for name, one in made.items() if name not in done.stopped}
    write_states(env, form, states, done.position, alone=len(made) == 1)
    _say(env, done, since, until)
    for name, ids in skipped.items():
        env.say(f"Note: {name} passes over {counted(len(ids), 'event')}, skipped by `projections`.")
    return FAILURE if done.stopped else OK


def _state_of(projection: Projection) -> Any:
    """Its state; ``Failure`` where code of one's own gives none, or one that is no JSON."""
    from gitstore.projections import BUILT_IN
    from gitstore.projections.stateform import encode_state

    try:
        state = projection.state()
        if type(projection) not in BUILT_IN:
            encode_state(state)
    except Exception as error:
        raise Failure(f"{projection.name} gives no state: {error}") from error
    return state


def _say(env: Env, done: Replayed, since: datetime | None, until: datetime | None) -> None:
    from gitstore_cli.render.moments import local_and_utc
    from gitstore_cli.render.names import counted

    for name, stopped in done.stopped.items():
        env.say(f"Error: {name} stopped at {stopped.place} ({stopped.type}): {stopped.error}")
    if since is not None:
        end = "" if until is None else f" before {local_and_utc(until)}"
        env.say(
            f"Note: only {counted(done.events, 'event')} from {local_and_utc(since)} on{end} went "
            "into this; it is no whole state."
        )
    elif env.on_terminal:
        env.say(f"{counted(done.events, 'event')}, up to position {done.position:,}")


def _check(env: Env, form: str, store: BaseEventStore, factories: Mapping[str, Factory]) -> int:
    from gitstore.projections import check_state, states_of
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.states import write_checks

    states = states_of(store)
    with ProgressBar(env) as progress:
        checks = [check_state(store, factory, states, progress) for factory in factories.values()]
    write_checks(env, form, checks)
    if all(one.ok for one in checks):
        return OK
    env.say("Hint: `sc-events projections rebuild` makes saved states anew.")
    return FAILURE
