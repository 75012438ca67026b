"""Refs: only ever compared and swapped, by git's own protocol for its files backend.

Loose refs, one file each under a ``.lock``, for a few; one rewrite of ``packed-refs`` for many.
``git update-ref`` would do the first, but it starts a process, syncs no directory, and a killed
flusher leaves it running; a repeated transaction also fails for ever on refs that moved before the
crash. Here a ref that is where it should be is done, and one bad ref never holds back another.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.disk.files import DIRECTORY_MODE, sync_directory, sync_file
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.packedrefs import PackedRefs, packed_content
from gitstore.core.errors import StoreCorrupted, StoreUnavailable

_LOOSE_COST = 300
_PACKED_COST = 1_500
"""Microseconds to move a loose ref, and to rewrite ``packed-refs``: and one more a ref in it."""

_LOCK_TIMEOUT = 2.0
_STALE_SECONDS = 600
_OUR_MODE = 0o400
"""Of our locks, and so of the refs they become: tells them from git's, which are writable."""
_ID = re.compile(rb"[0-9a-f]{40}").fullmatch


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move ``name`` to ``new`` if it is at one of ``olds``; ``None`` is "not there".

    ``new=None`` deletes the ref.
    """

    name: str
    new: str | None
    olds: frozenset[str | None]


@dataclass(frozen=True, slots=True)
class RefFailure:
    """A ref that was not moved: ``found`` is where it is when it was elsewhere, else see why."""

    update: RefUpdate
    why: str
    found: str | None = None


class RefLocked(StoreUnavailable):
    """Another process holds git's lock on a ref."""

    hint = "If no git process is running on the store, remove the .lock file."


class Refs:
    """The refs of one store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._packed_key: tuple[int, ...] | None = None
        self._packed = PackedRefs()

    def read(self, name: str) -> str | None:
        """The id a ref stands at, ``None`` where it is not there."""
        if not _is_name(name):
            return None
        loose = self._read_loose(name)
        return loose if loose is not None else self._packed_refs().get(name)

    def under(self, prefix: str, odd: dict[str, str] | None = None) -> dict[str, str]:
        """All refs whose names begin with ``prefix`` (which ends with ``/``), sorted by name.

        What lies there and is no ref (a symbolic one, an empty or a foreign file) is left out, and
        added to ``odd`` with what is wrong.
        """
        loose: dict[str, str] = {}
        damaged: dict[str, str] = {}
        # Before `packed-refs`: what `git pack-refs` moves there meanwhile is seen twice, not never.
        for name in self._walk(self._layout.root / prefix, prefix):
            try:
                value = self._read_loose(name)
            except StoreCorrupted as error:
                damaged[name] = str(error)
            else:
                if value is not None:
                    loose[name] = value
        found = self._packed_refs().under(prefix)
        found.update(loose)
        for name in damaged:
            found.pop(name, None)
        if odd is not None:
            odd.update(damaged)
        return dict(sorted(found.items()))

    def drop_unreadable(self, name: str) -> None:
        """Take away a loose ref that holds no id, so that it can be made anew; else nothing."""
        path = self._layout.root / name
        with _LockFile(path):
            try:
                self._read_loose(name)
            except StoreCorrupted:
                path.unlink(missing_ok=True)

    def signature(self) -> tuple[int, ...]:
        """What changes when a stream ref is moved by anyone; two stats, 3 µs."""
        loose = self._layout.stream_refs.stat().st_mtime_ns
        return (loose, *_file_key(self._layout.packed_refs))

    def move(self, updates: Sequence[RefUpdate]) -> list[RefFailure]:
        """Move refs durably, each checked against its old values; gives those that did not move."""
        odd = [RefFailure(u, "git takes this for no name of a ref") for u in updates if _is_odd(u)]
        return odd + self._move([u for u in updates if not _is_odd(u)])

    def _move(self, updates: Sequence[RefUpdate]) -> list[RefFailure]:
        packed = _PACKED_COST + len(self._packed_refs())
        if len(updates) * _LOOSE_COST > packed:
            try:
                return self._move_packed(updates)
            except RefLocked as error:
                return [RefFailure(update, f"{error}") for update in updates]
        failures = [failure for update in updates if (failure := self._move_loose(update))]
        folders = {(self._layout.root / u.name).parent for u in updates}
        for folder in folders:
            if folder.is_dir():
                sync_directory(folder)
        return failures

    def clear_stale_locks(self) -> None:
        """Remove locks a crash left behind; call while holding the store's flush lock.

        Stale is what is ours, or older than ten minutes or than the machine's start.
        """
        refs = self._layout.root / "refs"
        for folder in (self._layout.root, *(Path(where) for where, _, _ in os.walk(refs))):
            for entry in os.scandir(folder):
                if entry.name.endswith(".lock") and entry.is_file(follow_symlinks=False):
                    _remove_if_stale(Path(entry.path))

    def _read_loose(self, name: str) -> str | None:
        try:
            content = (self._layout.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        value = content.rstrip(b"\n")
        if not _ID(value):
            raise StoreCorrupted(f"ref {name} holds no commit id: {content[:60]!r}")
        return value.decode()

    def _packed_refs(self) -> PackedRefs:
        """``packed-refs``, kept while it is unchanged."""
        key = _file_key(self._layout.packed_refs)
        if key == self._packed_key:
            return self._packed
        packed = PackedRefs(self._layout.packed_refs.read_bytes() if key[0] >= 0 else b"")
        # A rewrite between stat and read would go unseen: only what stands still is kept.
        self._packed_key = key if _file_key(self._layout.packed_refs) == key else None
        self._packed = packed
        return packed

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif not entry.name.endswith(".lock") and (entry.is_file() or entry.is_symlink()):
                yield prefix + entry.name

    def _move_loose(self, update: RefUpdate) -> RefFailure | None:
        path = self._layout.root / update.name
        try:
            path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            with _LockFile(path) as lock:
                found = self.read(update.name)
                if found == update.new:
                    return None
                if found not in update.olds:
                    return RefFailure(update, f"it is at {found or 'no commit'}", found)
                if update.new is None:
                    self._delete(update.name)
                else:
                    _drop_empty_directory(path)
                    lock.commit(update.new.encode() + b"\n")
        except (OSError, RefLocked, StoreCorrupted) as error:
            return RefFailure(update, f"{error}")
        return None

    def _delete(self, name: str) -> None:
        """Take a ref away; from ``packed-refs`` first, or the old value would shine through."""
        if self._packed_refs().get(name) is not None:
            with _LockFile(self._layout.packed_refs) as lock:
                kept = self._packed_refs().lines()
                kept.pop(os.fsencode(name), None)
                lock.commit(packed_content(kept))
        (self._layout.root / name).unlink(missing_ok=True)

    def _move_packed(self, updates: Sequence[RefUpdate]) -> list[RefFailure]:
        failures: list[RefFailure] = []
        with _LockFile(self._layout.packed_refs) as lock:
            lines = self._packed_refs().lines()
            loose = set(self._loose_among(updates))
            for update in updates:
                name = os.fsencode(update.name)
                found = self.read(update.name) if update.name in loose else _id_of(lines.get(name))
                if found != update.new and found not in update.olds:
                    failures.append(RefFailure(update, f"it is at {found or 'no commit'}", found))
                elif update.new is None:
                    lines.pop(name, None)
                else:
                    lines[name] = b"%b %b\n" % (update.new.encode(), name)
            lock.commit(packed_content(lines))
        failed = {failure.update.name for failure in failures}
        for update in updates:
            if update.name in loose and update.name not in failed:
                failure = self._drop_loose_twin(update)
                failures += [failure] if failure else []
        for folder in {(self._layout.root / name).parent for name in loose}:
            sync_directory(folder)
        return failures

    def _drop_loose_twin(self, update: RefUpdate) -> RefFailure | None:
        """Remove the loose file that hides the packed value, unless it has moved meanwhile."""
        path = self._layout.root / update.name
        try:
            with _LockFile(path):
                found = self._read_loose(update.name)
                if found not in update.olds and found != update.new:
                    return RefFailure(update, f"it is at {found or 'no commit'}", found)
                path.unlink(missing_ok=True)
        except (OSError, RefLocked, StoreCorrupted) as error:
            return RefFailure(update, f"{error}")
        return None

    def _loose_among(self, updates: Iterable[RefUpdate]) -> Iterator[str]:
        """Those of the refs that have a file; one listing a folder instead of a look for each."""
        present: dict[str, frozenset[str]] = {}
        for update in updates:
            folder, _, leaf = update.name.rpartition("/")
            if folder not in present:
                present[folder] = _names_in(self._layout.root / folder)
            if leaf in present[folder]:
                yield update.name


def _is_odd(update: RefUpdate) -> bool:
    return not _is_name(update.name)


def _is_name(name: str) -> bool:
    """Whether it is a ref's: not one that leads elsewhere, or on which git would stop."""
    return not any(
        not part or part[0] == "." or part.endswith((".", ".lock")) for part in name.split("/")
    )


