"""The stores side by side: append, batches, reads, one type, size; each beside its bare way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import astuple
from functools import partial
from pathlib import Path

import orjson

import gitstore
from benchmarks import tasks
from benchmarks.contest import Participant, participants
from benchmarks.measure import paired_ratio, percentile
from benchmarks.memory import watch
from benchmarks.peers.ours import (
    GitStorePeer,
    JsonlStorePeer,
    MemoryStorePeer,
    SqliteStorePeer,
    StorePeer,
)
from benchmarks.report import Outcome, at_least
from benchmarks.tasks.build import QUERIED, Size
from benchmarks.workloads.append import round_medians
from benchmarks.workloads.base import Context
from gitstore import BaseEventStore

STORES: dict[str, type[StorePeer]] = {
    "git": GitStorePeer,
    "sqlite": SqliteStorePeer,
    "jsonl": JsonlStorePeer,
    "memory": MemoryStorePeer,
}
"""From the kind of a store to the peer that writes it."""
_BARE = {"sqlite": ("sqlite3, same table", 0.9), "jsonl": ("jsonl", 0.7)}
"""What a store is held against where it appends, and how close it must come."""
_FULL, _QUICK = Size(100_000, 10_000, 20), Size(5_000, 2_500, 10)
_MEGABYTE = 1_000_000


def run(context: Context) -> Outcome:
    """The same events in each."""
    outcome = Outcome()
    _appends(outcome, context)
    size = _QUICK if context.quick else _FULL
    places = {kind: context.fresh(f"built-{kind}") for kind in STORES}
    for kind, place in places.items():
        context.say(f"stores: {size.events} events into {kind}")
        watched = watch(tasks.command(tasks.BUILD, place, STORES[kind].name, *astuple(size)))
        seconds = orjson.loads(watched.output)["seconds"]
        outcome.show(f"{kind}: batches of 5,000", size.events / seconds, "events/s")
        outcome.show(f"{kind}: memory for it", watched.own / _MEGABYTE, "MB")
        if kind != "memory":
            outcome.show(f"{kind}: on disk", _bytes(place) / size.events, "B/event")
    rounds = 3 if context.quick else 11
    with gitstore.open_store("memory:") as memory:
        memory.append_many(list(_events(size)))
        _reads(outcome, context, size, _openers(places, memory), rounds)
    return outcome


def _appends(outcome: Outcome, context: Context) -> None:
    rounds, seconds = (3, 0.05) if context.quick else (20, 0.4)
    names = [*(peer.name for peer in STORES.values()), *(peer for peer, _ in _BARE.values())]
    with participants({name: name for name in names}, context.directory / "append") as all_:
        for number in range(rounds):
            context.say(f"stores: appends, round {number + 1} of {rounds}")
            for participant in all_:
                participant.turn(seconds)
        for participant in all_:
            participant.close()
    by_name: dict[str, Participant] = {participant.name: participant for participant in all_}
    medians = {name: round_medians(participant) for name, participant in by_name.items()}
    outcome.raw["append"] = {"round_medians_s": medians}
    for name, participant in by_name.items():
        outcome.durability[name] = participant.durability
        outcome.show(f"append: {name}", percentile(participant.samples, 0.5) * 1e6, "µs")
    for kind, (peer, bound) in _BARE.items():
        ratio = paired_ratio(medians[peer], medians[STORES[kind].name])
        outcome.show(f"append: {kind} / {peer}", ratio, "×", at_least(bound))


def _openers(
    places: dict[str, Path], memory: BaseEventStore
) -> dict[str, Callable[[], BaseEventStore]]:
    """How each store is opened; that in memory is, already."""

    def opener(kind: str, peer: type[StorePeer]) -> Callable[[], BaseEventStore]:
        if kind == "memory":
            return lambda: memory
        return lambda: gitstore.open_store(peer.address(places[kind]), create=False)

    return {kind: opener(kind, peer) for kind, peer in STORES.items()}


def _reads(
    outcome: Outcome,
    context: Context,
    size: Size,
    openers: dict[str, Callable[[], BaseEventStore]],
    rounds: int,
) -> None:
    whole: dict[str, list[float]] = {kind: [] for kind in openers}
    one_type: dict[str, list[float]] = {kind: [] for kind in openers}
    for number in range(rounds):
        context.say(f"stores: reads, round {number + 1} of {rounds}")
        for kind, opener in openers.items():
            store = opener()
            whole[kind].append(_timed(store.read_all, size.events))
            query = partial(store.read_all, types=QUERIED, since=size.last_day)
            one_type[kind].append(_timed(query, size.hits))
            if kind != "memory":
                store.close()
    outcome.raw["reads"] = {"whole_s": whole, "one_type_s": one_type}
    for kind in openers:
        outcome.show(f"{kind}: reading all", size.events / percentile(whole[kind], 0.5), "events/s")
    for kind in openers:
        name = f"{kind}: last day of one type, {size.hits:,} hits"
        outcome.show(name, percentile(one_type[kind], 0.5) * 1000, "ms")


def _timed(read: Callable[[], Iterable[object]], wanted: int) -> float:
    begun = time.perf_counter()
    found = sum(1 for _ in read())
    seconds = time.perf_counter() - begun
    if found != wanted:
        raise AssertionError(f"{found} events were read, not {wanted}")
    return seconds


def _events(size: Size) -> list[gitstore.DomainEvent]:
    events = size.history()
    return [next(events) for _ in range(size.events)]


def _bytes(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
