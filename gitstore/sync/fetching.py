"""Fetching: their objects brought here, and noted where a remote's refs are; nothing is adopted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gitstore.backends.disk.files import make_directory
from gitstore.backends.git.exchanging import Exchange
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.layout import FORMAT, REMOTES, StoreLayout, tracked
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.repository import format_objects
from gitstore.core.names import encode_name, is_encoded
from gitstore.sync.sources import Source
from gitstore.sync.theirs import Theirs, check_format, look
from gitstore.sync.transport import RemoteFailed, Transport

_MOST_LOST = 100


@contextmanager
def fetched(
    exchange: Exchange, transport: Transport, source: Source
) -> Iterator[tuple[Theirs, Objects]]:
    """Their refs, and their objects beside ours for the block; kept nowhere."""
    with brought_in(exchange, transport, source) as (theirs, incoming):
        yield theirs, incoming.objects


def refresh(exchange: Exchange, transport: Transport, source: Source) -> None:
    """Bring what is tracked of a remote up to its refs, with their objects."""
    assert source.remote is not None
    with brought_in(exchange, transport, source) as (theirs, incoming):
        track(exchange, source.remote, theirs, incoming)


def note_fetch(layout: StoreLayout, remote: str) -> None:
    """Note that the remote was fetched now."""
    mark = _mark(layout, remote)
    if not mark.parent.is_dir():
        make_directory(mark.parent)
    mark.touch(mode=0o600)


def last_fetch(layout: StoreLayout, remote: str, url: str = "") -> datetime | None:
    """When the remote was fetched last, by us or by plain git; ``None`` where that is not known.

    To the second. ``url``: the remote's.
    """
    times = []
    for path in (_mark(layout, remote), layout.root / "FETCH_HEAD"):
        with contextlib.suppress(FileNotFoundError):
            if path.name != "FETCH_HEAD" or _is_of(path, url):
                times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(int(max(times)), UTC) if times else None


def _is_of(fetch_head: Path, url: str) -> bool:
    """Whether git's last fetch was from this URL, which it shortens."""
    said = url.rstrip("/").removesuffix(".git")
    return bool(url) and f" of {said}" in fetch_head.read_text(errors="replace").partition("\n")[0]


def _mark(layout: StoreLayout, remote: str) -> Path:
    return layout.local / "fetched" / encode_name(remote)


@contextmanager
def brought_in(
    exchange: Exchange, transport: Transport, source: Source
) -> Iterator[tuple[Theirs, Incoming]]:
    """Look at their refs, and fetch what is not here into a directory of its own, for the block.

    Refs whose objects the other end cannot give are among ``Theirs.lost``.
    Raises ``UnsupportedFormat`` where they are no event store of this format; then nothing else
    was fetched.
    """
    remote = source.remote
    known = {} if remote is None else exchange.parts.refs.under(f"{REMOTES}{remote}/")
    theirs = replace(look(transport), known=known)
    with exchange.incoming() as incoming:
        check_theirs(transport, source.shown, theirs, incoming)
        lost = _fetch_missing(exchange, transport, source, theirs, incoming)
        yield theirs.without(lost), incoming


def check_theirs(transport: Transport, shown: str, theirs: Theirs, incoming: Incoming) -> None:
    """Raise ``UnsupportedFormat`` unless it is an event store of this format, or empty.

    A format commit that is not known here, because another release words it anew, is fetched.
    """
    tip = theirs.refs.get(FORMAT)
    if tip not in {None, format_objects()[-1].id} and not incoming.objects.holds(tip or ""):
        transport.fetch([tip or ""], incoming.path)
    check_format(shown, theirs, incoming.objects.read)


def track(
    exchange: Exchange,
    remote: str,
    theirs: Theirs,
    incoming: Incoming,
    sound: Collection[str] = (),
) -> dict[str, str]:
    """Keep what was fetched, and note where the remote's refs stand; those gone are dropped.

    ``sound``: refs whose histories are known to be here as a whole. Of the others, git is asked;
    what is not stays noted as it was. Gives the refs that could not be noted, and why.
    """
    incoming.keep()
    known = theirs.known
    stands = {
        tracked(remote, name): tip
        for name, tip in theirs.refs.items()
        if is_encoded(name.rpartition("/")[2]) and name.count("/") == 2
    }
    moved = {name: tip for name, tip in stands.items() if known.get(name) != tip}
    broken = _broken(exchange, moved, {tracked(remote, name) for name in sound}, known)
    moves: dict[str, str | None] = {n: tip for n, tip in moved.items() if tip not in broken}
    gone = known.keys() - stands.keys()
    failed = exchange.track({**moves, **dict.fromkeys(gone)}, known)
    note_fetch(exchange.layout, remote)
    return failed


def _broken(
    exchange: Exchange, moved: Mapping[str, str], sound: Collection[str], known: Mapping[str, str]
) -> set[str]:
    """The tips of tracked refs that are not here as a whole."""
    streams = {name: tip for name, tip in moved.items() if "/streams/" in name}
    others = {tip for name, tip in moved.items() if name not in streams}
    # Feeds and type indexes share nothing with streams; where they stood, they are whole.
    whole = {tip for name, tip in known.items() if "/streams/" not in name}
    broken = exchange.incomplete(others, whole)
    return broken | exchange.incomplete({t for n, t in streams.items() if n not in sound})


def _fetch_missing(
    exchange: Exchange, transport: Transport, source: Source, theirs: Theirs, incoming: Incoming
) -> dict[str, str]:
    """Bring in the objects of refs that are neither ours nor known from an earlier fetch.

    Gives what ``fetch_parts`` does.
    """
    known = exchange.parts.refs.under("refs/")
    wanted = {
        tip
        for name, tip in theirs.refs.items()
        if known.get(name) != tip
        and (source.remote is None or known.get(tracked(source.remote, name)) != tip)
    }
    return fetch_parts(transport, sorted(wanted), incoming.path)


def fetch_parts(transport: Transport, ids: Sequence[str], into: Path) -> dict[str, str]:
    """Fetch commits with all they reach; where git fails over some of them, all others.

    One object that is missing there, or a parent that is no commit, makes git fail a whole fetch;
    so it is tried again by halves. Gives the ids that cannot be had, and why. Raises
    ``RemoteFailed`` where the connection fails, or where over a hundred cannot be had.
    """
    lost: dict[str, str] = {}
    groups = [list(ids)]
    while groups:
        group = groups.pop()
        try:
            transport.fetch(group, into)
        except RemoteFailed as error:
            if not error.is_partial or len(lost) >= _MOST_LOST:
                raise
            if len(group) == 1:
                lost[group[0]] = error.cause
            else:
                groups += [group[len(group) // 2 :], group[: len(group) // 2]]
    return lost
