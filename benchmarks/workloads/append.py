"""One durable append: what a caller waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.contest import Participant, participants
from benchmarks.measure import paired_ratio, percentile, summary
from benchmarks.report import Outcome, at_least
from benchmarks.workloads.base import Context

OURS = ("gitstore", "gitstore flush=append")
TARGETS = {
    "eventsourcing": at_least(0.9),
    "git command": at_least(10),
    "GitPython": at_least(8),
    "pygit2": at_least(2),
    "sqlite3": None,
    "jsonl": None,
}


def run(context: Context) -> Outcome:
    """Turns of half a second each, so that background flushes fall into our own turns."""
    rounds, seconds = (3, 0.05) if context.quick else (20, 0.5)
    outcome = Outcome()
    names = {name: name for name in (*OURS, *TARGETS)}
    with participants(names, context.directory) as all_:
        for number in range(rounds):
            context.say(f"append: round {number + 1} of {rounds}")
            for participant in all_:
                participant.turn(seconds)
        for participant in all_:
            participant.close()
            _record(outcome, participant)
    _compare(outcome, {participant.name: participant for participant in all_})
    outcome.notes.append(
        "× is the peer's median time by ours, each round by itself, the median of all rounds"
    )
    return outcome


def round_medians(participant: Participant) -> list[float]:
    """The median append of each turn."""
    return [percentile(slice_.samples, 0.5) for slice_ in participant.slices]


def _record(outcome: Outcome, participant: Participant) -> None:
    name = participant.name
    microseconds = [round(sample * 1e6, 1) for sample in participant.samples]
    figures = summary(microseconds)
    outcome.durability[name] = participant.durability
    outcome.raw[name] = {
        "summary_us": figures,
        "rounds": [len(slice_.samples) for slice_ in participant.slices],
        "samples_us": microseconds,
    }
    outcome.show(f"{name}: median", figures["median"], "µs")
    outcome.show(f"{name}: p99", figures["p99"], "µs")


def _compare(outcome: Outcome, by_name: Mapping[str, Participant]) -> None:
    medians: dict[str, Sequence[float]] = {n: round_medians(p) for n, p in by_name.items()}
    for ours in OURS:
        for peer, target in TARGETS.items():
            ratio = paired_ratio(medians[peer], medians[ours])
            outcome.show(f"{ours} / {peer}", ratio, "×", target if ours == OURS[0] else None)
