"""Directories held open, so that no link below them is ever followed.

A path is looked up once, by whoever names it; below, every step goes by the descriptor of the
folder it is in, and a link or an odd file in the way is an error that names it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from gitstore.backends.disk.files import DIRECTORY_MODE, FILE_MODE, sync_file
from gitstore.core.errors import StoreUnavailable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK a named pipe would be waited for.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Folder:
    """One open directory, a context manager; ``path`` is its name for messages."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def at(cls, path: Path | str) -> Self:
        """The directory a user named; links on the way to it are the user's own."""
        return cls(str(path), os.open(path, _FOLDER))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the descriptor; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def detach(self) -> int:
        """The descriptor, which is the caller's from now on."""
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def names(self) -> list[str]:
        """The names in it, sorted."""
        with os.scandir(self._descriptor) as entries:
            return sorted(entry.name for entry in entries)

    def folder(self, name: str) -> Folder:
        """A directory in it; ``FileNotFoundError`` where there is none."""
        try:
            descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise self._in_the_way(name, "directory") from None
            raise
        return Folder(f"{self.path}/{name}", descriptor)

    def made(self, name: str) -> Folder:
        """A directory in it, new where there is none; the new entry is durable."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, DIRECTORY_MODE, dir_fd=self._descriptor)
            self.sync()
        return self.folder(name)

    def size(self, name: str) -> int | None:
        """The bytes of a file in it; ``None`` where there is none."""
        try:
            found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise self._in_the_way(name, "file")
        return found.st_size

    def open_to_read(self, name: str) -> int:
        """The descriptor of a file in it; ``FileNotFoundError`` where there is none."""
        return self._open(name, os.O_RDONLY)

    def open_to_append(self, name: str) -> tuple[int, bool]:
        """The descriptor of a file in it, and whether it was made for that."""
        flags = os.O_RDWR | os.O_APPEND
        try:
            return self._open(name, flags), False
        except FileNotFoundError:
            return self._open(name, flags | os.O_CREAT | os.O_EXCL), True

    def open_to_write(self, name: str) -> int:
        """The descriptor of a file in it, made where there is none; it writes at any offset."""
        return self._open(name, os.O_RDWR | os.O_CREAT)

    def read(self, name: str) -> bytes | None:
        """All of a small file in it; ``None`` where there is none."""
        try:
            descriptor = self.open_to_read(name)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def replace(self, name: str, content: bytes) -> None:
        """Give a file in it this content, durable and at once whole; one writer at a time."""
        aside = f".{name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=self._descriptor)  # of a writer that was killed
        with os.fdopen(self._open(aside, _NEW_FILE), "wb") as file:
            file.write(content)
            file.flush()
            sync_file(file.fileno())
        os.rename(aside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        self.sync()

    def move(self, name: str, into: Folder, *, durable: bool = True) -> None:
        """Put a file in it in the place of the other folder's of that name."""
        os.rename(name, name, src_dir_fd=self._descriptor, dst_dir_fd=into._descriptor)
        if durable:
            into.sync()

    def link(self, name: str, into: Folder, new: str) -> None:
        """Give a file in it another name, in the other folder; nothing where it has one there."""
        with contextlib.suppress(FileExistsError):
            os.link(
                name,
                new,
                src_dir_fd=self._descriptor,
                dst_dir_fd=into._descriptor,
                follow_symlinks=False,
            )

    def rename(self, name: str, new: str) -> None:
        """Put a file in it in the place of another, durable."""
        os.rename(name, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        self.sync()

    def unlink(self, name: str) -> None:
        """Remove a file in it; nothing where there is none."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a directory in it with all it holds; nothing where there is none."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(name, dir_fd=self._descriptor)
            self.sync()

    def sync(self) -> None:
        """Make its entries durable."""
        sync_file(self._descriptor)

    def _open(self, name: str, flags: int) -> int:
        try:
            descriptor = os.open(name, flags | _FILE, FILE_MODE, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise self._in_the_way(name, "file") from None
            raise
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise self._in_the_way(name, "file")

    def _in_the_way(self, name: str, wanted: str) -> StoreUnavailable:
        found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        is_link = stat.S_ISLNK(found.st_mode)
        return StoreUnavailable(
            f"{self.path}/{name} is {'a link' if is_link else f'no {wanted}'}",
            hint="Links are never followed here; put what it names in its place, or remove it."
            if is_link
            else "Remove it, or name another directory.",
        )


@contextlib.contextmanager
def writing_errors_told(path: str) -> Iterator[None]:
    """Tell of a full disk or missing leave in the layout's words."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise writing_error(path, error) from error


def writing_error(path: str, error: OSError | sqlite3.Error) -> StoreUnavailable:
    """An error of the system or of SQLite, in the layout's words."""
    where = getattr(error, "filename", None) or ""
    return StoreUnavailable(
        f"{path} cannot be written: {where}{': ' if where else ''}"
        f"{getattr(error, 'strerror', None) or error}",
        hint="Remove the cause and run it again: it goes on where it stopped.",
    )
