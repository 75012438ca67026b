"""The other end's refs: what a look at them says, before anything is fetched or sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gitstore.backends.git.layout import FEED, FEEDS, FORMAT, STREAMS, TYPES
from gitstore.backends.git.repository import check_format_commit, format_objects
from gitstore.core.errors import UnsupportedFormat
from gitstore.sync.transport import Transport

_HINT = "Name a store of events, or an empty repository (`git init --bare PATH`)."
_WORK = ("refs/heads/", "refs/tags/")


@dataclass(frozen=True, slots=True)
class Theirs:
    """The other end's refs, name → id: those of an event store, and how many others there are.

    ``others`` counts branches and tags only: people's work, which is none of ours. ``lost``: refs
    whose objects the other end does not give, and why. ``known``: what was tracked of a remote when
    it was looked at. ``is_store``: it is the store of another machine, which has a feed of its own,
    and not a repository that only moves by pushes.
    """

    refs: dict[str, str]
    others: int
    lost: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    is_store: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a store nor anybody's work."""
        return not self.refs and not self.others

    def without(self, lost: Mapping[str, str]) -> Theirs:
        """The same, but that these commits cannot be had, and why."""
        refused = {name: lost[tip] for name, tip in self.refs.items() if tip in lost}
        return replace(self, lost={**self.lost, **refused})

    @property
    def streams(self) -> dict[str, str]:
        """The refs of streams whose objects can be had, also of such names as no stream has."""
        return {
            name: tip
            for name, tip in self.refs.items()
            if name.startswith(STREAMS) and name not in self.lost
        }


def look(transport: Transport) -> Theirs:
    """Ask the other end for its refs. ``RemoteFailed`` where it cannot be reached."""
    return sort_out(transport.refs())


def sort_out(refs: dict[str, str]) -> Theirs:
    """The refs of an event store among ``refs``; names that are no text are made some."""
    ours = {
        name.encode(errors="surrogateescape").decode(errors="backslashreplace"): tip
        for name, tip in refs.items()
        if name.startswith((STREAMS, FEEDS)) or name in {FORMAT, TYPES}
    }
    others = sum(name.startswith(_WORK) for name in refs.keys() - ours.keys())
    return Theirs(ours, others, is_store=FEED in refs)


def check_format(where: str, theirs: Theirs, read: Callable[[str], bytes]) -> None:
    """Raise ``UnsupportedFormat`` unless it is an event store of this format, or empty.

    ``read`` gives the content of the commit on its format's ref; only asked for one that is not
    the one of this release.
    """
    tip = theirs.refs.get(FORMAT)
    if tip is not None:
        if tip != format_objects()[-1].id:
            check_format_commit(where, read(tip), hint=_HINT)
    elif theirs.others and not theirs.streams:
        raise UnsupportedFormat(
            f"{where} is a git repository, but no event store: it has no {FORMAT}",
            hint=_HINT,
        )
