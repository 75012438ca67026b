"""Which remote is meant where none is named."""

from __future__ import annotations

from pathlib import Path

from gitstore_cli.failures import Usage


def only_remote(root: Path) -> str:
    """The store's only remote, or ``origin`` of several; a usage error where neither is there."""
    from gitstore.sync import remotes

    known = sorted(remotes.urls(root))
    if not known:
        raise Usage("the store has no remote", hint="Add one: sc-events remote add NAME URL")
    if len(known) > 1 and "origin" not in known:
        raise Usage(
            "the store has several remotes, and none is called origin",
            hint=f"Name one of: {', '.join(known)}.",
        )
    return known[0] if len(known) == 1 else "origin"
