"""What a pull or a clone brought, and what it left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitstore_cli.env import Env
from gitstore_cli.render.names import counted
from gitstore_cli.render.outcomes import apart, left_out, moved, write_outcomes
from gitstore_cli.render.rebases import rebases, say_rebases, write_rebases
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.sync.pulling import PullReport


def write_taken(env: Env, form: str, report: PullReport, *, dry_run: bool = False) -> None:
    """Answer with what became of each stream, what needs a look first; the sum is said.

    ``dry_run``: it is what would become of them.
    """
    taken = report.adoption
    summary = {"source": report.source, "events": taken.events}
    if dry_run:
        summary["dryRun"] = True
    rows = [
        *left_out("refused", taken.refused),
        *apart("diverged", taken.diverged, taken.conflicts),
        *moved(taken.adopted),
    ]
    rebased = list(rebases(taken.rebased))
    if form == "table":
        write_outcomes(env, form, summary, rows)
        if rows and rebased:
            env.answer("")
        write_rebases(env, rebased)
    else:
        write_outcomes(env, form, summary, [*rows, *rebased])
    _say(env, report, dry_run=dry_run)


def _say(env: Env, report: PullReport, *, dry_run: bool) -> None:
    taken = report.adoption
    name = printable(report.source)
    if report.is_empty:
        env.say(f"{name} has no events yet")
        return
    env.say(_brought(report, dry_run=dry_run))
    say_rebases(env, taken.rebased, dry_run=dry_run)
    if report.untracked:
        env.say(f"Note: {counted(len(report.untracked), 'ref')} of {name} could not be noted here.")
    _say_left_out(env, report)
    if dry_run:
        env.say("Nothing was changed: this was a dry run.")


def _brought(report: PullReport, *, dry_run: bool) -> str:
    taken = report.adoption
    name = printable(report.source)
    if not taken.events:
        return f"{'nothing new' if report.ok else 'nothing taken in'} from {name}"
    longer = sum(one.after > one.before for one in taken.rebased.values())
    streams = counted(len(taken.adopted) + longer, "stream")
    events = f"{counted(taken.events, 'event')} in {streams}"
    return f"{events} would come from {name}" if dry_run else f"{events} from {name}"


def _say_left_out(env: Env, report: PullReport) -> None:
    taken = report.adoption
    name = printable(report.source)
    if taken.refused:
        refused = counted(len(taken.refused), "stream")
        env.say(f"Warning: not taken in: {refused} that failed the checks.")
        env.say("Hint: what is kept of that: `git for-each-ref refs/quarantine`, in the store.")
    if taken.diverged:
        count = counted(len(taken.diverged), "stream")
        env.say(f"Warning: not taken in: {count} that went on differently there.")
        stream = printable(min(taken.diverged))
        env.say(f"Hint: `sc-events compare {name} --stream {stream}` shows both sides.")
    if taken.diverged.keys() - taken.conflicts.keys():
        env.say(f"Hint: `sc-events pull {name} --rebase` puts yours after theirs.")
