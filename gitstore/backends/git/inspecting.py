"""Verify's own way in: also for a store so damaged that it cannot be opened."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from gitstore.backends.disk.files import disk_errors_told, holds_wal
from gitstore.backends.git.clones import ReadOnlyClone, with_state_elsewhere
from gitstore.backends.git.layout import FEED, StoreLayout
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.recovery import is_journal_sound
from gitstore.backends.git.repairing import make_openable, mend_index
from gitstore.backends.git.repository import check_format
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.verifying import FAILURES, Verifier
from gitstore.backends.stamping import Stamper
from gitstore.core.errors import StoreUnavailable, UnsupportedFormat
from gitstore.core.findings import Finding, Progress, VerifyReport

_OF_GIT = ("format", "stream", "objects", "quarantine")
"""What is found in a clone without a feed: it has no positions, and nothing that goes by them."""


def inspect(
    path: Path, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
) -> VerifyReport:
    """``verify`` of the git store at ``path``, opened if it can be.

    Else what can be looked at from outside is looked at; ``repair`` makes the store one that can be
    opened first. Without ``repair`` no store is mended by being opened, and no clone becomes one.
    Raises ``StoreNotFound`` where there is nothing that was an event store, and
    ``UnsupportedFormat`` for the store of a newer version.
    """
    path = path.absolute()
    first = _journal_fault(StoreLayout(path))
    if first is None:
        try:
            if repair or StoreLayout(path).local.is_dir() or not path.is_dir():
                return _opened(path, repair=repair, deep=deep, progress=progress)
            return _clone(path, deep=deep, progress=progress)
        except FAILURES as error:
            layout = StoreLayout(path)
            locked_out = isinstance(error, StoreUnavailable) and layout.local.is_dir()
            if locked_out or not _was_store(layout) or _is_newer(error):
                raise
            first = _finding(error)
    report = _from_outside(path, first, deep=deep, progress=progress)
    return _made_openable(path, report, deep=deep, progress=progress) if repair else report


def _made_openable(
    path: Path, report: VerifyReport, *, deep: bool, progress: Progress | None
) -> VerifyReport:
    """Make the store one that can be opened, then repair the rest; ``report``: how it was."""
    with contextlib.closing(_parts(path, read_only=False)) as parts, disk_errors_told(path):
        make_openable(parts)
        if _journal_fault(parts.layout) is None:  # else the index is mended when it is opened
            mend_index(parts)
    again = _opened(path, repair=True, deep=deep, progress=progress)
    left = set(again.findings)
    found = dict.fromkeys((*report.findings, *again.repaired))
    mended = tuple(f for f in found if f.kind != "quarantine" and f not in left)
    return replace(again, repaired=mended)


def _journal_fault(layout: StoreLayout) -> Finding | None:
    """What is wrong with the journal. Opening the store salvages it, and nothing would tell.

    Raises ``UnsupportedFormat`` where the fault may be that the store is of a newer version.
    """
    if not layout.local.is_dir() or not layout.objects.is_dir():
        return None
    if not layout.journal.exists() or not layout.journal.stat().st_size:
        message = "journal.db is missing or empty: what was not in git yet is lost"
    else:
        with contextlib.closing(_parts(layout.root, read_only=False)) as parts:
            try:
                is_journal_sound(parts)
            except (*FAILURES, AssertionError) as error:
                message = f"{error}; a repair keeps what can still be read"
            else:
                return None
    _refuse_newer(layout)
    return Finding("journal", message, repairable=True)


def _refuse_newer(layout: StoreLayout) -> None:
    with contextlib.closing(_parts(layout.root, read_only=True)) as parts:
        try:
            check_format(layout, parts.refs, parts.objects)
        except FAILURES as error:
            if _is_newer(error):
                raise
            # The rest is named, and made good, with all other damage.


def _clone(path: Path, *, deep: bool, progress: Progress | None) -> VerifyReport:
    """Look at a clone, whose journal and index are made in a private directory meanwhile."""
    layout = with_state_elsewhere(StoreLayout(path))
    parts = Parts.of(layout, Stamper(), wal=holds_wal(path), read_only=True, folds_case=False)
    with contextlib.closing(GitEventStore(parts, "background", ReadOnlyClone(parts))) as store:
        check_format(layout, parts.refs, parts.objects)
        if parts.refs.read(FEED) is not None:
            return store.verify(deep=deep, progress=progress)
        report = Verifier(parts, deep=deep, progress=progress).run()
    return replace(report, findings=tuple(f for f in report.findings if f.kind in _OF_GIT))


def _opened(path: Path, *, repair: bool, deep: bool, progress: Progress | None) -> VerifyReport:
    with GitEventStore.open(path, create=False) as store:
        return store.verify(repair=repair, deep=deep, progress=progress)


def _from_outside(
    path: Path, first: Finding, *, deep: bool, progress: Progress | None
) -> VerifyReport:
    """What can be seen of a store that cannot be opened; ``first`` is why."""
    with contextlib.closing(_parts(path, read_only=True)) as parts:
        report = Verifier(parts, deep=deep, progress=progress).run()
    if first.kind == "journal":
        # Said already; and what could not be looked at without it is not damaged for that.
        rest = [f for f in report.findings if "journal.db" not in f.message]
        report = replace(report, findings=(first, *rest))
    elif report.ok:
        report = replace(report, findings=(first, *report.findings))
    return report


def _was_store(layout: StoreLayout) -> bool:
    """Whether this is, but for damage, an event store: it has our folder, or our refs."""
    return layout.local.is_dir() or layout.stream_refs.is_dir()


def _is_newer(error: BaseException) -> bool:
    """Whether the store is of another version's format, which is no damage."""
    return isinstance(error, UnsupportedFormat) and "no event store" not in str(error)


def _finding(error: BaseException) -> Finding:
    return Finding("format", f"the store cannot be opened: {error}", repairable=True)


def _parts(path: Path, *, read_only: bool) -> Parts:
    return Parts.of(
        StoreLayout(path),
        Stamper(),
        wal=holds_wal(path),
        read_only=read_only or not os.access(path, os.W_OK),
        folds_case=False,
    )
