"""FAILING: ``git gc --prune=now`` beside a writer takes loose commits that a flush just wrote.

A flush of up to 8 objects writes them loose, moves the refs, and writes again what was pruned
until then. But ``git prune`` looks at the refs first and deletes afterwards, also what became
reachable in between; so the second writing can come before the deletion. A pack whose ``.keep``
goes after the refs moved is safe: ``repack`` lists the packs before it looks at the refs. Run it
with ``pytest tests/backends/git/FAILING_prune_now.py``; nearly every run fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from tests.backends.git.test_witnesses import HOUSEKEEPING
from tests.backends.git.witness import assert_sound, filled, git
from tests.backends.processes import lines

Begin = Callable[..., Popen[str]]


def test_pruning_beside_writers(place: Path, begin: Begin) -> None:
    """The same while processes append: nothing acknowledged is pruned away."""
    store = place / "events.git"
    filled(store, 5)
    writers = [
        begin("write", str(store), how, 5, 12, most)
        for how, most in (("single", 250), ("batch", 6), ("append", 80))
    ]
    for _ in range(6):
        for command in HOUSEKEEPING:
            # Two of git's own commands may be in each other's way, or meet a ref being moved.
            git(store, *command, check=False)
    acks = [ack for writer in writers for said in lines(writer)[1:] for ack in said]  # type: ignore[attr-defined]
    assert len(assert_sound(store, acks)) == len(acks) + 5
