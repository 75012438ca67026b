"""Fetched objects, kept apart from the store's until they are wanted: git's own quarantine.

Git fetches into an object directory of its own, with the store's as its alternate. A fetch that is
broken off leaves nothing among the store's objects; who holds the directory's lock is alive.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gitstore.backends.disk.files import DIRECTORY_MODE, make_directory, sync_file
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.packfiles import bring_in, finish_bringing_in, packs_in
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.repacking import loose_objects

_LOG = logging.getLogger("gitstore.incoming")
_MARK = b"gitstore incoming "
_LOCK = "lock"


class Incoming:
    """One fetch's objects. A context manager; the directory goes at its end.

    ``path``: the object directory, for git to write into. ``objects`` reads what is there, and
    what is in the store. ``folder``: for other files that go at the end.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._layout = StoreLayout(parts.layout.incoming / secrets.token_hex(8))
        self._lock = FileLock(self._layout.root / _LOCK)
        self._keeps: list[Path] = []
        self._kept = 0
        self.folder = self._layout.root
        self.path = self._layout.objects
        self.objects = Objects(self._layout)

    def __enter__(self) -> Self:
        make_directory(self._parts.layout.incoming)
        # Under a lock: a directory whose own lock is not held yet looks like a dead one's.
        with self._parts.flush_lock.held():
            clear_leftovers(self._parts.layout)
            self._layout.root.mkdir(mode=DIRECTORY_MODE)
            self._lock.acquire()
        for folder in (self.path, self._layout.packs, self.path / "info"):
            folder.mkdir(mode=DIRECTORY_MODE)
        store = os.fsencode(self._parts.layout.objects.resolve())
        (self.path / "info" / "alternates").write_bytes(store + b"\n")
        return self

    def __exit__(self, *_: object) -> None:
        for keep in self._keeps:
            keep.unlink(missing_ok=True)
        self.objects.close()
        with self._parts.flush_lock.held():  # nobody looks for the lock while it goes
            shutil.rmtree(self._layout.root, ignore_errors=True)
        self._lock.release()
        self._lock.close()

    def count(self) -> int:
        """How many objects were fetched in packs, those that are kept already included."""
        return self._kept + sum(pack.count for pack in packs_in(self._layout.packs))

    def keep(self) -> None:
        """Move the objects into the store, durable; may be called again after another fetch.

        A mark guards them from git until the end of the ``with`` block: by then refs must hold
        what is to stay.
        """
        self._pack_loose()
        self._kept = self.count()
        for pack in self._layout.packs.glob("pack-*"):
            _sync(pack)
        packs = self._parts.layout.packs
        self._keeps += bring_in(self._layout.packs, packs, _mark_of(self._layout))
        self.objects.close()  # which knows the packs by their old places

    def _pack_loose(self) -> None:
        """Git's older ways over HTTP bring single objects, which the store never has."""
        loose = list(loose_objects(self.path))
        if loose:
            names = "".join(f"{path.parent.name}{path.name}\n" for path in loose)
            pack = os.fspath(self._layout.packs / "pack")
            Git(self._parts.layout.root).run(
                "pack-objects",
                "--quiet",
                pack,
                stdin=names.encode(),
                environment={"GIT_OBJECT_DIRECTORY": os.fspath(self.path)},
            )
            for path in loose:
                path.unlink()


def has_leftovers(layout: StoreLayout) -> bool:
    """Whether a fetch is going on, or one was killed; one look."""
    try:
        with os.scandir(layout.incoming) as found:
            return any(True for _ in found)
    except FileNotFoundError:
        return False


def clear_leftovers(layout: StoreLayout) -> None:
    """Remove what killed processes left of their fetches; the flush lock is held."""
    for folder in list(layout.incoming.iterdir()) if layout.incoming.is_dir() else ():
        with _lock_of_the_dead(folder) as is_dead:
            if is_dead:
                _LOG.info("a fetch was cut short: %s is removed", folder)
                finish_bringing_in(StoreLayout(folder).packs, layout.packs)
                _clear_marks(layout.packs, StoreLayout(folder))
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock_of_the_dead(folder: Path) -> Iterator[bool]:
    lock = FileLock(folder / _LOCK)
    had = lock.try_acquire()
    try:
        yield had
    finally:
        if had:
            lock.release()
        lock.close()


def _clear_marks(packs: Path, dead: StoreLayout) -> None:
    mark = _mark_of(dead)
    for keep in packs.glob("pack-*.keep"):
        with contextlib.suppress(FileNotFoundError):
            content = keep.read_bytes()
            # Cut short, where the file system has no links: then the pack had not moved yet.
            is_torn = (
                mark.startswith(content)
                and (dead.packs / f"{keep.stem}.pack").exists()
                and not keep.with_suffix(".idx").exists()
            )
            if content == mark or is_torn:
                keep.unlink()


def _mark_of(layout: StoreLayout) -> bytes:
    return _MARK + layout.root.name.encode() + b"\n"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
