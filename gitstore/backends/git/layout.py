"""Where things lie in a store, and the names of its refs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

OBJECT_MODE = 0o400
"""Objects and packs are written once; git, too, makes them read only."""

STREAMS = "refs/streams/"
FEED = "refs/feed"
FEEDS = "refs/feeds/"
"""Below it a remote keeps the feed of each machine, under the machine's name."""
FORMAT = "refs/heads/main"
QUARANTINE = "refs/quarantine/"
SUPERSEDED = "refs/superseded/"
"""Below it lie the tips that streams had before a rebase: ``<encoded stream>/<n>``."""
TYPES = "refs/notes/types"
REMOTES = "refs/remotes/"
_HEADS = "refs/heads/"
_REFS = "refs/"


def tracked(remote: str, name: str = "") -> str:
    """Where our ref ``name`` is tracked for a remote; without a name what all of those begin with.

    ``refs/streams/x`` is ``refs/remotes/NAME/streams/x``, ``refs/heads/main`` is
    ``refs/remotes/NAME/main``.
    """
    return f"{REMOTES}{remote}/{name.removeprefix(_HEADS).removeprefix(_REFS)}"


@dataclass(frozen=True)
class StoreLayout:
    """The paths of the store whose bare repository is ``root``.

    ``elsewhere``: where its local state lies when that cannot be in the repository.
    """

    root: Path
    elsewhere: Path | None = None

    @cached_property
    def objects(self) -> Path:
        """Git's object database."""
        return self.root / "objects"

    @cached_property
    def packs(self) -> Path:
        """Git's packs."""
        return self.root / "objects" / "pack"

    @cached_property
    def packed_refs(self) -> Path:
        """Git's file of packed refs."""
        return self.root / "packed-refs"

    @cached_property
    def stream_refs(self) -> Path:
        """The directory of loose stream refs."""
        return self.root / "refs" / "streams"

    @cached_property
    def local(self) -> Path:
        """What belongs to this machine and is never pushed."""
        return self.elsewhere or self.root / "gitstore"

    @cached_property
    def journal(self) -> Path:
        """Events that are durable and not yet in git."""
        return self.local / "journal.db"

    @cached_property
    def index(self) -> Path:
        """The read model, derived from git."""
        return self.local / "index.db"

    @cached_property
    def write_lock(self) -> Path:
        """Held for every write to the journal."""
        return self.local / "write.lock"

    @cached_property
    def flush_lock(self) -> Path:
        """Held by whoever moves events into git."""
        return self.local / "flush.lock"

    @cached_property
    def maintain_lock(self) -> Path:
        """Held by whoever repacks."""
        return self.local / "maintain.lock"

    @cached_property
    def repacking(self) -> Path:
        """Where packs are made that will take the place of others; an object database of git."""
        return self.local / "repacking"

    @cached_property
    def incoming(self) -> Path:
        """Where what is fetched lies until it is looked through, a directory for each fetch."""
        return self.local / "incoming"

    @cached_property
    def maintain_failed(self) -> Path:
        """There since a maintenance that nobody asked for failed."""
        return self.local / "maintain.failed"

    @cached_property
    def pushes(self) -> Path:
        """Where the git directories lie from which refs are pushed, one each push."""
        return self.local / "push"

    @cached_property
    def commit_graphs(self) -> Path:
        """Git's cache of commits, in layers."""
        return self.objects / "info" / "commit-graphs"

    @cached_property
    def salvage(self) -> Path:
        """Where damaged files are kept."""
        return self.local / "salvage"
