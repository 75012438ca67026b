"""Verify's own way in: also for a store so damaged that it cannot be opened."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from gitstore.backends.disk.files import disk_errors_told, holds_wal
from gitstore.backends.git.findings import Finding, Progress, VerifyReport
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.repairing import make_openable
from gitstore.backends.git.rows import objects_of
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.verifying import FAILURES, Verifier
from gitstore.backends.stamping import Stamper
from gitstore.core.errors import StoreUnavailable, UnsupportedFormat


def inspect(
    path: Path, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
) -> VerifyReport:
    """``verify`` of the git store at ``path``, opened if it can be.

    Else what can be looked at from outside is looked at; ``repair`` makes the store one that can be
    opened first. Raises ``StoreNotFound`` where there is nothing that was an event store, and
    ``UnsupportedFormat`` for the store of a newer version.
    """
    path = path.absolute()
    lost = _journal_faults(path)
    try:
        report = _opened(path, repair=repair, deep=deep, progress=progress)
        if repair:
            return replace(report, repaired=(*lost, *report.repaired))
        return replace(report, findings=(*lost, *report.findings))
    except FAILURES as error:
        layout = StoreLayout(path)
        locked_out = isinstance(error, StoreUnavailable) and layout.local.is_dir()
        if locked_out or not _was_store(layout):
            raise
        first = _finding(error)
        report = _from_outside(path, first, deep=deep, progress=progress)
        if any(f.kind == "format" and not f.repairable for f in report.findings):
            raise
    if not repair:
        return report
    parts = _parts(path, read_only=False)
    with disk_errors_told(path):
        try:
            make_openable(parts)
        finally:
            _close(parts)
    again = _opened(path, repair=True, deep=deep, progress=progress)
    left = set(again.findings)
    found = dict.fromkeys((*lost, *report.findings, *again.repaired))
    mended = tuple(f for f in found if f.kind != "quarantine" and f not in left)
    return VerifyReport(again.findings, again.events, again.streams, mended)


def _journal_faults(path: Path) -> tuple[Finding, ...]:
    """What is wrong with the journal. Opening the store salvages it, and nothing would tell."""
    layout = StoreLayout(path)
    if not _was_store(layout) or not layout.objects.is_dir():
        return ()
    if not layout.journal.exists():
        return (Finding("journal", "journal.db is missing: what was not in git yet is lost"),)
    parts = _parts(path, read_only=False)
    try:
        parts.journal.state()
        parts.journal.check()
        for row in parts.journal.pending(1 << 40):
            objects_of(row)
    except (*FAILURES, AssertionError) as error:
        message = f"{error}; opening the store keeps what can still be read"
        return (Finding("journal", message, repairable=True),)
    finally:
        _close(parts)
    return ()


def _opened(path: Path, *, repair: bool, deep: bool, progress: Progress | None) -> VerifyReport:
    with GitEventStore.open(path, create=False) as store:
        return store.verify(repair=repair, deep=deep, progress=progress)


def _from_outside(
    path: Path, first: Finding, *, deep: bool, progress: Progress | None
) -> VerifyReport:
    """What can be seen of a store that cannot be opened; ``first`` is why."""
    parts = _parts(path, read_only=True)
    try:
        report = Verifier(parts, deep=deep, progress=progress).run()
    finally:
        _close(parts)
    if report.ok:
        report = VerifyReport((first, *report.findings), report.events, report.streams)
    return report


def _was_store(layout: StoreLayout) -> bool:
    """Whether this is, but for damage, an event store: it has our folder, or our refs."""
    return layout.local.is_dir() or layout.stream_refs.is_dir()


def _finding(error: BaseException) -> Finding:
    kept = isinstance(error, UnsupportedFormat) and "no event store" not in str(error)
    return Finding("format", f"the store cannot be opened: {error}", repairable=not kept)


def _parts(path: Path, *, read_only: bool) -> Parts:
    return Parts.of(
        StoreLayout(path),
        Stamper(),
        wal=holds_wal(path),
        read_only=read_only or not os.access(path, os.W_OK),
        folds_case=False,
    )


def _close(parts: Parts) -> None:
    parts.journal.close()
    parts.index.close()
    parts.objects.close()
    parts.write_lock.close()
    parts.flush_lock.close()
