"""Pull: taking in what others recorded, from a remote, another repository or a bundle.

Four steps: look at the source's refs; fetch what is not here into a directory of its own; adopt
what passes the checks; note where the remote's refs stand. Only adopting moves streams of ours, and
only forward. Each step may be repeated after a crash, and no lock is held while others are waited
for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gitstore.backends.git.exchanging import Adoption, Exchange
from gitstore.backends.git.findings import Progress
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.store import GitEventStore
from gitstore.core.errors import FlushFailed
from gitstore.sync.fetching import brought_in, track
from gitstore.sync.sources import Source, find_source
from gitstore.sync.theirs import Theirs
from gitstore.sync.transport import Transport


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull brought. ``source``: the remote's name, or the URL or file as it was given.

    - ``adoption``: the events that are here now, the streams that diverged, the refs refused.
    - ``untracked``: refs under ``refs/remotes/`` that could not be moved to where the remote's
      stand, and why; the next pull tries again.
    - ``is_empty``: there was nothing at all at the other end.
    """

    source: str
    adoption: Adoption
    untracked: Mapping[str, str] = field(default_factory=dict)
    is_empty: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing was left out because histories disagree or failed a check."""
        return not self.adoption.diverged and not self.adoption.refused


def pull(
    store: GitEventStore,
    source: str,
    *,
    folder: Path = Path(),
    timeout: float | None = None,
    progress: Progress | None = None,
) -> PullReport:
    """Take in the streams of ``source``: a remote's name, a URL, a repository's path, a bundle.

    A relative path starts in ``folder``.

    Only streams that continue ours are adopted, each as a fast-forward, each commit checked;
    diverged streams and refused refs are in the report, and stay as they are. ``timeout``: seconds
    of silence after which the other end is given up. Raises ``RemoteFailed`` where it cannot be
    reached, ``UnsupportedFormat`` where it is no event store, or one of another format.
    """
    exchange = store.exchange
    found = find_source(exchange.layout.root, source, folder)
    transport = Transport(exchange.layout.root, found.address, timeout=timeout, progress=progress)
    with suppress(FlushFailed):  # a stream that is stuck here stays as it is; all others go on
        store.flush()
    with brought_in(exchange, transport, found) as (theirs, incoming):
        return take_in(exchange, found, theirs, incoming, progress)


def take_in(
    exchange: Exchange,
    source: Source,
    theirs: Theirs,
    incoming: Incoming,
    progress: Progress | None,
    *,
    is_new: bool = False,
) -> PullReport:
    """Adopt what has come in and passes the checks, and note where a remote's refs stand.

    ``is_new``: the store is being made; see ``Exchange.adopt``.
    """
    streams = theirs.streams
    adoption = exchange.adopt(streams, source.short, incoming, progress, is_new=is_new)
    untracked: dict[str, str] = {}
    if source.remote is not None:
        sound = streams.keys() - adoption.refused.keys()
        untracked = track(exchange, source.remote, theirs, incoming, sound)
    adoption.refused.update({n: why for n, why in theirs.lost.items() if n.startswith(STREAMS)})
    return PullReport(source.shown, adoption, untracked, theirs.is_empty)
