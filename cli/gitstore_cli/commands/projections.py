"""``sc-events projections``: the saved states of projections."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import FAILURE, INTERRUPTED, OK, Failure
from gitstore_cli.finding import find_place
from gitstore_cli.interrupts import stopped_by_interrupt
from gitstore_cli.projecting import wanted_projections
from gitstore_cli.stores import reading

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.projections import Factory, ProjectionManager, ProjectionStatus, States

_EXAMPLES = """\b
Examples:
  sc-events projections
  sc-events projections update --follow
  sc-events projections rebuild TaskBoard
  sc-events projections skip TaskBoard
  sc-events projections reset WorktreeMap

\b
States are saved with the position they belong to, beside the store, and are
derived: whatever is lost or damaged is made anew. `sc-events replay` shows what
events make without saving anything.

\b
Exit codes: 0 ok, 1 a projection has stopped, or its state cannot be saved."""
_names = click.argument("names", nargs=-1, metavar="[NAME]...")


@options.command(
    epilog="Example: sc-events projections status -f json",
    short_help="Show positions, lag and errors.",
)
@_names
@options.format_option
def status(env: Env, form: str, names: tuple[str, ...]) -> int:
    """Show how the saved states stand: position, lag, and where one has stopped, the event."""
    return _status(env, form, names)


@options.command(
    epilog="Example: sc-events projections update --follow",
    short_help="Bring saved states up to the present.",
)
@_names
@click.option("--follow", is_flag=True, help="Keep them current, until Ctrl-C.")
@options.format_option
def update(env: Env, form: str, names: tuple[str, ...], follow: bool) -> int:
    """Hand new events to the projections, and save; one that has stopped tries again."""
    factories = wanted_projections(env, names)
    with _managed(env, form, factories) as (store, manager):
        if store is None or manager is None:
            return OK
        _catch_up(env, manager)
        code = _say_stopped(env, manager)
        if not follow:
            return _show(env, form, store, factories) or code
        return _follow(env, manager)


@options.command(
    epilog="Example: sc-events projections rebuild TaskBoard",
    short_help="Make saved states anew.",
)
@_names
@options.format_option
def rebuild(env: Env, form: str, names: tuple[str, ...]) -> int:
    """Make saved states anew from the first event on.

    The old ones are served until the new ones have caught up. Events that were skipped are skipped.
    """
    factories = wanted_projections(env, names)
    with _managed(env, form, factories) as (store, manager):
        if store is None or manager is None:
            return OK
        manager.rebuild()
        _catch_up(env, manager)
        return max(_show(env, form, store, factories), _say_stopped(env, manager))


@options.command(
    epilog="Example: sc-events projections reset WorktreeMap",
    short_help="Remove saved states.",
)
@click.argument("names", nargs=-1, metavar="NAME...", required=True)
def reset(env: Env, names: tuple[str, ...]) -> int:
    """Remove saved states, with what was skipped; the next update begins at the first event."""
    from gitstore.projections import forget

    factories = wanted_projections(env, names)
    with reading(env) as store:
        if store is None:
            return OK
        states = _writable(env, store)
        for name in factories:
            forget(name, states)
            if env.on_terminal:
                env.answer(f"✓ Removed the saved state of {name}")
    return OK


@options.command(
    epilog="Example: sc-events projections skip TaskBoard",
    short_help="Pass over the event at which one has stopped.",
)
@click.argument("name", metavar="NAME")
@options.format_option
def skip(env: Env, form: str, name: str) -> int:
    """Pass over the event at which a projection has stopped, and go on.

    It stays skipped when the state is made anew, until `reset`, or another version of the code.
    """
    factories = wanted_projections(env, [name])
    (name,) = factories
    with _managed(env, form, factories) as (store, manager):
        if store is None or manager is None:
            return OK
        _catch_up(env, manager)  # it may have got over it: the code may be another
        skipped = manager.skip(name)
        if skipped is None:
            raise Failure(f"{name} has not stopped at any event", hint="Nothing was skipped.")
        env.say(f"Skipped {skipped.place} ({skipped.type}) in {name}.")
        _catch_up(env, manager)
        return max(_show(env, form, store, factories), _say_stopped(env, manager))


@options.command(
    cls=click.Group,
    commands=[status, update, rebuild, reset, skip],
    epilog=_EXAMPLES,
    short_help="Saved states: status, update, rebuild, reset, skip.",
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",
)
@options.format_option
def command(env: Env, form: str) -> int:
    """Show how the saved states of projections stand; with a command, change them."""
    ctx = click.get_current_context()
    ctx.obj = env  # for the commands below this one: with the --store that stood before them
    return _status(env, form, ()) if ctx.invoked_subcommand is None else OK


def _status(env: Env, form: str, names: tuple[str, ...]) -> int:
    factories = wanted_projections(env, names)
    with reading(env, form) as store:
        return OK if store is None else _show(env, form, store, factories)


@contextmanager
def _managed(
    env: Env, form: str, factories: Mapping[str, Factory]
) -> Iterator[tuple[BaseEventStore | None, ProjectionManager | None]]:
    """The store and a manager of these projections; ``None`` twice where there is no store yet."""
    from gitstore.projections import ProjectionManager

    with reading(env, form) as store:
        if store is None:
            yield None, None
            return
        yield store, ProjectionManager(store, factories.values(), states=_writable(env, store))


def _writable(env: Env, store: BaseEventStore) -> States:
    """Where the store's states are saved; ``Failure`` where they cannot be."""
    from gitstore.projections import MemoryStates, states_of

    states = states_of(store)
    if isinstance(states, MemoryStates):
        raise Failure(
            f"states cannot be saved at {find_place(env).where}: nothing can be kept there",
            hint="`sc-events replay` shows what events make, and saves nothing.",
        )
    return states


def _catch_up(env: Env, manager: ProjectionManager) -> None:
    from gitstore_cli.render.progress import ProgressBar

    stop = threading.Event()
    with stopped_by_interrupt(stop) as interrupted, ProgressBar(env) as progress:
        manager.catch_up(stop=stop, progress=progress)
    if interrupted.is_set():
        raise KeyboardInterrupt  # what was handled is saved


def _follow(env: Env, manager: ProjectionManager) -> int:
    stop = threading.Event()
    told = {name for name in manager if manager.stopped(name) is not None}
    is_told = False
    with stopped_by_interrupt(stop) as interrupted:
        for position in manager.follow(stop):
            if not is_told and env.on_terminal:
                env.say(f"Current at position {position:,}; following.")
            is_told = True
            _say_stopped(env, manager, told)
    return INTERRUPTED if interrupted.is_set() else OK


def _say_stopped(env: Env, manager: ProjectionManager, told: set[str] | None = None) -> int:
    """What to do about those that have stopped, which the library has told of; the exit code.

    That of a state that cannot be saved, too.
    """
    code = OK
    for name in manager:
        if manager.unsaved(name) is not None:
            code = FAILURE
        stopped = manager.stopped(name)
        if stopped is None or name in (told or ()):
            continue
        code = FAILURE
        env.say(f"Hint: mend its code and update, or `sc-events projections skip {name}`.")
        if told is not None:
            told.add(name)
    return code


def _show(env: Env, form: str, store: BaseEventStore, factories: Mapping[str, Factory]) -> int:
    from gitstore.projections import states_of, statuses
    from gitstore_cli.render.states import write_statuses

    found: list[ProjectionStatus] = list(statuses(store, factories.values(), states_of(store)))
    write_statuses(env, form, found)
    return FAILURE if any(one.stopped for one in found) else OK
