"""The rules of a rebase over lists: what machines and a hub must come to, without git or files.

A history is a tuple of recordings, oldest first; a recording's ``commit`` is a digest of all that
makes a commit's id: what it follows, the event, and the commit by which that was first recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Set
from typing import NamedTuple


class Recording(NamedTuple):
    """An event in one place. ``origin``: its first commit, its own where this is the first."""

    event: str
    commit: str
    origin: str


History = tuple[Recording, ...]
Tip = Callable[[History], str]
"""What a tie is decided by: the id of the commit at which a history ends."""


def then(history: History, event: str, origin: str | None = None) -> History:
    """The history with one more event; ``origin`` where it was recorded elsewhere before."""
    parent = history[-1].commit if history else ""
    commit = hashlib.sha1(f"{parent} {event} {origin}".encode()).hexdigest()
    return (*history, Recording(event, commit, origin or commit))


def ids(history: History) -> list[str]:
    """The events, in order."""
    return [one.event for one in history]


def tip_of(history: History) -> str:
    """The last commit, empty where there is none."""
    return history[-1].commit if history else ""


def fork_of(ours: History, theirs: History) -> int:
    """The last version that both have."""
    same = 0
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            break
        same += 1
    return same


def replayed(ours: History, theirs: History) -> History:
    """Theirs, then those of ours that they have not."""
    known = set(ids(theirs))
    result = theirs
    for one in ours[fork_of(ours, theirs) :]:
        if one.event not in known:
            result = then(result, one.event, one.origin)
    return result


def pulled(
    ours: History, theirs: History, published: Set[str] | None, tip: Tip = tip_of
) -> History:
    """Ours after ``pull --rebase`` from a store, or from a plain repository (no ``published``).

    ``published``: the commits at which either store knows the hub to stand.
    """
    fork = fork_of(ours, theirs)
    if fork == len(theirs):
        return ours
    if published is None or fork == len(ours) or not set(ids(theirs)) <= set(ids(ours)):
        return replayed(ours, theirs)
    here, there = (any(one.commit in published for one in side[fork:]) for side in (ours, theirs))
    if here != there:
        return ours if here else replayed(ours, theirs)
    keeps = len(ours) > len(theirs) or tip(ours) < tip(theirs)
    return ours if keeps else replayed(ours, theirs)


class World:
    """Some machines and a hub, and one stream of theirs.

    ``before``: event → those that its machine had when it was recorded. ``tracked``: where each
    machine knows the hub to stand.
    """

    def __init__(self, machines: int) -> None:
        self.machines: list[History] = [()] * machines
        self.hub: History = ()
        self.tracked: list[History] = [()] * machines
        self.before: dict[str, frozenset[str]] = {}

    def append(self, here: int) -> str:
        """Record an event on a machine; gives its id."""
        event = f"event-{len(self.before)}"
        self.before[event] = frozenset(ids(self.machines[here]))
        self.machines[here] = then(self.machines[here], event)
        return event

    def push(self, here: int) -> None:
        """Bring the hub a machine's history, where it continues what is there."""
        if fork_of(self.machines[here], self.hub) == len(self.hub):
            self.hub = self.machines[here]
        self.tracked[here] = self.hub

    def pull(self, here: int, there: int | None, tip: Tip = tip_of) -> None:
        """Pull and rebase, from the hub where ``there`` is ``None``."""
        ours = self.machines[here]
        if there is None:
            self.machines[here] = pulled(ours, self.hub, None, tip)
            self.tracked[here] = self.hub
        else:
            published = self._published(here, there)
            self.machines[here] = pulled(ours, self.machines[there], published, tip)

    def swap(self, one: int, other: int, tip: Tip = tip_of) -> None:
        """Both pull at once, each what the other had before."""
        ours, theirs = self.machines[one], self.machines[other]
        published = self._published(one, other)
        self.machines[one] = pulled(ours, theirs, published, tip)
        self.machines[other] = pulled(theirs, ours, published, tip)

    def _published(self, one: int, other: int) -> set[str]:
        return {tip_of(self.tracked[one]), tip_of(self.tracked[other])} - {""}

    def settle(self, tip: Tip = tip_of) -> None:
        """Nobody appends any more, and everybody exchanges with the hub, twice."""
        for _ in range(2):
            for here in range(len(self.machines)):
                self.pull(here, None, tip)
                self.push(here)
