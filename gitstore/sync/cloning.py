"""Clone: a new machine's store from a remote, with everything checked, numbered and indexed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gitstore.backends.disk.files import DIRECTORY_MODE, sync_directory
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.refs import Refs
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.stamping import Stamper
from gitstore.core.errors import StoreUnavailable
from gitstore.core.findings import Progress
from gitstore.sync import remotes
from gitstore.sync.complaints import redacted
from gitstore.sync.fetching import check_theirs, fetch_parts
from gitstore.sync.pulling import PullReport, take_in
from gitstore.sync.sources import Source
from gitstore.sync.theirs import Theirs, look, sort_out
from gitstore.sync.transport import RemoteFailed, Transport

_ASIDE = ".clone"
ORIGIN = "origin"
"""The name of a clone's remote."""


def clone(
    url: str,
    path: str | Path,
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
    stamper: Stamper | None = None,
) -> PullReport:
    """Make a store at ``path`` with what the remote at ``url`` has; the remote is its ``origin``.

    Made beside ``path`` and put there when it is whole: a clone that is killed, or that fails,
    leaves nothing. Each commit is checked as by ``pull``; what is left out is in the report.
    ``StoreUnavailable`` where something is at ``path``; else raises what ``pull`` does.
    """
    path = Path(path).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreUnavailable(
            f"there is something at {path} already",
            hint="Clone to another path; or, in a store, `sc-events remote add` and `pull`.",
        )
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    _clear_leftovers(path)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_ASIDE}")
    with _alive(aside), closing(GitEventStore.open(aside, stamper=stamper)) as store:
        remotes.add(aside, ORIGIN, url)
        address = remotes.urls(aside)[ORIGIN]
        transport = Transport(aside, address, timeout=timeout, progress=progress)
        report = _fill(store, transport, redacted(url), progress)
        store.index_types()
        store.close()
        aside.replace(path)
        sync_directory(path.parent)
    return report


@contextmanager
def _alive(aside: Path) -> Iterator[None]:
    """Say that somebody is at it, by a lock that dies with its process; take away what is left."""
    lock = FileLock(_lock_of(aside))
    lock.acquire()
    try:
        yield
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        _lock_of(aside).unlink(missing_ok=True)
        lock.release()
        lock.close()


def _clear_leftovers(path: Path) -> None:
    """Remove what clones to this place left that were killed."""
    for found in path.parent.glob(f".{path.name}.*{_ASIDE}.lock"):
        with closing(FileLock(found)) as lock:
            if lock.try_acquire():
                shutil.rmtree(found.with_suffix(""), ignore_errors=True)
                found.unlink(missing_ok=True)
                lock.release()


def _lock_of(aside: Path) -> Path:
    return aside.with_name(f"{aside.name}.lock")


def _fill(
    store: GitEventStore, transport: Transport, shown: str, progress: Progress | None
) -> PullReport:
    exchange = store.exchange
    source = Source(transport.name, shown, ORIGIN, ORIGIN)
    theirs = look(transport)
    with exchange.incoming() as incoming:
        check_theirs(transport, shown, theirs, incoming)
        if theirs.refs:
            theirs = _copy(transport, theirs, incoming.path)
        return take_in(exchange, source, theirs, incoming, progress, is_new=True)


def _copy(transport: Transport, theirs: Theirs, into: Path) -> Theirs:
    """Let git make a mirror, which is faster than a fetch, and take its objects and its refs."""
    mirror = into / "mirror.git"
    try:
        transport.clone(mirror)
    except RemoteFailed as error:
        if not error.is_partial:
            raise
        return theirs.without(fetch_parts(transport, sorted({*theirs.refs.values()}), into))
    layout = StoreLayout(mirror)
    borrowed = layout.objects / "info" / "alternates"
    if borrowed.exists():  # the source borrows objects, and so would the copy
        Git(mirror).run("repack", "-a", "-d", "-q")
    for file in layout.packs.iterdir():
        file.rename(into / "pack" / file.name)
    for folder in layout.objects.glob("[0-9a-f][0-9a-f]"):
        folder.rename(into / folder.name)
    theirs = sort_out(Refs(layout).under("refs/"))
    shutil.rmtree(mirror)
    return theirs
