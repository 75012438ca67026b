"""The lock of whoever moves events into git."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from gitstore.backends.disk.locks import FileLock


class FlushLock(FileLock):
    """A lock whose file says, by not being empty, that its holder has not given it back.

    ``interrupted``: a holder died, and what it left lying about has not been cleared yet; whoever
    clears it sets this to ``False``, else the next holder finds it again.
    """

    interrupted = False

    def acquire(self) -> None:
        super().acquire()
        self._mark()

    def try_acquire(self, timeout: float = 0.0) -> bool:
        had = super().try_acquire(timeout)
        if had:
            self._mark()
        return had

    def release(self) -> None:
        if not self.interrupted:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        super().release()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        with super().held():
            try:
                yield
            except BaseException:
                self.interrupted = True
                raise

    def is_marked(self) -> bool:
        """Whether it is held now, or its last holder died."""
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def _mark(self) -> None:
        self.interrupted = os.fstat(self._descriptor).st_size > 0
        with contextlib.suppress(OSError):  # a full disk: only tidiness depends on it
            os.pwrite(self._descriptor, b"held\n", 0)
