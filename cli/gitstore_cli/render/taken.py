"""What a pull or a clone brought, and what it left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitstore_cli.env import Env
from gitstore_cli.render.names import counted
from gitstore_cli.render.outcomes import apart, left_out, moved, write_outcomes
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.sync.pulling import PullReport


def write_taken(env: Env, form: str, report: PullReport) -> None:
    """Answer with what became of each stream, what needs a look first; the sum is said."""
    taken = report.adoption
    rows = [
        *left_out("refused", taken.refused),
        *apart("diverged", taken.diverged),
        *moved(taken.adopted),
    ]
    write_outcomes(env, form, {"source": report.source, "events": taken.events}, rows)
    _say(env, report)


def _say(env: Env, report: PullReport) -> None:
    taken = report.adoption
    name = printable(report.source)
    if report.is_empty:
        env.say(f"{name} has no events yet")
        return
    streams = counted(len(taken.adopted), "stream")
    nothing = "nothing new" if report.ok else "nothing taken in"
    brought = f"{counted(taken.events, 'event')} in {streams}" if taken.events else nothing
    env.say(f"{brought} from {name}")
    if report.untracked:
        env.say(f"Note: {counted(len(report.untracked), 'ref')} of {name} could not be noted here.")
    if taken.refused:
        refused = counted(len(taken.refused), "stream")
        env.say(f"Warning: not taken in: {refused} that failed the checks.")
        env.say("Hint: what is kept of that: `git for-each-ref refs/quarantine`, in the store.")
    if taken.diverged:
        count = counted(len(taken.diverged), "stream")
        env.say(f"Warning: not taken in: {count} that went on differently there.")
        stream = printable(min(taken.diverged))
        env.say(f"Hint: `sc-events compare {name} --stream {stream}` shows both sides.")
