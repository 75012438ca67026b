"""Maintenance that nobody asked for, in a thread of its own behind the appends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gitstore.backends.git.gitchild import MaintenanceEnded
from gitstore.core.errors import EventStoreError

_LOG = logging.getLogger("gitstore.maintain")


class AutomaticMaintenance:
    """Runs ``maintain`` in a daemon thread when ``is_due`` says so, one at a time."""

    def __init__(self, is_due: Callable[[], bool], maintain: Callable[[], object]) -> None:
        self._is_due = is_due
        self._maintain = maintain
        self._thread: threading.Thread | None = None

    def consider(self) -> None:
        """Begin where it is due and none is running; called by one thread only."""
        if (self._thread is None or not self._thread.is_alive()) and self._is_due():
            self._thread = threading.Thread(
                target=self._attempt, name="gitstore-maintain", daemon=True
            )
            self._thread.start()

    def join(self) -> None:
        """Wait for the end of what is running, which somebody has stopped."""
        if self._thread is not None:
            self._thread.join()

    def _attempt(self) -> None:
        try:
            self._maintain()
        except MaintenanceEnded:
            _LOG.debug("maintenance was ended with the store")
        except (EventStoreError, OSError) as error:
            _LOG.warning("the store could not be maintained: %s", error)
