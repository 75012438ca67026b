"""The history of a stream that was rebased, as its refs alone tell it.

Each tip that a rebase superseded, in their order, and then the live one is the end of a chain that
forks from the one before. So their events can be listed once more as they came about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gitstore.backends.git.commits import EventCommit
from gitstore.backends.git.layout import SUPERSEDED
from gitstore.backends.git.objects import Objects
from gitstore.core.errors import EventStoreError


class Link(NamedTuple):
    """An event of a chain, and its commit."""

    commit: str
    event: EventCommit


class Step(NamedTuple):
    """An event as a history lists it.

    ``date``: seconds, never falling; ``joins``: it is of the rebase that the one before is of, and
    both have one date.
    """

    link: Link
    date: int
    joins: bool


class Unlikely(Exception):
    """Chains that no rebases can have left behind, or that are not here as a whole."""


def superseded_tips(refs: Mapping[str, str]) -> dict[str, list[str]]:
    """The tips kept for each stream, by its encoded name; ``refs``: those under ``SUPERSEDED``."""
    kept: dict[str, dict[int, str]] = {}
    for name, at in refs.items():
        leaf, _, number = name.removeprefix(SUPERSEDED).rpartition("/")
        if number.isdecimal():
            kept.setdefault(leaf, {})[int(number)] = at
    return {leaf: [tips[number] for number in sorted(tips)] for leaf, tips in kept.items()}


def chain_of(objects: Objects, tip: str) -> list[Link]:
    """The events of a chain, the first one first; ``Unlikely`` where one of them is lost."""
    links: list[Link] = []
    at: str | None = tip
    try:
        while at is not None:
            links.append(Link(at, objects.read_event(at)))
            at = links[-1].event.parent
    except EventStoreError as error:
        raise Unlikely(str(error)) from error
    return links[::-1]


def retrace(chains: Sequence[Sequence[Link]]) -> list[Step]:
    """What a stream went through, whose tips had these chains one after the other."""
    steps: list[Step] = []
    before: Sequence[Link] = ()
    for chain in chains:
        same = _common(before, chain)
        if same == len(chain) < len(before):
            continue  # a tip that was kept before a rebase that never came
        if len(chain) < len(before):
            raise Unlikely("a stream has become shorter")
        steps += _stretch(before[same:], chain[same:], steps[-1].date if steps else 0)
        before = chain
    return steps


def _common(one: Sequence[Link], other: Sequence[Link]) -> int:
    """How many links two chains have in common."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine.commit != theirs.commit:
            break
        count += 1
    return count


def _stretch(replaced: Sequence[Link], links: Sequence[Link], date: int) -> Iterator[Step]:
    """The steps of a rebase and what was appended after it; all that it replaced comes again."""
    left = {link.event.event_id for link in replaced}
    size = 0
    for link in links if left else ():
        size += 1
        left.discard(link.event.event_id)
        if not left:
            break
    if left:
        raise Unlikely("a rebase has lost an event")
    date = max((date, *(link.event.date for link in links[:size])))
    for number, link in enumerate(links):
        date = max(date, link.event.date)
        yield Step(link, date, 0 < number < size)
