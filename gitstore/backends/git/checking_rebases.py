"""The fast look at rebases: where streams end as the feed goes on, and what it had superseded.

The feed tells of a rebase by a version that its stream had reached before. From there on the stream
goes on at the fork, and all that it had from that version on is superseded: the index must have
these events among the superseded, and no others, each with the position at which it stands since
and with the tip of that time, which a ref must keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gitstore.backends.git.findings import doubt
from gitstore.backends.git.indexhistory import Rebase
from gitstore.backends.git.layout import SUPERSEDED
from gitstore.backends.git.parts import Parts
from gitstore.core.names import encode_name


class Head(NamedTuple):
    """A stream's last event so far: its version, commit (40 hex digits) and committer date."""

    version: int
    commit: str | None
    date: int


BEFORE_ALL = Head(0, None, 0)


class StreamEnds:
    """Where each stream ends, while its events are gone through by position."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.heads: dict[str, Head] = {}
        """By name."""
        self.superseded = 0
        """Events that rebases have superseded so far."""
        self._tips: dict[str, set[str]] = {}

    def before(self, name: str, number: int, position: int, version: int) -> Head:
        """What an event of a stream (``number``: the index's for it) stands on: its end, or a fork.

        ``Doubt`` where the index does not have what that rebase superseded as it should.
        """
        end = self.heads.get(name, BEFORE_ALL)
        if version > end.version or end.commit is None:
            return end
        rebase = Rebase(number, position, version, end.version, bytes.fromhex(end.commit))
        if not self._parts.index.is_as_superseded(rebase):
            message = f"it does not have what the rebase of {name} at position {position} replaced"
            raise doubt("index", message, stream=name, repairable=True)
        self.superseded += end.version - version + 1
        self._tips.setdefault(name, set()).add(end.commit)
        return self._fork(number, position, version - 1)

    def check_index(self) -> None:
        """The index has nothing else among the superseded."""
        held = self._parts.index.superseded_count()
        if held != self.superseded:
            message = f"it has {held} events superseded, the feed {self.superseded}"
            raise doubt("index", message, repairable=True)

    def check_refs(self, refs: Mapping[str, str]) -> None:
        """Every superseded tip is kept; ``refs``: those under ``refs/superseded/``."""
        kept = {(ref.rpartition("/")[0], at) for ref, at in refs.items()}
        for name, tips in self._tips.items():
            place = f"{SUPERSEDED}{encode_name(name)}"
            for tip in tips:
                if (place, tip) not in kept:
                    message = "no ref keeps a tip that a rebase superseded"
                    raise doubt(
                        "stream", message, ref=place, stream=name, commit=tip, repairable=True
                    )

    def _fork(self, number: int, position: int, version: int) -> Head:
        if version < 1:
            return BEFORE_ALL
        commit = self._parts.index.fork(number, version, position)
        if commit is None:
            raise LookupError(f"no event is a fork at position {position}")
        return Head(version, commit.hex(), self._parts.objects.read_event(commit.hex()).date)
