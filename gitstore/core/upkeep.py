"""What ``maintain`` says: what a store took on disk, and what it takes now."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Occupied:
    """What a store takes on disk.

    ``size``: bytes of the whole store, 0 where it is in memory; ``packs`` and ``loose``: git's
    packs and loose objects, ``None`` in a store that has no such thing.
    """

    size: int
    packs: int | None = None
    loose: int | None = None


@dataclass(frozen=True, slots=True)
class MaintainReport:
    """What maintenance found and left; ``seconds``: of each step, by its name, in order."""

    before: Occupied
    after: Occupied
    seconds: dict[str, float] = field(default_factory=dict)
