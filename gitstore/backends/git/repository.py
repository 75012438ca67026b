"""The bare repository itself: how it is made, and how it is known to be an event store."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from gitstore.backends.disk.files import DIRECTORY_MODE, make_directory, sync_tree
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git import feed
from gitstore.backends.git.commits import COMMITTER, EMPTY_TREE, GitObject
from gitstore.backends.git.gitcommand import Git, init_bare
from gitstore.backends.git.layout import FEED, FORMAT, STREAMS, StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.refs import Refs, RefUpdate
from gitstore.backends.stamping import Clock
from gitstore.core.errors import StoreCorrupted, StoreNotFound, UnsupportedFormat
from gitstore.core.timestamps import to_microseconds

_LOG = logging.getLogger("gitstore.store")
FORMAT_VERSION = 1
_OTHER_PLACE = "Give the path of a store, or one that does not exist yet."
_STALE_SECONDS = 600
_SUBJECT = f"gitstore format {FORMAT_VERSION}"

CONFIG = """\
[core]
	useReplaceRefs = false
	logAllRefUpdates = false
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	hideRefs = refs/streams
	denyNonFastForwards = true
[pretty]
	event = format:%C(auto)%h %C(blue)%ad%C(reset) %s%n%w(0,8,8)%b
[log]
	date = iso-local
"""

_README = """\
# Events

This repository is an event store: every event is a commit, every stream of events is a ref under
`refs/streams/`. Plain git reads it:

    git log streams/task-AUTH-001          # what happened to one thing, newest first
    git log feed                           # what happened here, in the order it arrived
    git for-each-ref refs/streams          # every stream and its last event
    git notes --ref=types show notes/types:TaskCreated/2026-11-23    # one type's events of one day

A plain clone does not fetch the streams by itself. Either clone with `git clone --mirror`, or:

    git fetch origin '+refs/streams/*:refs/streams/*' 'refs/notes/*:refs/notes/*'

