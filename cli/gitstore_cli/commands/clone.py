"""``sc-events clone``: a new machine in one command."""

from __future__ import annotations

from dataclasses import replace

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, OK, Failure, Usage
from gitstore_cli.finding import find_place

_EXAMPLES = """\b
Examples:
  sc-events clone ssh://hub.example/events.git
  sc-events clone /media/stick/events.git work.git

\b
Exit codes: 0 ok, 3 a stream of the remote failed a check and was left out."""


@options.command(epilog=_EXAMPLES, short_help="Make a store from a remote.")
@click.argument("url", metavar="URL")
@click.argument("path", metavar="[PATH]", required=False)
@options.timeout_option
@options.format_option
def command(env: Env, form: str, url: str, path: str | None, timeout: float | None) -> int:
    """Make a store with everything the remote at URL has; the remote becomes its `origin`.

    PATH is where; without it, the store that commands use here.
    """
    from gitstore.sync.cloning import clone
    from gitstore.sync.remotes import resolved
    from gitstore_cli.library_warnings import show_warnings
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.taken import write_taken
    from gitstore_cli.safe import printable

    show_warnings(env)
    if path and env.store:
        raise Usage("PATH and --store both say where", hint="Give one of the two.")
    place = find_place(replace(env, store=path) if path else env)
    if not place.is_git:
        raise Failure(
            f"clone makes a git store, and {place.where} would be none",
            hint="Give a PATH; `sc-events copy` brings the clone's events into any other store.",
        )
    with ProgressBar(env) as bar:
        report = clone(resolved(url, env.cwd), place.address.path, timeout=timeout, progress=bar)
    write_taken(env, form, report)
    env.say(f"The event store is {printable(place.where)}")
    return OK if report.ok else DISAGREE
