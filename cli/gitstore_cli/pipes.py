"""Noticing that nobody reads the answer any more, while there is nothing to write."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_INTERVAL = 200  # milliseconds until the watching thread sees that it is no longer wanted


@contextmanager
def stop_when_closed(stream: TextIO) -> Iterator[threading.Event]:
    """An event that is set when the reader of ``stream``, a pipe or socket, has gone."""
    closed = threading.Event()
    done = threading.Event()
    descriptor = _descriptor(stream)
    watcher = threading.Thread(target=_watch, args=(descriptor, closed, done), daemon=True)
    if descriptor is not None:
        watcher.start()
    try:
        yield closed
    finally:
        done.set()


def _watch(descriptor: int, closed: threading.Event, done: threading.Event) -> None:
    poller = select.poll()
    poller.register(descriptor, 0)  # errors and hang-ups are always reported
    while not done.is_set():
        for _, happened in poller.poll(_INTERVAL):
            if happened & (select.POLLERR | select.POLLHUP):
                closed.set()
            return  # or a kind of file that cannot be polled


def _descriptor(stream: TextIO) -> int | None:
    try:
        return None if stream.isatty() else stream.fileno()
    except (OSError, ValueError):  # no file of the system: a test's buffer
        return None
