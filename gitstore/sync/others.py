"""The store that ours is compared with: where its streams end, and how its commits are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from gitstore.backends.git.layout import FORMAT, STREAMS, StoreLayout, tracked
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import Refs
from gitstore.backends.git.store import GitEventStore
from gitstore.core.errors import StoreNotFound, UnsupportedFormat
from gitstore.core.findings import Progress
from gitstore.sync.fetching import fetched, last_fetch, refresh
from gitstore.sync.remotes import urls
from gitstore.sync.sources import Source, find_source
from gitstore.sync.theirs import Theirs, check_format, look
from gitstore.sync.transport import Transport

Basis = Literal["objects", "fetch", "last fetch", "never fetched", "tips"]
"""What is known of the other; see ``Comparison``."""


@dataclass(frozen=True, slots=True)
class Other:
    """The other store, open.

    ``tips``: ref name (``refs/streams/…``) → commit; ``odd``: what lies there and is no ref.
    ``holds``: whether a tip's history can be read here; then it is read from ``objects``.
    """

    shown: str
    basis: Basis
    tips: dict[str, str]
    objects: Objects
    holds: Callable[[str], bool] = lambda _tip: True
    odd: dict[str, str] = field(default_factory=dict)
    fetched: datetime | None = None


@contextmanager
def open_other(
    store: GitEventStore,
    named: str,
    *,
    fetch_first: bool = False,
    timeout: float | None = None,
    progress: Progress | None = None,
    folder: Path = Path(),
) -> Iterator[Other]:
    """The store that ``named`` means, for the block; see ``compare``.

    A relative path starts in ``folder``.
    """
    root = store.examine(lambda parts: parts.layout.root)
    source = find_source(root, named, folder)
    transport = Transport(root, source.address, timeout=timeout, progress=progress)
    if source.remote is not None:
        yield _remote(store, source, transport, fetch_first=fetch_first)
    elif Path(source.address).is_dir():
        with _on_this_machine(source) as other:
            yield other
    elif fetch_first:
        with fetched(store.exchange, transport, source) as (theirs, objects):
            yield Other(source.shown, "fetch", theirs.streams, objects, objects.holds)
    else:
        yield store.examine(lambda parts: _looked_at(parts.objects, source, transport, "tips"))


def _remote(
    store: GitEventStore, source: Source, transport: Transport, *, fetch_first: bool
) -> Other:
    assert source.remote is not None
    name, url = source.remote, store.examine(lambda parts: urls(parts.layout.root))[source.remote]
    if fetch_first:
        refresh(store.exchange, transport, source)
    known = store.examine(lambda parts: open_tracked(parts, name, url))
    if known is None:
        return store.examine(
            lambda parts: _looked_at(parts.objects, source, transport, "never fetched")
        )
    return replace(known, basis="fetch") if fetch_first else known


def open_tracked(parts: Parts, remote: str, url: str) -> Other | None:
    """A remote as of the last fetch; ``None`` for one that was never fetched, as far as is known.

    What a push has learnt of a remote is not all of it.
    """
    prefix = tracked(remote, STREAMS)
    odd: dict[str, str] = {}
    tips = parts.refs.under(prefix, odd)
    is_tracked = tips or odd or parts.refs.read(tracked(remote, FORMAT))
    fetched = last_fetch(parts.layout, remote, url if is_tracked else "")
    if fetched is None:
        return None
    return Other(
        remote,
        "last fetch",
        {STREAMS + name.removeprefix(prefix): tip for name, tip in tips.items()},
        parts.objects,
        odd={STREAMS + name.removeprefix(prefix): why for name, why in odd.items()},
        fetched=fetched,
    )


def _looked_at(objects: Objects, source: Source, transport: Transport, basis: Basis) -> Other:
    """Its refs alone, and what is here of their commits."""
    theirs = look(transport)
    tip = theirs.refs.get(FORMAT)
    if tip is None or objects.holds(tip):
        check_format(source.shown, theirs, objects.read)
    elif not theirs.streams:
        raise UnsupportedFormat(
            f"{source.shown} has no streams, and its {FORMAT} is not known here",
            hint="Compare with --fetch, which looks whether it is an event store at all.",
        )
    return Other(source.shown, basis, theirs.streams, objects, objects.holds)


@contextmanager
def _on_this_machine(source: Source) -> Iterator[Other]:
    """Another repository, read where it lies; neither its ``gitstore/`` nor git is needed."""
    layout = StoreLayout(_repository(Path(source.address), source.shown))
    objects, refs = Objects(layout), Refs(layout)
    odd: dict[str, str] = {}
    try:
        tips = refs.under(STREAMS, odd)
        _check_is_store(source.shown, refs, tips, objects)
        yield Other(source.shown, "objects", tips, objects, odd=odd)
    finally:
        objects.close()


def _check_is_store(shown: str, refs: Refs, tips: dict[str, str], objects: Objects) -> None:
    at = refs.read(FORMAT)
    others = 0 if at or tips else len(refs.under("refs/heads/")) + len(refs.under("refs/tags/"))
    known = {FORMAT: at} if at else {}
    check_format(shown, Theirs({**tips, **known}, others), objects.read)


def _repository(path: Path, shown: str) -> Path:
    """The git directory at ``path``: itself, or the one of a work tree."""
    for root in (path, path / ".git"):
        if (root / "HEAD").is_file() and (root / "objects").is_dir():
            if (root / "reftable").is_dir():
                raise UnsupportedFormat(
                    f"{shown} keeps its refs in tables, which cannot be read in place",
                    hint=f"Let git read them: compare with file://{root}",
                )
            return root
    raise StoreNotFound(
        shown, why="there is no git repository", hint="Give the path of a store or a repository."
    )
