"""What people name when they say where from: a remote, a URL, a repository's path, a bundle."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gitstore.core.errors import StoreNotFound
from gitstore.core.names import encode_name
from gitstore.sync import remotes
from gitstore.sync.complaints import redacted

_IS_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/\s]+:").match
"""With a scheme, or ``host:path`` as ssh has it."""
_SHORT = "from/"
"""Before the short names of what is no remote: no remote's name has a slash."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from.

    ``address`` is for git, ``shown`` for people, ``short`` for the names of refs; ``remote`` is
    the name of the configured remote, ``None`` for anything else.
    """

    address: str
    shown: str
    short: str
    remote: str | None = None


def find_source(root: Path, named: str, folder: Path = Path()) -> Source:
    """The source that ``named`` means for the store at ``root``: a remote's name goes first.

    A relative path starts in ``folder``. ``StoreNotFound`` where it is nothing.
    """
    configured = remotes.urls(root)
    if named in configured:
        return Source(named, named, named, named)
    if os.path.lexists(folder / named):
        path = Path(folder, named).resolve()
        return Source(str(path), named, _SHORT + encode_name(path.stem))
    if _IS_URL(named):
        shown = redacted(named)
        return Source(named, shown, _SHORT + encode_name(Path(shown.rstrip("/")).stem or "url"))
    known = ", ".join(sorted(configured)) or "none"
    raise StoreNotFound(
        named,
        why="it is no remote, no file and no URL",
        hint=f"Remotes here: {known}. Add one with `sc-events remote add NAME URL`.",
    )
