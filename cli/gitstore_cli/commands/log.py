"""``sc-events log``: git log itself, of one stream."""

from __future__ import annotations

import os
import shlex

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Failure
from gitstore_cli.finding import find_place
from gitstore_cli.stores import as_git_store, check_git, holding

_EXAMPLES = """\b
Examples:
  sc-events log task-AUTH-001
  sc-events log task-AUTH-001 --oneline -5
  sc-events log task-AUTH-001 --format=event

\b
Everything after STREAM goes to git; options of ours stand before it."""


@options.command(
    epilog=_EXAMPLES,
    short_help="Show a stream with git log.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("stream")
@click.argument("arguments", nargs=-1, metavar="[GIT LOG OPTIONS]", type=click.UNPROCESSED)
def command(env: Env, stream: str, arguments: tuple[str, ...]) -> None:
    """Show the commits of STREAM with git log, your pager and your colours."""
    from gitstore.backends.git.gitcommand import clean_environment
    from gitstore.core.names import encode_name

    store = _flushed(env, stream)
    # Inside a hook, git's variables would lead to another repository.
    environ = clean_environment(env.environ)
    env.stdout.flush()
    ref = f"refs/streams/{encode_name(stream)}"
    os.execvpe("git", ["git", f"--git-dir={store}", "log", *arguments, ref, "--"], environ)  # noqa: S606


def _flushed(env: Env, stream: str) -> str:
    """The place of the store, with every event of the stream in git."""
    instead = f"`sc-events list --stream {shlex.quote(stream)}` shows the stream;"
    check_git(find_place(env), "log shows git commits", instead=instead)
    with holding(env, f"stream {stream!r}") as store:
        if not store.stream_version(stream):
            hint = "`sc-events streams` lists those there are."
            raise Failure(f"there is no stream {stream!r}", hint=hint)
        git_store = as_git_store(store)
        if git_store.status().unflushed:
            git_store.flush()
        return str(git_store.status().where)
