"""Ctrl-C for commands that run until it comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_interrupt(stop: threading.Event) -> Iterator[threading.Event]:
    """Ctrl-C sets ``stop``, so that what has been begun is completed; a second one raises.

    Gives an event that says whether it came.
    """
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        interrupted.set()
        # In a thread: this one may be inside `stop.wait` and hold the lock that `set` takes.
        threading.Thread(target=stop.set).start()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
