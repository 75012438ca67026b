"""Locks between processes and threads that die with their holder."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from gitstore.backends.disk.files import FILE_MODE
from gitstore.core.errors import StoreUnavailable

_POLL_SECONDS = 0.005
_alive: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """An exclusive ``flock``, and an in-process lock before it, for one file.

    ``flock`` and not ``lockf``: the latter is lost when any descriptor of the file is closed. Not
    re-entrant. The kernel gives waiting processes the lock in turn, where SQLite's own busy handler
    starves some of them for seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._descriptor = -1
        _alive.add(self)

    def acquire(self) -> None:
        """Wait for the lock as long as it takes."""
        self._thread.acquire()
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX)
        except BaseException:
            self._thread.release()
            raise

    def try_acquire(self, timeout: float = 0.0) -> bool:
        """Whether the lock was had within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        if not self._thread.acquire(timeout=timeout):
            return False
        try:
            while True:
                try:
                    fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        self._thread.release()
                        return False
                    time.sleep(_POLL_SECONDS)
                else:
                    return True
        except BaseException:
            self._thread.release()
            raise

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._thread.release()

    def held(self) -> AbstractContextManager[None]:
        """Hold the lock for a ``with`` block."""
        return self

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def fileno(self) -> int:
        """The descriptor; a child that inherits it holds the lock too, also after us."""
        return self._descriptor

    def close(self) -> None:
        """Close the file, once no thread of this process holds the lock."""
        with self._thread:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def after_fork_in_child(self) -> None:
        """Let go of the parent's lock, which would else outlive it in this process."""
        self._thread = threading.Lock()
        if self._descriptor >= 0:
            os.close(self._descriptor)  # an inherited copy: the parent keeps its lock
            self._descriptor = -1

    def _open(self) -> int:
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            try:
                self._descriptor = os.open(self._path, flags, FILE_MODE)
            except OSError as error:
                raise StoreUnavailable(
                    f"cannot lock {self._path}: {error.strerror}",
                    hint="Check that the store's directory can be written to.",
                ) from error
        return self._descriptor


def _after_fork_in_child() -> None:
    for lock in list(_alive):
        lock.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
