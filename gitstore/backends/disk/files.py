"""Files that survive a power cut: write aside, fsync, rename, fsync the directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gitstore.core.errors import StoreUnavailable

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

_FULL_FSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)

# Where SQLite's shared memory or its locks do not hold: they corrupt a WAL without a word.
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse", "fuseblk", "vboxsf"})


@contextlib.contextmanager
def disk_errors_told(root: Path) -> Iterator[None]:
    """Tell of a full disk or missing leave as ``StoreUnavailable``, not in the system's words."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(
            f"the store at {root} cannot be used: {error}",
            hint="Check free space and permissions there, then try again.",
        ) from error


def sync_file(descriptor: int) -> None:
    """Bring a file's bytes to the disk; on macOS fsync alone stops at the drive's cache."""
    if _FULL_FSYNC is not None:
        fcntl.fcntl(descriptor, _FULL_FSYNC)
    else:
        os.fsync(descriptor)


def sync_file_system(descriptor: int) -> None:
    """Bring all of the file system that this file is on to the disk; Linux.

    ``OSError`` where some of it could not be written since the file was opened; ``os.sync`` tells
    of nothing.
    """
    import ctypes  # noqa: PLC0415 - 5 ms, for what is seldom done

    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def sync_directory(path: Path | str) -> None:
    """Bring a directory's entries to the disk: a renamed file is only then there for good."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path | str, content: bytes | bytearray, mode: int = FILE_MODE) -> None:
    """Make a file that must not exist yet, durable but for its directory entry."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        sync_file(descriptor)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            Path(path).unlink()
        raise
    os.close(descriptor)


def is_writable(directory: Path) -> bool:
    """Whether files can be made in it."""
    return directory.is_dir() and os.access(directory, os.W_OK)


def make_directory(path: Path) -> None:
    """Make a directory if it is missing, and its entry durable."""
    try:
        path.mkdir(mode=DIRECTORY_MODE)
    except FileExistsError:
        return
    sync_directory(path.parent)


def sync_tree(root: Path) -> None:
    """Bring a whole tree to the disk, directories last."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            descriptor = os.open(Path(folder, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                sync_file(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(folder)


def file_identity(path: Path) -> tuple[int, int]:
    """Device and inode of the file at ``path``; ``(0, 0)`` where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def file_system_type(path: Path) -> str:
    """The type of the file system ``path`` lies on, such as ``ext4``; empty where unknown."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:  # no Linux
        return ""
    resolved = path.resolve()
    best, kind = -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split(" ")[4].encode().decode("unicode_escape")
        if len(mount) > best and resolved.is_relative_to(mount):
            best, kind = len(mount), right.split(" ")[0]
    return kind


def holds_wal(path: Path) -> bool:
    """Whether SQLite's write-ahead log can be trusted on this file system."""
    kind = file_system_type(path)
    return kind not in _REMOTE and not kind.startswith("fuse.")
