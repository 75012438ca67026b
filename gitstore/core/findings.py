"""What ``verify`` says of a store: findings, and the report they stand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "format",
    "stream",
    "feed",
    "index",
    "types",
    "journal",
    "objects",
    "quarantine",
    "file",
    "order",
    "schema",
]
"""What a finding is about."""

Progress = Callable[[str, int, int], None]
"""Called now and then with what is being done, how much is done, and of how much (0: unknown)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    - ``kind``: ``format``: what makes the place a store. ``stream``: a stream's events, or its ref.
      ``order``: positions. ``feed``, ``index``, ``journal``: these. ``types``: the portable type
      index. ``objects``: a pack, a loose object. ``file``: the database. ``quarantine``: a foreign
      tip, which is no damage. ``schema``: data that does not fit its type, which is none either.
    - ``ref``, ``stream`` (its true name) and ``commit`` (40 hex digits), where they apply.
    - ``repairable``: whether ``repair`` can make it good again from what is left.
    - ``place``: the file, where it is in one.
    """

    kind: Kind
    message: str
    ref: str | None = None
    stream: str | None = None
    commit: str | None = None
    repairable: bool = False
    place: str | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` found, and what it looked at.

    - ``findings``: what is not as it should be; after a repair, what is left.
    - ``events`` and ``streams``: how many were looked at.
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


def silent(what: str, done: int, total: int) -> None:
    """The progress of those who do not want to hear of any."""