class _LockFile:
    """Git's lock on ``path``: ``path.lock``, which becomes the file's next content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")
        self._descriptor = -1
        self._ours = False

    def __enter__(self) -> _LockFile:
        self._descriptor = _lock(self._lock)
        self._ours = True
        return self

    def commit(self, content: bytes) -> None:
        """Put ``content`` at ``path``, durable but for its directory entry; frees the lock."""
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]
        sync_file(self._descriptor)
        self._lock.replace(self._path)
        self._ours = False
        # For a ref its caller syncs the directory, once for all.
        if self._path.name == "packed-refs":
            sync_directory(self._path.parent)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        if self._ours:  # after a commit the name may be another process's lock
            self._lock.unlink(missing_ok=True)


def _lock(path: Path) -> int:
    """Take git's lock file, waiting for another holder a while; its open descriptor."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    pause = 0.002
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OUR_MODE)
        except FileExistsError:
            if _remove_if_stale(path):
                continue
            if time.monotonic() > deadline:
                raise RefLocked(f"{path} exists: another git process holds it") from None
            time.sleep(pause)
            pause = min(pause * 2, 0.1)


def _remove_if_stale(lock: Path) -> bool:
    try:
        found = lock.stat()
    except FileNotFoundError:
        return True
    changed = found.st_mtime
    boot = time.time() - time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    # Refs are moved by the flush lock's holder alone, so one of ours that is there is a dead one's.
    ours = stat.S_IMODE(found.st_mode) == _OUR_MODE
    if not ours and changed > time.time() - _STALE_SECONDS and changed >= boot - 1:
        return False
    lock.unlink(missing_ok=True)
    return True


def _drop_empty_directory(path: Path) -> None:
    """Git leaves empty directories where refs with deeper names stood; they block a file."""
    if path.is_dir():
        for folder, _, _ in os.walk(path, topdown=False):
            Path(folder).rmdir()


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _id_of(line: bytes | None) -> str | None:
    return line[:40].decode() if line else None


def _file_key(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (-1, -1, -1)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
