"""Where stores that break a clause are gathered, with the test of the suite that must notice."""

from __future__ import annotations

from collections.abc import Callable

from gitstore.backends.memory import MemoryEventStore

Broken = type[MemoryEventStore]
MUTANTS: dict[str, tuple[Broken, str]] = {}
"""By the mutant's name: the store, and the test of the suite that must fail for it."""


def caught_by(test: str) -> Callable[[Broken], Broken]:
    """Say which test of the suite must fail."""

    def register(broken: Broken) -> Broken:
        MUTANTS[broken.__name__] = broken, test
        return broken

    return register
