"""``sc-events compare``: where this store and another agree, are ahead, or forked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, OK
from gitstore_cli.finding import find_place
from gitstore_cli.stores import check_present, existing_git

if TYPE_CHECKING:
    from gitstore.sync.comparing import Compared, Comparison

_FIELDS = ("stream", "state", "ahead", "behind", "fork", "same")
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
@click.option("--stream", metavar="STREAM", help="Show both sides of one stream after its fork.")
@click.option("--only-different", is_flag=True, help="Leave out the streams that are identical.")
@click.option("--fetch", is_flag=True, help="Fetch first, so that everything can be told.")
@options.timeout_option
@options.format_option
def command(
    env: Env,
    form: str,
    other: str | None,
    stream: str | None,
    only_different: bool,
    fetch: bool,
    timeout: float | None,
) -> int:
    """Show which streams are identical, ahead, behind, diverged, or on one side only.

    A remote is compared as of the last fetch (without an argument: the only remote, or origin),
    another store of this machine as it is now; of a URL the refs alone are looked at. Nothing is
    taken in, and nothing is written there.
    """
    from gitstore.sync.comparing import compare_with
    from gitstore.sync.others import open_other
    from gitstore.sync.sides import Sides
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.sides import write_sides
    from gitstore_cli.whichremote import only_remote

    place = find_place(env)
    check_present(place)
    what = "compare holds git commits against each other"
    with existing_git(env, place, what) as store, ProgressBar(env) as bar:
        named = other or only_remote(store.examine(lambda parts: parts.layout.root))
        wanted = None if stream is None else [stream]
        with open_other(
            store, named, fetch_first=fetch, timeout=timeout, progress=bar, folder=env.cwd
        ) as there:
            found = compare_with(store, there, wanted, bar)
            bar.stop()
            clash = False
            if stream is None:
                _write(env, form, found, only_different=only_different)
            elif one := next(iter(found.streams), None):
                both = Sides(store, there, one) if one.is_known else None
                clash = write_sides(env, form, one, both)
    _say(env, found, fetch=fetch)
    _say_next(env, found, clash=clash)
    return OK if found.ok else DISAGREE


def _write(env: Env, form: str, found: Comparison, *, only_different: bool) -> None:
    from gitstore_cli.render.jsontext import lines, pretty
    from gitstore_cli.safe import printable

    shown = (one for one in found.streams if not only_different or one.state != "identical")
    if form == "table":
        _write_table(env, shown)
    elif form == "json":
        streams = [dict(zip(_FIELDS, one, strict=True)) for one in shown]
        env.answer(pretty({"streams": streams, "summary": found.summary}))
    elif form == "jsonl":
        env.stdout.writelines(lines(dict(zip(_FIELDS, one, strict=True)) for one in shown))
    else:
        for stream, state, *counts, _ in shown:
            cells = (state, *("" if count is None else str(count) for count in counts), stream)
            env.answer("\t".join(map(printable, cells)))


def _write_table(env: Env, streams: Iterable[Compared]) -> None:
    from gitstore_cli.render.names import standing
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("Stream", "bold", most=1000, least=18, keeps_end=True),
        Column("State", most=80),
    )
    Table(env, columns).write((one.stream, standing(one)) for one in streams)


def _say(env: Env, found: Comparison, *, fetch: bool) -> None:
    """What was compared, and the sum of it, on stderr: stdout holds the streams alone."""
    from gitstore_cli.render.names import counted

    counts = ", ".join(
        f"{count:,} {state.replace('-', ' ')}" for state, count in sorted(found.summary.items())
    )
    count = counted(len(found.streams), "stream")
    env.say(f"{count} compared with {_basis(found)}: {counts or 'nothing on either side'}")
    for name, why in found.odd.items():
        env.say(f"Note: {name}, there, is no stream: {why}")
    if not (fetch or all(one.is_known for one in found.streams)):
        env.say("Hint: Only a fetch can tell how far they differ: add --fetch")


def _say_next(env: Env, found: Comparison, *, clash: bool) -> None:
    """What to do about histories that diverged; ``clash``: an event id has two contents."""
    diverged = [one for one in found.streams if one.state == "diverged"]
    if clash:
        env.say("Hint: No rebase drops either of two contents: the stream stays as it is.")
    elif diverged:
        env.say(f"Hint: `sc-events pull {found.other} --rebase` {_what_a_rebase_does(diverged)}")


def _what_a_rebase_does(diverged: Sequence[Compared]) -> str:
    """How much of what is only ours goes on top of theirs, and how much stands there already."""
    from gitstore_cli.render.names import counted

    same = sum(one.same or 0 for one in diverged)
    own = sum(one.ahead or 0 for one in diverged) - same
    if not own:
        return f"drops {counted(same, 'event')} of yours, which theirs has, too."
    dropped = f", and drops {same:,} that theirs has, too" if same else ""
    return f"puts {counted(own, 'event')} of yours after theirs{dropped}."


def _basis(found: Comparison) -> str:
    from gitstore_cli.render.moments import local_seconds

    if found.basis == "last fetch":
        when = f", {local_seconds(found.fetched)}" if found.fetched else ""
        return f"{found.other} as of the last fetch{when}"
    if found.basis == "never fetched":
        return f"the refs of {found.other}, which was never fetched"
    return f"the refs of {found.other}" if found.basis == "tips" else found.other
