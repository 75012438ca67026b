"""The thread that flushes behind the appends, and now and then does what can wait."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from gitstore.core.errors import EventStoreError

_LOG = logging.getLogger("gitstore.flush")
_DELAY = 0.1
"""Seconds from an append to its flush when idle: at most 200 ms to git, with the flush itself."""
_SHARE = 4
"""A flush that took t is followed by a pause of so many t, so that appends get their time."""
_LONGEST = 0.6
"""But no pause is longer: an event is in git within a second also under load."""
_RETRY = 5.0
"""Seconds to the next attempt after one that failed."""
_LATER = 60.0
"""Seconds from a write to what can wait."""


class BackgroundFlush:
    """Calls ``flush`` soon after ``wake``, in a thread of its own that starts when needed.

    ``later`` is called a minute after a ``wake`` or ``remind``; it raises nothing.
    """

    def __init__(self, flush: Callable[[], None], later: Callable[[], None]) -> None:
        self._flush = flush
        self._later = later
        self._due = math.inf
        """When ``later`` is to be called, on the monotonic clock."""
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to flush."""
        if not self._wanted.is_set():
            self.remind()
            self._wanted.set()

    def remind(self) -> None:
        """There is nothing to flush, but something to do later."""
        if self._due == math.inf:
            self._due = time.monotonic() + _LATER
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="gitstore-flush", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the flush it may be in."""
        self._stopped.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        pause = _DELAY
        while True:
            self._wait()
            if self._stopped.wait(pause):
                return
            self._wanted.clear()
            # After the clear: a stop from here on sets `wanted` again, one before it shows here.
            if self._stopped.is_set():
                return
            started = time.monotonic()
            pause = _RETRY if not self._attempt() else 0.0
            took = time.monotonic() - started
            pause = max(pause, _DELAY, min(took * _SHARE, _LONGEST))

    def _wait(self) -> None:
        """Wait until there is something to flush; do what is due meanwhile."""
        while not self._wanted.wait(max(min(self._due - time.monotonic(), _LATER), 0.0)):
            self._do_later()
        self._do_later()

    def _do_later(self) -> None:
        if time.monotonic() >= self._due and not self._stopped.is_set():
            self._due = math.inf
            self._later()

    def _attempt(self) -> bool:
        try:
            self._flush()
        except (EventStoreError, OSError) as error:
            # They are durable in the journal; the next attempt, or the next process, has them.
            _LOG.warning("events are recorded, but not in git yet: %s", error)
            self._wanted.set()
            return False
        except Exception:  # noqa: BLE001 - a defect must not end the thread that flushes
            _LOG.exception("events are recorded, but not in git yet")
            self._wanted.set()
            return False
        return True
