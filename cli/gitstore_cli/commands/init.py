"""``sc-events init``: make a store, and tell a project which one is its own."""

from __future__ import annotations

from dataclasses import replace

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Failure
from gitstore_cli.finding import (
    CONFIG_KEY,
    VARIABLE,
    Place,
    find_place,
    git_answer,
    main_repository,
    named_place,
    project_setting,
    project_store,
)
from gitstore_cli.stores import FIRST_EVENT, made

_EXAMPLES = """\b
Examples:
  sc-events init
  sc-events init --project
  sc-events init --store team.git
  sc-events init --store sqlite:events.db"""


@options.command(epilog=_EXAMPLES, short_help="Make an event store.")
@click.option(
    "--project",
    is_flag=True,
    help="Make a store for the git project here, for all its worktrees, and remember it in the "
    f"project's git config ({CONFIG_KEY}).",
)
def command(env: Env, project: bool) -> None:
    """Make an event store; one that is there already is left as it is.

    Not needed: the first append makes the store too.
    """
    from gitstore_cli.safe import printable

    place = _project_place(env) if project else find_place(env)
    was_there = not place.is_missing
    made(env, place).close()
    if project:
        _remember(env, place)
    if not env.on_terminal:
        env.answer(printable(place.where))
        return
    verb = "The event store is there already" if was_there else "✓ Created the event store"
    env.answer(printable(f"{verb}: {place.where}"))
    if project:
        env.answer(f"  All worktrees of this project use it (git config {CONFIG_KEY}).")
    _say_next_steps(env, place)


def _project_place(env: Env) -> Place:
    repository = main_repository(env)
    if repository is None:
        raise Failure(
            f"{env.cwd} is in no git repository",
            hint="Go to the project first, or leave --project out.",
        )
    if env.store:
        return find_place(env)
    own = project_store(env, repository)
    return project_setting(env) or named_place(env, f"git:{own}", f"git config {CONFIG_KEY}")


def _remember(env: Env, place: Place) -> None:
    if git_answer(env, "config", "--local", CONFIG_KEY, place.where) is None:
        raise Failure(
            f"git config {CONFIG_KEY} could not be set",
            hint=f"Try `git config --local {CONFIG_KEY} {place.where}` to see why.",
        )
    if env.environ.get(VARIABLE):
        env.say(f"Warning: {VARIABLE} is set, and goes before the project's setting.")


def _say_next_steps(env: Env, place: Place) -> None:
    here = find_place(replace(env, store=None)).where == place.where
    option = "" if here else f" --store {place.where}"
    env.say("Next steps:")
    logs = ["sc-events log task-1"] if place.is_git else []
    for step in (FIRST_EVENT, *logs, "sc-events list"):
        env.say(f"  {step}{option}")
