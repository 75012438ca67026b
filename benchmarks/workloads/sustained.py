"""A minute of single appends with the flusher running, and everything in git at the end."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.contest import Participant, participants
from benchmarks.report import Outcome, at_least, at_most
from benchmarks.workloads.base import Context

OURS, PEER = "gitstore", "eventsourcing"


def run(context: Context) -> Outcome:
    """Turns of five seconds; what our flusher has left at the end of one is timed with it."""
    turns, seconds = (3, 1.0) if context.quick else (12, 5.0)
    outcome = Outcome()
    with participants({OURS: OURS, PEER: PEER}, context.directory) as (ours, peer):
        for number in range(turns):
            context.say(f"sustained: turn {number + 1} of {turns}")
            ours.turn(seconds)
            peer.turn(seconds)
        own, theirs = _rate(outcome, ours), _rate(outcome, peer)
    outcome.show(f"{OURS} / {PEER}", own / theirs, "×", at_least(0.8))
    in_git = events_in_git(context.directory / OURS / "events.git")
    missing = len(ours.samples) - in_git
    outcome.show("events in git after close", in_git, "events")
    outcome.show("appended and not in git", missing, "events", at_most(0))
    return outcome


def events_in_git(repository: Path) -> int:
    """How many commits plain git finds on the streams."""
    command = ("git", f"--git-dir={repository}", "rev-list", "--count", "--glob=refs/streams/*")
    counted = subprocess.run(command, capture_output=True, check=True)
    return int(counted.stdout)


def _rate(outcome: Outcome, participant: Participant) -> float:
    """Events a second, what was flushed after the last append of a turn and at close included."""
    closing = participant.close()
    turns = [
        {"events": len(s.samples), "seconds": s.spent, "flush_seconds": s.settled}
        for s in participant.slices
    ]
    seconds = closing + sum(s.spent + s.settled for s in participant.slices)
    rate = len(participant.samples) / seconds
    outcome.durability[participant.name] = participant.durability
    outcome.raw[participant.name] = {"turns": turns, "close_seconds": closing}
    outcome.show(f"{participant.name}: flushes and close included", rate, "/s")
    return rate