FORMAT.md beside this file says what each commit holds. Do not commit here by hand: events are
appended with `sc-events append`, which checks and numbers them.
"""


def create(layout: StoreLayout, clock: Clock) -> None:
    """Make an empty store; where another process is faster, its store is the one."""
    layout.root.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    _clear_stale(layout)
    aside = layout.root.with_name(f".{layout.root.name}.{secrets.token_hex(6)}.tmp")
    try:
        init_bare(aside)
        _fill(StoreLayout(aside), clock)
        sync_tree(aside)
        aside.rename(layout.root)
    except OSError:
        if not is_store(layout):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _clear_stale(layout: StoreLayout) -> None:
    """Remove what processes that were killed while making this store left beside it."""
    for aside in layout.root.parent.glob(f".{layout.root.name}.*.tmp"):
        if aside.stat().st_mtime < time.time() - _STALE_SECONDS:
            shutil.rmtree(aside, ignore_errors=True)


def is_store(layout: StoreLayout) -> bool:
    """Whether something that calls itself an event store is there, of whichever format."""
    return (layout.root / "HEAD").is_file() and (layout.root / "gitstore").is_dir()


def take_in(layout: StoreLayout) -> bool:
    """Give a clone what makes it a store on this machine; whether it had to be given anything.

    Its remote no longer mirrors: a fetch would move our streams, and a push delete the other's.
    """
    if layout.local.is_dir():
        return False
    with FileLock(layout.root / "HEAD").held():
        if not layout.local.is_dir():
            _LOG.warning("%s is a clone: it becomes a store, under an id of its own", layout.root)
            _settle(layout)
    return True


def _settle(layout: StoreLayout) -> None:
    if not Refs(layout).under(STREAMS):
        _LOG.warning("it has no streams: `git clone --mirror` brings them, a plain clone does not")
    git = Git(layout.root)
    for remote in git.run("remote").decode().split():
        git.run("config", "--unset-all", f"remote.{remote}.mirror", ends=(0, 5))
        fetched = f"+{STREAMS}*:refs/remotes/{remote}/streams/*"
        git.run("config", "--replace-all", f"remote.{remote}.fetch", fetched)
    for setting in _settings():
        git.run("config", "--replace-all", *setting)
    layout.root.chmod(DIRECTORY_MODE)
    for folder in (layout.stream_refs, layout.packs):
        folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    sync_tree(layout.root)
    make_directory(layout.local)  # last: it says that all the rest is done


def check_format(layout: StoreLayout, refs: Refs, objects: Objects) -> None:
    """Raise unless the repository is an event store of this format.

    ``StoreNotFound`` where there is none, ``UnsupportedFormat`` where it is of another format.
    """
    if not layout.root.exists():
        raise StoreNotFound(layout.root)
    if not (layout.root / "HEAD").is_file() or not layout.objects.is_dir():
        raise StoreNotFound(
            layout.root,
            why="there is something else",
            hint=_OTHER_PLACE,
        )
    at = refs.read(FORMAT)
    if at is None:
        raise UnsupportedFormat(
            f"{layout.root} is a git repository, but no event store: it has no {FORMAT}",
            hint=_OTHER_PLACE,
        )
    if at != format_objects()[-1].id:
        check_format_commit(layout.root, objects.read(at))


def check_format_commit(where: object, commit: bytes, *, hint: str = _OTHER_PLACE) -> None:
    """Raise ``UnsupportedFormat`` unless this commit on ``FORMAT`` says this format's number.

    A later release may word the pages anew; only the number counts. ``where``: whose commit it is.
    """
    subject = commit.partition(b"\n\n")[2].partition(b"\n")[0].decode(errors="replace")
    match = re.fullmatch(r"gitstore format (\d+)", subject)
    if match is None:
        raise UnsupportedFormat(
            f"{where} is a git repository, but no event store: {FORMAT} says {subject!r:.80}",
            hint=hint,
        )
    if int(match[1]) != FORMAT_VERSION:
        raise UnsupportedFormat(
            f"the store at {where} has format {match[1]}, this version knows {FORMAT_VERSION}"
        )


def store_id(objects: Objects, tip: str) -> str:
    """The random id of a store, which stands in the last commit of its feed that has one."""
    for commit in feed.read_back(objects, tip):
        if commit.store_id is not None:
            return commit.store_id
    raise StoreCorrupted("the feed names no store")


def begin_store(clock: Clock, after: str | None = None) -> GitObject:
    """The feed commit with which a store begins under a new id: the first, or one on a copy's."""
    return feed.encode_beginning(after, to_microseconds(clock()) // 1_000_000, str(uuid.uuid4()))


def format_objects() -> list[GitObject]:
    """The objects of ``refs/heads/main``, its commit last; the same in every store."""
    page = Path(__file__).with_name("FORMAT.md").read_bytes()
    blobs = [GitObject.of("blob", page), GitObject.of("blob", _README.encode())]
    entries = zip((b"FORMAT.md", b"README.md"), blobs, strict=True)
    tree = GitObject.of(
        "tree", b"".join(b"100644 %b\0%b" % (n, bytes.fromhex(b.id)) for n, b in entries)
    )
    commit = b"tree %b\nauthor %b 0 +0000\ncommitter %b 0 +0000\n\n%b\n" % (
        tree.id.encode(),
        COMMITTER,
        COMMITTER,
        _SUBJECT.encode(),
    )
    return [*blobs, tree, GitObject.of("commit", commit)]


def _settings() -> Iterator[tuple[str, str]]:
    """The names and values of ``CONFIG``."""
    section = ""
    for line in CONFIG.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        else:
            name, _, value = line.strip().partition(" = ")
            yield f"{section}.{name}", value


def _fill(layout: StoreLayout, clock: Clock) -> None:
    """What makes a bare repository an event store."""
    with (layout.root / "config").open("a") as config:
        config.write(CONFIG)
    layout.root.chmod(DIRECTORY_MODE)
    layout.local.mkdir(mode=DIRECTORY_MODE)
    layout.stream_refs.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    layout.packs.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    objects, refs = Objects(layout), Refs(layout)
    page, root = format_objects(), begin_store(clock)
    empty = GitObject.of("tree", b"")
    assert empty.id == EMPTY_TREE
    keep = objects.add([empty, root, *page])
    for name, item in ((FORMAT, page[-1]), (FEED, root)):
        failures = refs.move([RefUpdate(name, item.id, frozenset({None}))])
        assert not failures, failures
    keep.unlink()
    for folder, _, names in os.walk(layout.root):
        Path(folder).chmod(DIRECTORY_MODE)
        for name in names:
            path = Path(folder, name)
            path.chmod(path.stat().st_mode & 0o700)
