"""How an event is named in a line of text."""

from __future__ import annotations

from gitstore.core.event import RecordedEvent

SHORT_COMMIT = 7
"""Digits of an abbreviated commit id."""


def reference(recorded: RecordedEvent) -> str:
    """``task-AUTH-001@3``."""
    return f"{recorded.stream_id}@{recorded.version}"


def short_commit(recorded: RecordedEvent) -> str:
    """The abbreviated commit id, empty in stores without commits."""
    return (recorded.commit or "")[:SHORT_COMMIT]
