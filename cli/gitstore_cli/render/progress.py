"""A progress bar on stderr, for what takes over a second and only on a terminal."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gitstore_cli.env import Env
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE = 1.0  # seconds
_MARGIN = 3  # columns; a ^C that the terminal writes behind the bar must not begin a line


class ProgressBar:
    """A context manager; call it with what is done, how much of it, and of how much.

    Of 0: nobody knows of how much; the bar pulses, until something else is told. Once its patience
    is over, it shows what was told last, even if nothing is told any more.
    """

    def __init__(self, env: Env) -> None:
        self._env = env
        # What is called dumb cannot take back a line.
        self._wanted = env.stderr.isatty() and env.environ.get("TERM") not in {"dumb", "unknown"}
        self._began = time.monotonic()
        self._lock = threading.Lock()  # of all below
        self._told = ("", 0, 0)
        self._waiting: threading.Timer | None = None
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._pulsing = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self._wanted:
            return
        with self._lock:
            self._told = (what, done, total)
            if self._bar is not None:
                self._update(self._bar)
            elif self._waiting is None:
                left = self._began + _PATIENCE - time.monotonic()
                self._waiting = threading.Timer(max(left, 0.0), self._show)
                self._waiting.daemon = True
                self._waiting.start()

    def stop(self) -> None:
        """Take the bar away, before an answer is written; a later call makes it anew."""
        with self._lock:
            if self._waiting is not None:
                self._waiting.cancel()
            if self._bar is not None:
                self._bar.stop()
            self._waiting = self._bar = None
            self._tasks.clear()
            self._pulsing = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _show(self) -> None:
        with self._lock:
            if self._waiting is threading.current_thread():  # not stopped meanwhile
                self._bar = self._make()
                self._update(self._bar)
                self._bar.start()

    def _update(self, bar: Progress) -> None:
        what, done, total = self._told
        if self._pulsing not in {"", what} or (self._pulsing and total):
            bar.remove_task(self._tasks.pop(self._pulsing))
            self._pulsing = ""
        if what not in self._tasks:
            self._tasks[what] = bar.add_task(printable(what), total=total or None)
            self._pulsing = "" if total else what
        bar.update(self._tasks[what], completed=done, total=total or None)

    def _make(self) -> Progress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(file=self._env.stderr, _environ=self._env.environ)
        console.width = max(console.width - _MARGIN, 1)
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn("{task.percentage:>3.0f}%"),  # none where it is not known
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
