"""Pull: taking in what others recorded, from a remote, another repository or a bundle.

Four steps: look at the source's refs; fetch what is not here into a directory of its own; adopt
what passes the checks; note where the remote's refs stand. Only adopting moves streams of ours, and
only forward. Each step may be repeated after a crash, and no lock is held while others are waited
for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gitstore.backends.git.exchanging import Exchange
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.layout import REMOTES, STREAMS
from gitstore.backends.git.rebasing import RebaseRule
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.takingin import Adoption
from gitstore.core.errors import FlushFailed
from gitstore.core.findings import Progress
from gitstore.core.names import encode_name
from gitstore.sync.fetching import brought_in, track
from gitstore.sync.sources import Source, find_source
from gitstore.sync.theirs import Theirs, published
from gitstore.sync.transport import Transport


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull brought. ``source``: the remote's name, or the URL or file as it was given.

    - ``adoption``: the events that are here now, the streams that diverged, the refs refused.
    - ``untracked``: refs under ``refs/remotes/`` that could not be moved to where the remote's
      stand, and why; the next pull tries again.
    - ``is_empty``: there was nothing at all at the other end.
    - ``not_diverged``: streams that were named for a rebase, and had nothing to rebase.
    """

    source: str
    adoption: Adoption
    untracked: Mapping[str, str] = field(default_factory=dict)
    is_empty: bool = False
    not_diverged: tuple[str, ...] = ()

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
    rebase: bool = False,
    streams: str | Collection[str] | None = None,
    dry_run: bool = False,
) -> PullReport:
    """Take in the streams of ``source``: a remote's name, a URL, a repository's path, a bundle.

    A relative path starts in ``folder``.

    Streams that continue ours are adopted, each as a fast-forward, each commit checked; diverged
    streams and refused refs are in the report, and stay as they are. ``rebase``: a diverged stream
    becomes theirs followed by our events that theirs has not, each with its id, and the tip it had
    is kept under ``refs/superseded/``; ``streams``: only that of this name, or those of these.
    ``dry_run``: the report says what would come of it, and nothing is recorded.

    ``timeout``: seconds of silence after which the other end is given up. Raises ``RemoteFailed``
    where it cannot be reached, ``UnsupportedFormat`` where it is no event store, or one of another
    format; ``ValueError`` for ``streams`` without ``rebase``.
    """
    if streams is not None and not rebase:
        raise ValueError("streams= says which streams to rebase, and needs rebase=True")
    if isinstance(streams, str):
        streams = (streams,)
    exchange = store.exchange
    found = find_source(exchange.layout.root, source, folder)
    transport = Transport(exchange.layout.root, found.address, timeout=timeout, progress=progress)
    with suppress(FlushFailed):  # a stream that is stuck here stays as it is; all others go on
        store.flush()
    with brought_in(exchange, transport, found) as (theirs, incoming):
        rule = _rule(exchange, theirs, streams) if rebase else None
        if dry_run:
            return _foresee(exchange, found, theirs, incoming, progress, rule)
        return take_in(exchange, found, theirs, incoming, progress, rebase=rule)


def take_in(
    exchange: Exchange,
    source: Source,
    theirs: Theirs,
    incoming: Incoming,
    progress: Progress | None,
    *,
    is_new: bool = False,
    rebase: RebaseRule | None = None,
) -> PullReport:
    """Adopt what has come in and passes the checks, and note where a remote's refs stand.

    ``is_new``: the store is being made; see ``Exchange.adopt``, for ``rebase`` too.
    """
    streams = theirs.streams
    adoption = exchange.adopt(
        streams, source.short, incoming, progress, is_new=is_new, rebase=rebase
    )
    untracked: dict[str, str] = {}
    if source.remote is not None:
        sound = streams.keys() - adoption.refused.keys()
        untracked = track(exchange, source.remote, theirs, incoming, sound)
    return _report(source, theirs, adoption, untracked, rebase)


def _rule(exchange: Exchange, theirs: Theirs, streams: Collection[str] | None) -> RebaseRule:
    known = published(exchange.parts.refs.under(REMOTES)) if theirs.is_store else frozenset()
    return RebaseRule(streams, theirs.is_store, known | theirs.published)


def _foresee(
    exchange: Exchange,
    source: Source,
    theirs: Theirs,
    incoming: Incoming,
    progress: Progress | None,
    rebase: RebaseRule | None,
) -> PullReport:
    adoption = exchange.adopt(
        theirs.streams, source.short, incoming, progress, rebase=rebase, dry_run=True
    )
    return _report(source, theirs, adoption, {}, rebase)


def _report(
    source: Source,
    theirs: Theirs,
    adoption: Adoption,
    untracked: Mapping[str, str],
    rebase: RebaseRule | None,
) -> PullReport:
    adoption.refused.update({n: why for n, why in theirs.lost.items() if n.startswith(STREAMS)})
    named = set(rebase.streams or ()) if rebase else set()
    named -= adoption.rebased.keys() | adoption.diverged.keys()
    other = sorted(s for s in named if STREAMS + encode_name(s) not in adoption.refused)
    return PullReport(source.shown, adoption, untracked, theirs.is_empty, tuple(other))
