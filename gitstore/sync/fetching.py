"""Fetching: their objects brought here, and noted where a remote's refs are; nothing is adopted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gitstore.backends.disk.files import make_directory
from gitstore.backends.git.exchanging import Exchange
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.layout import FORMAT, REMOTES, StoreLayout, tracked
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.repository import format_objects
from gitstore.core.names import encode_name
from gitstore.sync.sources import Source
from gitstore.sync.theirs import Theirs, check_format, look
from gitstore.sync.transport import Transport


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

    Raises ``UnsupportedFormat`` where they are no event store of this format; then nothing else
    was fetched.
    """
    theirs = look(transport)
    with exchange.incoming() as incoming:
        check_theirs(transport, source.shown, theirs, incoming)
        _fetch_missing(exchange, transport, source, theirs, incoming)
        yield theirs, incoming


def check_theirs(transport: Transport, shown: str, theirs: Theirs, incoming: Incoming) -> None:
    """Raise ``UnsupportedFormat`` unless it is an event store of this format, or empty.

    A format commit that is not known here, because another release words it anew, is fetched.
    """
    tip = theirs.refs.get(FORMAT)
    if tip not in {None, format_objects()[-1].id} and not incoming.objects.holds(tip or ""):
        transport.fetch([tip or ""], incoming.path)
    check_format(shown, theirs, incoming.objects.read)


def track(exchange: Exchange, remote: str, theirs: Theirs, incoming: Incoming) -> None:
    """Keep what was fetched, and note where the remote's refs stand; those gone are dropped.

    What moved while it was fetched stays noted as it was.
    """
    incoming.keep()
    known = exchange.parts.refs.under(f"{REMOTES}{remote}/")
    moves: dict[str, str | None] = dict.fromkeys(known)
    for name, tip in theirs.refs.items():
        place = tracked(remote, name)
        if known.get(place) == tip or not exchange.parts.objects.lists(tip):
            moves.pop(place, None)
        else:
            moves[place] = tip
    exchange.track(moves)
    note_fetch(exchange.layout, remote)


def _fetch_missing(
    exchange: Exchange, transport: Transport, source: Source, theirs: Theirs, incoming: Incoming
) -> None:
    """Bring in the objects of refs that are neither ours nor known from an earlier fetch."""
    known = exchange.parts.refs.under("refs/")
    wanted = {
        tip
        for name, tip in theirs.refs.items()
        if known.get(name) != tip
        and (source.remote is None or known.get(tracked(source.remote, name)) != tip)
    }
    transport.fetch(sorted(wanted), incoming.path)
