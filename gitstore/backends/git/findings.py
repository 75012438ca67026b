"""What ``verify`` says: findings, and the report they stand in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["format", "stream", "feed", "index", "types", "journal", "objects", "quarantine"]
"""What a finding is about."""

Progress = Callable[[str, int, int], None]
"""Called now and then with what is being done, how much is done, and of how much (0: unknown)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    - ``kind``: ``format``: the repository itself, or what makes it a store. ``stream``: a stream's
      commits or its ref. ``feed``, ``index``, ``journal``: these. ``types``: the portable type
      index. ``objects``: a pack, a loose object. ``quarantine``: a foreign tip, which is no damage.
    - ``ref``, ``stream`` (its true name) and ``commit`` (40 hex digits), where they apply.
    - ``repairable``: whether ``repair`` can make it good again from what is left.
    """

    kind: Kind
    message: str
    ref: str | None = None
    stream: str | None = None
    commit: str | None = None
    repairable: bool = False


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` found, and what it looked at.

    - ``findings``: what is not as it should be; after a repair, what is left.
    - ``events`` and ``streams``: how many were held against git.
    - ``superseded``: how many former places of events, from before rebases, were too.
    - ``repaired``: after a repair, what was found and is good again.
    """

    findings: tuple[Finding, ...]
    events: int
    streams: int
    superseded: int = 0
    repaired: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged; a foreign tip in quarantine is no damage."""
        return all(finding.kind == "quarantine" for finding in self.findings)


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


def silent(what: str, done: int, total: int) -> None:
    """The progress of those who do not want to hear of any."""
