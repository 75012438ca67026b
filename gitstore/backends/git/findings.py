"""What the looks of ``verify`` tell each other while they are at it."""

from __future__ import annotations

import threading

from gitstore.core.findings import Finding, Kind, Progress


class Doubt(Exception):
    """A fast look met something that is not as it should be, or that a live writer moved.

    ``finding``: what it is, unless a look with nothing moving says otherwise.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def doubt(
    kind: Kind,
    message: str,
    *,
    ref: str | None = None,
    stream: str | None = None,
    commit: str | None = None,
    repairable: bool = False,
) -> Doubt:
    """A doubt about this."""
    return Doubt(Finding(kind, message, ref, stream, commit, repairable))


def in_turns(progress: Progress) -> Progress:
    """``progress``, called by one thread at a time."""
    lock = threading.Lock()

    def tell(what: str, done: int, total: int) -> None:
        with lock:
            progress(what, done, total)

    return tell
