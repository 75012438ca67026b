"""Histories that travel: into a store, and from one store to another.

Between a store and its remote, after ``git init --bare hub.git``:

>>> from pathlib import Path
>>> from gitstore.backends.git.store import GitEventStore
>>> from gitstore.sync import compare, push, remotes
>>> with GitEventStore.open(Path("events.git")) as store:
...     change = remotes.add("events.git", "hub", "hub.git")
...     report = push(store, "hub")
...     print(report.agrees, compare(store, "hub").ok)
True True

``pull(store, "hub")`` takes in what others pushed there; ``clone("hub.git", "copy.git")`` makes
another store of it. ``RemoteFailed``, and ``RemoteSilent`` among it, say why a remote did not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitstore.sync.cloning import clone
    from gitstore.sync.comparing import compare
    from gitstore.sync.pulling import pull
    from gitstore.sync.pushing import push
    from gitstore.sync.transport import RemoteFailed, RemoteSilent

__all__ = ["RemoteFailed", "RemoteSilent", "clone", "compare", "pull", "push"]

_HOME = {
    "RemoteFailed": "transport",
    "RemoteSilent": "transport",
    "clone": "cloning",
    "compare": "comparing",
    "pull": "pulling",
    "push": "pushing",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: importing and exporting need no transport."""
    if name not in _HOME:
        raise AttributeError(f"module 'gitstore.sync' has no attribute {name!r}")
    value = getattr(import_module(f"gitstore.sync.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
