"""What a power cut leaves of a folder: what was fsynced is sure, of all else anything may be there.

A directory's entries are those of its last fsync, or today's. A file has the bytes of its last
fsync, today's, today's with zeros instead of what is newer, or a beginning of them. SQLite, which
fsyncs unseen by this, keeps its promise by itself: its files are there as they are, without the end
of their log, or (they are derived) not at all.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitstore.backends.jsonl.folders import Folder

_DATABASE = ("index.db", "index.db-wal", "index.db-shm")
_LOG_HEADER = 32


class Disk:
    """Watches what this process makes durable of a folder, by file and directory number."""

    def __init__(self, root: Path, before_sync: Callable[[], None]) -> None:
        self._root = root
        self._before_sync = before_sync
        self._contents: dict[int, bytes] = {}
        self._entries: dict[int, dict[str, int]] = {}
        self._held: dict[int, int] = {}

    def install(self) -> None:
        """Watch every fsync from here on; what is there already is on the disk."""
        self._see_all()
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._watched(getattr(os, name), self._see))
        sync_all = self._watched(Folder.sync_file_system, lambda _: self._see_all())
        Folder.sync_file_system = sync_all  # type: ignore[method-assign]

    def image(self, target: Path, chance: random.Random) -> None:
        """Make what might be left, if the power were cut now, at ``target``."""
        folders = {path.stat().st_ino: path for path in (self._root, *self._root.rglob("*"))}
        database = chance.choice(("kept", "cut", "gone"))
        self._copy(self._root.stat().st_ino, folders, target, chance, database)

    def _watched(self, really: Callable[..., None], see: Callable[..., None]) -> Any:
        def syncing(*descriptor: Any) -> None:
            self._before_sync()
            really(*descriptor)
            see(*descriptor)

        return syncing

    def _see(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        number = found.st_ino
        if number not in self._held:  # so that the number is given to no other file
            self._held[number] = os.dup(descriptor)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(descriptor) as entries:
                self._entries[number] = {entry.name: entry.inode() for entry in entries}
        else:
            self._contents[number] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def _see_all(self) -> None:
        for path in (self._root, *self._root.rglob("*")):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._see(descriptor)
            os.close(descriptor)

    def _copy(
        self,
        number: int,
        paths: dict[int, Path],
        target: Path,
        chance: random.Random,
        database: str,
    ) -> None:
        target.mkdir()
        today = {path.name: path.stat().st_ino for path in paths[number].iterdir()}
        entries = chance.choice((today, self._entries.get(number, {})))
        for name, inside in sorted(entries.items()):
            path = paths.get(inside)
            if name in _DATABASE:
                _copy_database(paths[number] / name, target / name, chance, database)
            elif path is not None and path.is_dir():
                self._copy(inside, paths, target / name, chance, database)
            else:
                new = path.read_bytes() if path else self._contents.get(inside, b"")
                (target / name).write_bytes(self._left(inside, new, chance))

    def _left(self, number: int, new: bytes, chance: random.Random) -> bytes:
        old = self._contents.get(number, b"")
        if old == new:
            return old
        how = chance.choice(("old", "new", "zeros", "cut"))
        if how == "zeros" and len(new) > len(old):
            return new[: len(old)] + bytes(len(new) - len(old))
        if how == "cut" and len(new) > len(old):
            return new[: chance.randrange(len(old), len(new))]
        return new if how == "new" else old


def _copy_database(source: Path, target: Path, chance: random.Random, how: str) -> None:
    if how == "gone" or not source.exists() or (how == "cut" and source.name.endswith("-shm")):
        return
    content = source.read_bytes()
    if how == "cut" and source.name.endswith("-wal"):
        content = content[: chance.randrange(min(_LOG_HEADER, len(content)), len(content) + 1)]
    target.write_bytes(content)
