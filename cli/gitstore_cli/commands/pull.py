"""``sc-events pull``: take in what other machines recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, FAILURE, OK, Usage
from gitstore_cli.finding import find_place
from gitstore_cli.stores import check_present, existing_git, tended

if TYPE_CHECKING:
    from gitstore.backends.git.store import GitEventStore
    from gitstore.sync.pulling import PullReport

_EXAMPLES = """\b
Examples:
  sc-events pull
  sc-events pull hub
  sc-events pull events.bundle
  sc-events pull hub -f json
  sc-events pull hub --rebase --dry-run
  sc-events pull hub --rebase --stream task-AUTH-001

\b
Exit codes: 0 all taken in, 3 streams diverged or failed a check; those stay as
they are, everything else is taken in."""


@options.command(epilog=_EXAMPLES, short_help="Take in what other machines recorded.")
@click.argument("source", metavar="[NAME | FILE]", required=False)
@click.option("--rebase", is_flag=True, help="Put what diverged here after what is there.")
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="STREAM",
    help="With --rebase: of what diverged, only this stream. May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen, and change nothing.")
@options.timeout_option
@options.format_option
def command(
    env: Env,
    form: str,
    source: str | None,
    rebase: bool,
    streams: tuple[str, ...],
    dry_run: bool,
    timeout: float | None,
) -> int:
    """Fetch from a remote, a repository or a git bundle, check every commit, and take it in.

    A stream of yours only ever moves forward, to commits that passed the checks.
    Without a name: the only remote, or `origin`.

    Where both sides went on, --rebase records your events again after theirs: each keeps its id,
    content and time, and gets a new version and position. An event that theirs has too is not
    doubled. What stood before is kept: `list --superseded` shows it.
    """
    from gitstore.sync import remotes
    from gitstore.sync.pulling import pull
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.taken import write_taken
    from gitstore_cli.safe import printable
    from gitstore_cli.whichremote import only_remote

    if streams and not rebase:
        raise Usage("--stream says which streams to rebase", hint="Add --rebase.")
    place = find_place(env)
    check_present(place)
    with tended(env, place), existing_git(env, place, "pull takes in git commits") as store:
        root = store.exchange.layout.root
        named = source or only_remote(root)
        is_remote = named in remotes.urls(root)
        with ProgressBar(env) as bar:
            report = pull(
                store,
                named,
                rebase=rebase,
                streams=streams or None,
                dry_run=dry_run,
                folder=env.cwd,
                timeout=timeout,
                progress=bar,
            )
        unknown = _unknown(store, report)
    write_taken(env, form, report, dry_run=dry_run)
    if is_remote and not dry_run and any(r.replayed for r in report.adoption.rebased.values()):
        env.say(f"Next: sc-events push {named}")
    for stream in report.not_diverged:
        shown = printable(repr(stream))
        if stream in unknown:
            env.say(f"Warning: there is no stream {shown}, here or there.")
        else:
            env.say(f"Note: stream {shown} has nothing to rebase: it did not diverge.")
    if not report.ok:
        return DISAGREE
    return FAILURE if unknown else OK


def _unknown(store: GitEventStore, report: PullReport) -> set[str]:
    """Streams that were to be rebased, and that are on neither side."""
    known = report.adoption.adopted
    return {s for s in report.not_diverged if s not in known and not store.stream_version(s)}
