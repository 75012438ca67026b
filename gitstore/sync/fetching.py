"""Fetching: their objects brought here, and noted where a remote's refs are; nothing is adopted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
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
from gitstore.sync.theirs import PATTERNS, Theirs, check_format, look
from gitstore.sync.transport import RemoteFailed, Transport


@contextmanager
def fetched(
    exchange: Exchange, transport: Transport, source: Source
) -> Iterator[tuple[Theirs, Objects]]:
    """Their refs, and their objects beside ours for the block; kept nowhere."""
    with _incoming(exchange, transport, source) as (theirs, incoming):
        yield theirs, incoming.objects


def refresh(exchange: Exchange, transport: Transport, source: Source) -> None:
    """Bring what is tracked of a remote up to its refs, with their objects."""
    assert source.remote is not None
    with _incoming(exchange, transport, source) as (theirs, incoming):
        there = {n: tip for n, tip in theirs.refs.items() if incoming.objects.holds(tip)}
        incoming.keep()
        exchange.track(_moves(exchange, source.remote, theirs.refs, there))
        note_fetch(exchange.layout, source.remote)


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
def _incoming(
    exchange: Exchange, transport: Transport, source: Source
) -> Iterator[tuple[Theirs, Incoming]]:
    theirs = look(transport)
    with exchange.incoming() as incoming:
        tip = theirs.refs.get(FORMAT)
        if tip not in {None, format_objects()[-1].id} and not incoming.objects.holds(tip or ""):
            transport.fetch([FORMAT], incoming.path)
        check_format(source.shown, theirs, incoming.objects.read)
        _fetch_missing(exchange, transport, source, theirs, incoming)
        yield theirs, incoming


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
    try:
        transport.fetch(sorted(wanted), incoming.path)
    except RemoteFailed as error:
        if not error.lacks_ref:
            raise
        transport.fetch(PATTERNS, incoming.path)  # it has moved meanwhile


def _moves(
    exchange: Exchange, remote: str, refs: Mapping[str, str], there: Mapping[str, str]
) -> dict[str, str | None]:
    """Where the remote's tracked refs go; those that are not there any more are dropped.

    What moved while it was fetched (in ``refs`` only) stays as it was.
    """
    moves: dict[str, str | None] = {tracked(remote, name): tip for name, tip in there.items()}
    stay = {tracked(remote, name) for name in refs.keys() - there.keys()}
    for name in exchange.parts.refs.under(f"{REMOTES}{remote}/"):
        if name not in moves and name not in stay:
            moves[name] = None
    return moves
