"""``sc-events compare``: where this store and another agree, are ahead, or forked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, OK, Usage
from gitstore_cli.stores import as_git_store, reading

if TYPE_CHECKING:
    from gitstore.backends.git.store import GitEventStore
    from gitstore.sync.comparing import Compared, Comparison
    from gitstore.sync.others import Other

_FIELDS = ("stream", "state", "ahead", "behind", "fork")
_EXAMPLES = """\b
Examples:
  sc-events compare
  sc-events compare origin --only-different
  sc-events compare ~/backup/events.git -f json
  sc-events compare https://example.org/events.git --fetch
  sc-events compare --stream task-AUTH-001

\b
Exit codes: 0 both hold the same, 3 they differ."""


@options.command(epilog=_EXAMPLES, short_help="Compare with a remote or another store.")
@click.argument("other", required=False, metavar="[REMOTE | PATH | URL]")
@click.option("--fetch", is_flag=True, help="Fetch first, so that all can be told.")
@click.option("--stream", metavar="STREAM", help="Show both sides of one stream after its fork.")
@click.option("--only-different", is_flag=True, help="Leave out the streams that are identical.")
@options.timeout_option
@options.format_option
def command(
    env: Env,
    form: str,
    other: str | None,
    fetch: bool,
    stream: str | None,
    only_different: bool,
    timeout: float | None,
) -> int:
    """Show for each stream whether it is identical, ahead, behind, diverged, or on one side only.

    A remote is compared as of the last fetch; without OTHER it is the only remote, or origin.
    Another store on this machine is read as it is now, and nothing is written there. Of a URL only
    the refs are looked at, unless --fetch is given. Nothing is adopted: `sc-events pull` does that.
    """
    from gitstore.sync.comparing import compare_with
    from gitstore.sync.others import open_other
    from gitstore_cli.render.progress import ProgressBar

    with reading(env) as opened:
        if opened is None:
            return OK
        store = as_git_store(opened, "compare")
        with ProgressBar(env) as progress:
            options = {"fetch_first": fetch, "timeout": timeout, "progress": progress}
            ...
