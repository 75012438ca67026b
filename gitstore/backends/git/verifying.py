"""Verify: hold everything the store claims against what git holds.

First a fast look that holds no lock, so that nobody waits for it; what others wrote meanwhile is
caught up with, and the ends are compared under the flush lock, where nothing moves. Files are
looked at beside it. Whatever raises a doubt is looked at again under the lock, first fast, because
a doubt may be a live writer's doing, then thoroughly, so that every fault is named.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from gitstore.backends.git.checking_files import check_frame, check_objects
from gitstore.backends.git.checking_refs import (
    RefsFound,
    check_format_ref,
    check_other_refs,
    look_at_refs,
)
from gitstore.backends.git.checking_rows import ODDITIES, RowWalk
from gitstore.backends.git.checking_streams import StreamWalk
from gitstore.backends.git.findings import Doubt, in_turns
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import FEED, STREAMS, SUPERSEDED, TYPES
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.typechecks import check_types
from gitstore.core.errors import EventStoreError, StoreCorrupted
from gitstore.core.findings import Finding, Kind, Progress, VerifyReport, silent

_FEW = 2_000
"""Events to catch up with under the lock: as many as a flush moves in the time it takes."""
_ROUNDS = 5
_WITHOUT_LOCK = 10
FAILURES = (EventStoreError, sqlite3.Error, OSError, *ODDITIES)
"""What damage raises on its way."""


class Seen(NamedTuple):
    """What a look at the events found, and how much it looked at."""

    findings: list[Finding]
    events: int
    streams: int
    superseded: int


class Verifier:
    """Looks at one store. ``look_through`` lets the store take notice of refs others moved."""

    def __init__(
        self,
        parts: Parts,
        look_through: Callable[[], None] | None = None,
        *,
        deep: bool = False,
        progress: Progress | None = None,
    ) -> None:
        # Objects of its own: those of a store that is long open may know packs that are gone.
        self._parts = replace(parts, objects=Objects(parts.layout))
        self._look_through = look_through
        self._deep = deep
        self._progress = in_turns(progress) if progress else silent

    def run(self) -> VerifyReport:
        """Look at everything. Takes the flush lock, which must not be held."""
        findings = list(check_frame(self._parts.layout))
        if not self._parts.layout.objects.is_dir():
            return VerifyReport(tuple(findings), 0, 0)  # there is nothing to look at
        with ThreadPoolExecutor(1, "gitstore-verify") as beside:
            files = beside.submit(self._files)
            seen = self._events()
            findings += _believable([*seen.findings, *files.result()])
        findings += self._rest()
        self._parts.objects.close()
        found = tuple(dict.fromkeys(findings))
        return VerifyReport(found, seen.events, seen.streams, seen.superseded)

    # Files

    def _files(self) -> list[Finding]:
        """What takes long and needs no lock; a doubt is looked at once more, under the lock."""
        found = list(self._file_findings(self._progress))
        if found:
            with self._still():
                found = list(self._file_findings(silent))
        return found

    def _file_findings(self, progress: Progress) -> Iterator[Finding]:
        yield from _guarded("objects", check_objects(self._parts.layout, progress))
        yield from _raised("index", self._check_index)
        yield from _raised("journal", self._check_journal)
        yield from _guarded("types", self._types())
        if self._deep:
            yield from self._fsck()

    def _check_index(self) -> None:
        if not self._parts.layout.index.exists():
            raise StoreCorrupted("index.db is missing")
        self._parts.index.check(every_index=True)

    def _check_journal(self) -> None:
        if not self._parts.layout.journal.exists():
            raise StoreCorrupted("journal.db is missing")
        self._parts.journal.check()

    def _types(self) -> Iterator[Finding]:
        for message in check_types(self._parts):
            yield Finding("types", message, ref=TYPES, repairable=True)

    def _fsck(self) -> Iterator[Finding]:
        """Every line of ``git fsck`` but those that say what nobody needs any more."""
        self._progress("Running git fsck", 0, 1)
        try:
            Git(self._parts.layout.root).run("fsck", "--full", "--strict", "--no-dangling")
        except GitFailed as error:
            for line in (error.stdout + error.stderr).splitlines() or [str(error)]:
                yield Finding("objects", f"git fsck: {line}")

    # Events

    def _events(self) -> Seen:
        # Who cannot take the lock looks again and again, until no writer came between.
        seen = self._glance()
        for _ in range(_WITHOUT_LOCK if self._parts.read_only else 0):
            if isinstance(seen, Finding):
                seen = self._glance()
        if isinstance(seen, Seen):
            return seen
        noticed = list(self._reconcile()) if seen.kind != "index" else []
        with self._still():
            again = self._look_again()
        return again._replace(findings=[*noticed, *again.findings])

    def _glance(self) -> Seen | Finding:
        """The fast look, or the first thing that raised a doubt."""
        walk = RowWalk(self._parts, self._progress)
        try:
            for _ in range(_ROUNDS):
                if walk.go() < _FEW:
                    break
            with self._still():
                return self._end(walk)
        except Doubt as doubt:  # a live writer, others who moved refs, or damage
            return doubt.finding
        except FAILURES as error:
            return _finding_of(error)

    def _reconcile(self) -> Iterator[Finding]:
        """Let the store adopt or set aside what others did; never by an index that is in doubt."""
        if self._look_through is not None:
            try:
                self._look_through()
            except FAILURES as error:
                yield _finding_of(error)

    def _end(self, walk: RowWalk) -> Seen:
        """Catch up and compare the ends; nothing moves."""
        walk.go()
        refs = look_at_refs(self._parts.layout)
        walk.finish(_event_refs(refs))
        events = walk.lines - walk.superseded
        return Seen(refs.findings, events, walk.streams, walk.superseded)

    def _look_again(self) -> Seen:
        walk = RowWalk(self._parts, self._progress)
        try:
            return self._end(walk)
        except Doubt as doubt:
            first = doubt.finding
        except FAILURES as error:
            first = _finding_of(error)
        refs = look_at_refs(self._parts.layout)
        events = _event_refs(refs)
        thorough = StreamWalk(self._parts, events, self._progress)
        findings = [*refs.findings, *thorough.run()]
        streams = sum(name.startswith(STREAMS) for name in events)
        return Seen(findings or [first], thorough.events, streams, thorough.superseded)

    # The rest

    def _rest(self) -> Iterator[Finding]:
        with self._still():
            try:
                refs = look_at_refs(self._parts.layout)
            except OSError as error:
                yield Finding("stream", f"the refs cannot be read: {error}")
                refs = RefsFound()
            yield from _guarded("format", check_format_ref(self._parts))
            yield from _guarded("objects", check_other_refs(self._parts, refs))

    @contextlib.contextmanager
    def _still(self) -> Iterator[None]:
        """Hold the flush lock, where it can be had: without leave to write nothing moves by us."""
        if self._parts.read_only or not self._parts.layout.local.is_dir():
            yield
        else:
            with self._parts.flush_lock.held():
                yield


def _event_refs(refs: RefsFound) -> dict[str, str]:
    return {
        name: at
        for name, at in refs.ids.items()
        if name == FEED or name.startswith((STREAMS, SUPERSEDED))
    }


def _believable(findings: list[Finding]) -> list[Finding]:
    """Without what is said of the type index, where the index it was held against is damaged."""
    if any(finding.kind == "index" for finding in findings):
        return [finding for finding in findings if finding.kind != "types"]
    return findings


def _guarded(kind: Kind, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, and one for a damage that kept others from being found."""
    try:
        yield from findings
    except FAILURES as error:
        yield Finding(kind, f"{type(error).__name__}: {error}")


def _raised(kind: Kind, check: Callable[[], None]) -> Iterator[Finding]:
    """A finding for what a check raises."""
    try:
        check()
    except FAILURES as error:
        yield Finding(kind, str(error), repairable=True)


def _finding_of(error: BaseException) -> Finding:
    """What an error that nobody expected here is about, as far as it says so."""
    text = str(error) or type(error).__name__
    named: tuple[tuple[Kind, str], ...] = (
        ("index", "index.db"),
        ("journal", "journal"),
        ("feed", "feed"),
    )
    kind: Kind = next((kind for kind, word in named if word in text), "stream")
    return Finding(kind, text, repairable=True)


def verify_and_repair(
    verify: Callable[[], VerifyReport], repair: Callable[[], None]
) -> VerifyReport:
    """Look, repair where there is something to repair, and look again."""
    before = verify()
    if not any(finding.kind != "quarantine" for finding in before.findings):
        return before
    repair()
    after = verify()
    left = set(after.findings)
    mended = tuple(f for f in before.findings if f.kind != "quarantine" and f not in left)
    # What is left now, another repair does not mend either.
    findings = tuple(replace(finding, repairable=False) for finding in after.findings)
    return replace(after, findings=findings, repaired=mended)
