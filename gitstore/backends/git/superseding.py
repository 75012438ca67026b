"""Refs of what a rebase superseded: ``refs/superseded/<encoded stream>/<n>``, n from 1.

Each is a tip that its stream had, and with it every commit that no stream has any more. They are
this store's own, and nothing is ever taken away from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitstore.backends.git.layout import STREAMS, SUPERSEDED
from gitstore.backends.git.refs import Refs, RefUpdate
from gitstore.core.names import encode_name


def keep_tips(refs: Refs, tips: Mapping[str, str]) -> dict[str, str]:
    """Keep tips of streams, durable; gives the streams whose tip could not be kept, and why.

    ``tips``: stream to commit id. One that is kept already stays where it is.
    """
    kept: dict[str, dict[int, str]] = {}
    for name, tip in refs.under(SUPERSEDED).items():
        leaf, _, number = name.removeprefix(SUPERSEDED).rpartition("/")
        if number.isdecimal():
            kept.setdefault(leaf, {})[int(number)] = tip
    updates = {}
    for stream, tip in tips.items():
        leaf = encode_name(stream)
        held = kept.get(leaf, {})
        if tip not in held.values():
            place = f"{SUPERSEDED}{leaf}/{max(held, default=0) + 1}"
            updates[RefUpdate(place, tip, frozenset({None}))] = stream
    return {updates[failure.update]: failure.why for failure in refs.move([*updates])}


def is_superseded(refs: Refs, name: str, tip: str) -> bool:
    """Whether ``tip`` is one that the stream whose ref is ``name`` had before a rebase."""
    kept = refs.under(f"{SUPERSEDED}{name.removeprefix(STREAMS)}/")
    return tip in kept.values()
