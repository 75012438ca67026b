"""``sc-events pull``: take in what other machines recorded."""

from __future__ import annotations

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, OK
from gitstore_cli.finding import find_place
from gitstore_cli.stores import as_git_store, check_present, existing, tended

_EXAMPLES = """\b
Examples:
  sc-events pull
  sc-events pull hub
  sc-events pull events.bundle
  sc-events pull hub -f json

\b
Exit codes: 0 all taken in, 3 streams diverged or failed a check; those stay as
they are, everything else is taken in."""


@options.command(epilog=_EXAMPLES, short_help="Take in what other machines recorded.")
@click.argument("source", metavar="[NAME | FILE]", required=False)
@options.timeout_option
@options.format_option
def command(env: Env, form: str, source: str | None, timeout: float | None) -> int:
    """Fetch from a remote, a repository or a git bundle, check every commit, and take it in.

    A stream of yours only ever moves forward, to commits that passed the checks.
    Without a name: the only remote, or `origin`.
    """
    from gitstore.sync.pulling import pull
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.taken import write_taken
    from gitstore_cli.whichremote import only_remote

    place = find_place(env)
    check_present(place)
    with tended(env, place), existing(env, place) as opened:
        store = as_git_store(opened, "pull")
        named = source or only_remote(store.exchange.layout.root)
        with ProgressBar(env) as bar:
            report = pull(store, named, folder=env.cwd, timeout=timeout, progress=bar)
    write_taken(env, form, report)
    return OK if report.ok else DISAGREE
