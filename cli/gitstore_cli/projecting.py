"""Which projections are meant, of those that the store has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gitstore_cli.env import Env
from gitstore_cli.failures import Usage
from gitstore_cli.finding import find_place
from gitstore_cli.stores import existing

if TYPE_CHECKING:
    from gitstore.projections import Factory


def wanted_projections(env: Env, names: Iterable[str]) -> Mapping[str, Factory]:
    """Those of the store that are named, all where none is.

    Names may be written in any case, with or without hyphens: ``task-board`` is ``TaskBoard``.
    """
    from gitstore.projections.configured import projections_of

    given = list(names)
    known = projections_of(None)
    if not given or any(_named(known, name) is None for name in given):
        place = find_place(env)
        is_there = place.is_git and not place.is_missing
        if is_there:
            existing(env, place).close()  # says what is wrong where it is no store; git would not
        known = projections_of(place.address.path if is_there else None)
    found: dict[str, Factory] = {}
    for text in given:
        name = _named(known, text)
        if name is None:
            raise Usage(f"there is no projection {text!r}", hint=f"There are {', '.join(known)}.")
        found[name] = known[name]
    return found or known


def _named(known: Iterable[str], text: str) -> str | None:
    from gitstore.projections.configured import form_of

    return next((name for name in known if form_of(name) == form_of(text)), None)
