"""Batches until they are durable and in git, against git's own bulk writer."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from benchmarks.events import Plan, growing, history, over, take
from benchmarks.measure import paired_ratio, percentile, summary
from benchmarks.peers import Peer
from benchmarks.peers.commits import init_bare
from benchmarks.peers.fast_import import FastImportFsyncPeer, FastImportPeer, commands
from benchmarks.peers.ours import GitStorePeer
from benchmarks.report import Outcome, at_least
from benchmarks.workloads.base import Context
from gitstore import DomainEvent

BATCH = 1_000
_PEERS: tuple[type[Peer], ...] = (GitStorePeer, FastImportPeer, FastImportFsyncPeer)


def run(context: Context) -> Outcome:
    """1,000 events over 50 and over 500 streams, batch after batch; then one import."""
    outcome = Outcome()
    for streams in (50, 500):
        _batches(outcome, context, streams)
    _import(outcome, context)
    return outcome


def _batches(outcome: Outcome, context: Context, streams: int) -> None:
    rounds = 4 if context.quick else 40
    context.say(f"batches: {rounds} of {BATCH} events over {streams} streams")
    directory = context.fresh(f"over-{streams}")
    peers = [peer(directory) for peer in _PEERS]
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    events = history(Plan(over(streams)))
    for _ in range(rounds):
        batch = take(events, BATCH)
        for peer in peers:
            seconds[peer.name].append(_timed(peer, batch))
    for peer in peers:
        peer.close()
        outcome.durability[peer.name] = peer.durability
        rate = BATCH / percentile(seconds[peer.name], 0.5)
        outcome.show(f"{streams} streams: {peer.name}", rate, "events/s")
    ours, *theirs = (peer.name for peer in peers)
    for peer_name, target in zip(theirs, (at_least(1.5), None), strict=True):
        ratio = paired_ratio(seconds[peer_name], seconds[ours])
        outcome.show(f"{streams} streams: {ours} / {peer_name}", ratio, "×", target)
    outcome.raw[f"{streams} streams"] = {"seconds_a_batch": seconds}
    _same_commits(outcome, directory, f"{streams} streams")


def _timed(peer: Peer, batch: list[DomainEvent]) -> float:
    begun = time.perf_counter()
    peer.append_many(batch)
    return time.perf_counter() - begun


def _import(outcome: Outcome, context: Context) -> None:
    size, rounds = (2_000, 3) if context.quick else (20_000, 9)
    context.say(f"batches: {rounds} imports of {size} events")
    events = take(history(Plan(growing(per_stream=8))), size)
    rendered = commands(events)
    seconds: dict[str, list[float]] = {"gitstore": [], "rendering": [], "fast-import": []}
    for number in range(rounds):
        directory = context.fresh(f"import-{number}")
        seconds["gitstore"].append(_import_ours(directory, events))
        begun = time.perf_counter()
        commands(events)
        seconds["rendering"].append(time.perf_counter() - begun)
        seconds["fast-import"].append(_import_git(directory, rendered))
    whole = [a + b for a, b in zip(seconds["rendering"], seconds["fast-import"], strict=True)]
    outcome.raw["import"] = {"events": size, "seconds": seconds}
    for name, times in (*seconds.items(), ("fast-import with rendering", whole)):
        outcome.raw["import"][f"summary: {name}"] = summary(times)
    name = f"import of {size:,}"
    outcome.show(f"{name}: gitstore", size / percentile(seconds["gitstore"], 0.5), "events/s")
    outcome.show(f"{name}: fast-import", size / percentile(whole, 0.5), "events/s")
    ratio = paired_ratio(whole, seconds["gitstore"])
    outcome.show(f"{name}: gitstore / fast-import", ratio, "×", at_least(1.0))
    ratio = paired_ratio(seconds["fast-import"], seconds["gitstore"])
    outcome.show(f"{name}: gitstore / fast-import of rendered commands", ratio, "×")
    outcome.notes.append("both start from the same events: rendering fast-import's input is timed")
    _same_commits(outcome, context.directory / "import-0", "import")


def _import_ours(directory: Path, events: list[DomainEvent]) -> float:
    """From opening a new store to its close, as an import of any length goes: in chunks."""
    begun = time.perf_counter()
    peer = GitStorePeer(directory)
    for start in range(0, len(events), 5 * BATCH):
        peer.store.append_many(events[start : start + 5 * BATCH])
    peer.close()
    return time.perf_counter() - begun


def _import_git(directory: Path, rendered: bytes) -> float:
    begun = time.perf_counter()
    path = init_bare(directory / "fast-import.git")
    command = ("git", f"--git-dir={path}", "fast-import", "--quiet")
    subprocess.run(command, input=rendered, check=True)
    return time.perf_counter() - begun


def _same_commits(outcome: Outcome, directory: Path, name: str) -> None:
    """Hold the two repositories against each other: equal refs are equal histories."""
    ours, theirs = (_refs(directory / place) for place in ("events.git", "fast-import.git"))
    outcome.raw[f"{name}: same commits"] = ours == theirs
    if ours != theirs:
        outcome.notes.append(f"{name}: the stores and git's commits are not the same")


def _refs(repository: Path) -> bytes:
    command = ("git", f"--git-dir={repository}", "for-each-ref", "refs/streams")
    return subprocess.run(command, capture_output=True, check=True).stdout
