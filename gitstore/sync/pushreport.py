"""What a push did, and what it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gitstore.backends.git.relating import Relation


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did, stream by stream; streams that were there as they are here are left out.

    - ``remote``: its name. ``machine``: the name under which our feed lies there; ``renamed``: what
      this machine was called before, where another one of that name had pushed there already.
    - ``pushed``: stream → its version there before (0: it was not there) and now.
    - ``behind``: streams whose newer events are there only; nothing of ours is missing there.
    - ``diverged``: streams that went on differently there; nothing of them was pushed.
    - ``only_there``: how many streams only the remote has.
    - ``foreign``: stream → why what stands under its name there is no history of it.
    - ``refused``: stream, or the full name of another ref, → why it did not take it.
    - ``said``: what it had to say about that itself, such as in a hook; its last lines.
    - ``waiting``: stream → why its last events are not in git here; nothing of it was pushed.
    - ``checkpoints``: the full names of those that were not there, or not up to where they are now.
    """

    remote: str
    machine: str
    renamed: str | None = None
    pushed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    behind: Mapping[str, Relation] = field(default_factory=dict)
    diverged: Mapping[str, Relation] = field(default_factory=dict)
    only_there: int = 0
    foreign: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    checkpoints: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        """How many events are there now that were not."""
        return sum(now - before for before, now in self.pushed.values())

    @property
    def agrees(self) -> bool:
        """Whether no history there contradicts ours; one that is only ahead does not."""
        return not (self.diverged or self.foreign)

    @property
    def is_complete(self) -> bool:
        """Whether the remote took all it was given, and it was given all there is."""
        return not (self.refused or self.waiting)


class Estimate(NamedTuple):
    """How long the other side will take for ``refs`` new ones: between so many seconds."""

    refs: int
    least: float
    most: float


# Measured: git 2.39 on the receiving side writes a file for each new ref, in a transaction of its
# own. That takes 0.15 to 0.4 ms on tmpfs and ext4, 0.6 ms where it syncs each (`core.fsync`), and
# 2 to 3.5 ms with an `update` or a `reference-transaction` hook, which are processes for each ref.
# Whether refs are there already, loose or packed, and `--atomic` make no difference.
_LEAST, _MOST = 0.000_3, 0.003_5
_MANY = 20_000


def estimate(new_refs: int) -> Estimate | None:
    """What to expect of a push of so many new refs; ``None`` where nobody would ask."""
    if new_refs <= _MANY:
        return None
    return Estimate(new_refs, new_refs * _LEAST, new_refs * _MOST)
