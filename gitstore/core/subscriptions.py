"""Delivery of appended events to handlers: in order, once, without recursion."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable

from gitstore.core.event import RecordedEvent
from gitstore.core.protocol import Handler

_LOG = logging.getLogger("gitstore.subscriptions")


class Subscriptions:
    """One queue, drained by whichever thread finds it idle."""

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._next = 0
        self._queue: deque[RecordedEvent] = deque()
        self._lock = threading.Lock()
        self._draining = False

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def add(self, handler: Handler) -> Callable[[], None]:
        """Register ``handler``; the function returned takes it out again, and may be repeated."""
        with self._lock:
            key = self._next
            self._next += 1
            self._handlers[key] = handler

        def unsubscribe() -> None:
            with self._lock:
                self._handlers.pop(key, None)

        return unsubscribe

    def enqueue(self, events: Iterable[RecordedEvent]) -> None:
        """Put events in line; call under the lock that gave them their positions."""
        if self._handlers:
            self._queue.extend(events)

    def deliver(self) -> None:
        """Deliver what is in line, unless another call (of any thread) is doing so already."""
        while self._queue:
            with self._lock:
                if self._draining or not self._queue:
                    return
                self._draining = True
            try:
                self._drain()
            finally:
                self._draining = False

    def _drain(self) -> None:
        while self._queue:
            recorded = self._queue.popleft()
            for key, handler in list(self._handlers.items()):
                if key not in self._handlers:  # taken out by a handler before it
                    continue
                try:
                    handler(recorded)
                except Exception:  # noqa: BLE001 - whatever it is, it is logged and the rest go on
                    _LOG.exception(
                        "a handler failed on %s@%d", recorded.stream_id, recorded.version
                    )
