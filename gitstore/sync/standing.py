"""How the store stands to each of its remotes, as of the last fetch; nobody is asked."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from gitstore.backends.git.store import GitEventStore
from gitstore.sync.comparing import compare_with
from gitstore.sync.complaints import redacted
from gitstore.sync.others import open_tracked
from gitstore.sync.remotes import urls

_SIDE = {
    "ahead": "ahead",
    "only-here": "ahead",
    "behind": "behind",
    "only-there": "behind",
    "diverged": "diverged",
}


class RemoteStanding(NamedTuple):
    """One remote.

    - ``url``: without what it keeps secret. ``fetched``: when, ``None`` where that is not known.
    - ``ahead``, ``behind``, ``diverged``: streams in which only we, only they, or both have events
      that the other lacks; ``None`` where the remote was never fetched.
    - ``odd``: tracked refs that are of no stream, with what is wrong with each.
    """

    name: str
    url: str
    fetched: datetime | None = None
    ahead: int | None = None
    behind: int | None = None
    diverged: int | None = None
    odd: dict[str, str] = {}  # noqa: RUF012 - of a tuple, and never changed


def remote_standings(store: GitEventStore) -> list[RemoteStanding]:
    """All remotes of the store, by name."""
    known = store.examine(lambda parts: urls(parts.layout.root))
    return [_standing(store, name, url) for name, url in known.items()]


def _standing(store: GitEventStore, name: str, url: str) -> RemoteStanding:
    other = store.examine(lambda parts: open_tracked(parts, name, url))
    if other is None:
        return RemoteStanding(name, redacted(url))
    found = compare_with(store, other)
    counts = Counter(_SIDE.get(one.state) for one in found.streams)
    return RemoteStanding(
        name,
        redacted(url),
        found.fetched,
        counts["ahead"],
        counts["behind"],
        counts["diverged"],
        found.odd,
    )
