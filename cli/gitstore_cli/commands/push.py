"""``sc-events push``: bring what happened here to a remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, FAILURE, OK
from gitstore_cli.finding import find_place
from gitstore_cli.stores import check_present, existing_git

if TYPE_CHECKING:
    from gitstore.sync.pushreport import Estimate, PushReport
    from gitstore_cli.render.progress import ProgressBar

_MOST_ROWS = 20
_EXAMPLES = """\b
Examples:
  sc-events push
  sc-events push backup --timeout 30
  sc-events push -f json | jq '.streams[] | select(.state == "diverged")'

\b
Nothing is ever forced. With plain git, in the store: git push NAME

\b
Exit codes: 0 the remote has all that is here, 1 it could not be reached or
declined something, 3 it has streams that went on differently there."""


@options.command(epilog=_EXAMPLES, short_help="Bring what happened here to a remote.")
@click.argument("name", required=False)
@options.timeout_option
@options.format_option
def command(env: Env, form: str, name: str | None, timeout: float | None) -> int:
    """Push streams, type index and feed to the remote NAME: the only one, or origin.

    Streams that somebody else has moved there are named and left; all others go through. Others
    may append meanwhile; what they record goes with the next push.
    """
    from gitstore.sync.pushing import push
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.whichremote import only_remote

    place = find_place(env)
    check_present(place)
    with existing_git(env, place, "push sends git commits") as store:
        remote = name or only_remote(store.exchange.layout.root)
        with ProgressBar(env) as bar:
            report = push(
                store,
                remote,
                timeout=timeout,
                progress=bar,
                expect=lambda expected: _say_estimate(env, bar, expected),
            )
    _write(env, form, report)
    _say(env, report)
    if not report.is_complete:
        return FAILURE
    return OK if report.agrees else DISAGREE


def _say_estimate(env: Env, bar: ProgressBar, expected: Estimate) -> None:
    bar.stop()  # what comes next brings it back
    env.say(
        f"{expected.refs:,} new streams: the other side writes a file for each, which takes about "
        f"{_readable(expected.least)} to {_readable(expected.most)}."
    )


def _readable(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _write(env: Env, form: str, report: PushReport) -> None:
    """What became of each stream; what needs a look first."""
    from gitstore_cli.render.outcomes import apart, left_out, moved, write_outcomes

    rows = [
        *left_out("refused", report.refused),
        *left_out("waiting", report.waiting),
        *left_out("foreign", report.foreign),
        *apart("diverged", report.diverged),
        *apart("behind", report.behind),
        *moved(report.pushed),
    ]
    summary = {
        "remote": report.remote,
        "machine": report.machine,
        "events": report.events,
        "checkpoints": list(report.checkpoints),
        "onlyThere": report.only_there,
    }
    write_outcomes(env, form, summary, rows)


def _brought(report: PushReport) -> str:
    """What the remote has now and had not; of what others derive, nothing is said."""
    from gitstore_cli.render.names import counted

    parts = []
    if report.pushed:
        streams = counted(len(report.pushed), "stream")
        parts.append(f"{counted(report.events, 'event')} in {streams}")
    if report.checkpoints:
        parts.append(counted(len(report.checkpoints), "checkpoint"))
    return " and ".join(parts)


def _say(env: Env, report: PushReport) -> None:
    """The sum of it, and what to do about the rest, on stderr."""
    from gitstore_cli.render.names import counted

    remote = report.remote
    left = report.refused or report.waiting or report.foreign or report.diverged
    nothing = f"nothing pushed to {remote}" if left else f"nothing new for {remote}"
    brought = _brought(report)
    env.say(f"{brought} to {remote}" if brought else nothing)
    if report.renamed:
        env.say(
            f"Warning: another machine pushes there as {report.renamed}; "
            f"this one is {report.machine} from now on."
        )
    if report.refused:
        env.say(f"Warning: {remote} declined {counted(len(report.refused), 'ref')}.")
        for line in report.said:
            env.say(f"{remote} says: {line}")
    for streams_left, why in (
        (report.diverged, "went on differently there"),
        (report.foreign, "have something else under their name there"),
        (report.waiting, "could not be moved into git here"),
    ):
        if streams_left:
            count = counted(len(streams_left), "stream")
            env.say(f"Warning: not pushed: {count} that {why}.")
    if report.diverged:
        stream = min(report.diverged)
        env.say(f"Hint: `sc-events compare {remote} --stream {stream}` shows both sides.")
        env.say(f"Hint: `sc-events pull {remote} --rebase` puts yours after theirs; then push.")
    if report.waiting:
        env.say("Hint: `sc-events verify` says what is in the way.")
    newer = len(report.behind) + report.only_there
    if newer:
        env.say(f"{remote} has {counted(newer, 'stream')} with events that are not here.")
        if not report.diverged:
            env.say(f"Hint: sc-events pull {remote}")
