"""Participants in processes of their own, called in turn: A B C, A B C.

A process each, because libraries have settings for the whole process (libgit2's caches and fsync)
and because a background thread of one must not hold the interpreter's lock of another.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.events import Plan, bare, growing, history, take
from benchmarks.peers import Peer, load
from gitstore import DomainEvent

_SPAWN = multiprocessing.get_context("spawn")
_MOST_EVENTS_A_SECOND = 12_000


@dataclass
class Slice:
    """What one participant did in one turn; times in seconds.

    ``spent`` is the turn from its first append to its last, ``settled`` the work left after it.
    """

    samples: list[float]
    spent: float
    settled: float


@dataclass
class Participant:
    """One peer in its process."""

    name: str
    connection: Connection
    durability: str
    slices: list[Slice] = field(default_factory=list)

    def turn(self, seconds: float) -> None:
        """Append one event after the other for so long."""
        self.slices.append(self._ask("turn", seconds))

    def close(self) -> float:
        """Close the peer; the seconds it took."""
        return float(self._ask("close", 0.0))

    @property
    def samples(self) -> list[float]:
        """Every append's seconds, in order."""
        return [sample for slice_ in self.slices for sample in slice_.samples]

    def _ask(self, what: str, seconds: float) -> Any:
        self.connection.send((what, seconds))
        return self.connection.recv()


@contextmanager
def participants(peers: Mapping[str, str], directory: Path) -> Iterator[list[Participant]]:
    """One process for each, gone at the end of the block.

    ``peers``: from a participant's name, also that of its directory, to that of its peer.
    """
    with ExitStack() as stack:
        yield [
            stack.enter_context(_participant(name, peer, directory / name))
            for name, peer in peers.items()
        ]


@contextmanager
def _participant(name: str, peer: str, place: Path) -> Iterator[Participant]:
    place.mkdir(parents=True, exist_ok=True)
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(peer, place, there))
    process.start()
    there.close()
    try:
        yield Participant(name, here, str(here.recv()))
    finally:
        here.close()
        process.join(timeout=30)
        process.terminate()


def _serve(peer_name: str, directory: Path, connection: Connection) -> None:
    peer = load(peer_name)(directory)
    events = history(Plan(growing(per_stream=20, window=100)))
    if peer.bare:
        events = map(bare, events)
    ready: deque[DomainEvent] = deque()
    connection.send(peer.durability)
    with suppress(EOFError):  # the other end is gone: so are we
        while True:
            what, seconds = connection.recv()
            if what == "close":
                begun = time.perf_counter()
                peer.close()
                connection.send(time.perf_counter() - begun)
                return
            ready.extend(take(events, int(_MOST_EVENTS_A_SECOND * seconds) - len(ready)))
            connection.send(_turn(peer, ready, seconds))


def _turn(peer: Peer, ready: deque[DomainEvent], seconds: float) -> Slice:
    samples = []
    begun = before = time.perf_counter()
    while ready and before - begun < seconds:
        peer.append(ready.popleft())
        now = time.perf_counter()
        samples.append(now - before)
        before = now
    peer.settle()
    return Slice(samples, before - begun, time.perf_counter() - before)
