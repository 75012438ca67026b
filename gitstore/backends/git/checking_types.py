"""The portable type index for verify and repair: the one place where it is connected."""

from __future__ import annotations

from collections.abc import Iterator

from gitstore.backends.git.findings import Finding
from gitstore.backends.git.parts import Parts


def check_type_index(parts: Parts) -> Iterator[Finding]:  # noqa: ARG001 - HOOK: see below
    """Findings of kind ``types``, all repairable.

    HOOK: ``for message in typeindex.check_types(parts): yield Finding("types", message,
    ref=TYPES, repairable=True)``.
    """
    return iter(())


def rebuild_type_index(parts: Parts) -> None:
    """Make the type index anew; the flush lock is held. HOOK: ``typeindex.rebuild(parts)``."""
