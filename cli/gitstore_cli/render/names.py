"""How events and counts are worded in a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitstore.core.event import RecordedEvent

if TYPE_CHECKING:
    from gitstore.sync.comparing import Compared

SHORT_COMMIT = 7
"""Digits of an abbreviated commit id."""


def reference(recorded: RecordedEvent) -> str:
    """``task-AUTH-001@3``."""
    return f"{recorded.stream_id}@{recorded.version}"


def short_commit(recorded: RecordedEvent) -> str:
    """The abbreviated commit id, empty in stores without commits."""
    return (recorded.commit or "")[:SHORT_COMMIT]


def standing(one: Compared) -> str:
    """``diverged at version 3 (+2/+1)``: how our stream stands to theirs."""
    ahead, behind = one.ahead or 0, one.behind or 0
    if one.state == "diverged":
        where = f" at version {one.fork:,}" if one.fork else ", with nothing in common"
        same = f", {one.same:,} the same" if one.same else ""
        return f"diverged{where} (+{ahead:,}/+{behind:,}{same})"
    if one.state in {"ahead", "behind"}:
        return f"{one.state} {ahead or behind:,}"
    if one.state in {"only-here", "only-there"} and ahead + behind:
        return f"{one.state.replace('-', ' ')} ({ahead + behind:,})"
    return one.state.replace("-", " ")


def counted(count: int, noun: str) -> str:
    """``1 stream``, ``1,200 streams``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
