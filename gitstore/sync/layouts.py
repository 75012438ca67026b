"""Layouts: copies of a history, or of a part of it, in files that other programs read.

``export --layout DIR`` is a copy to ``jsonl:DIR``, with two more things. It may leave events out:
then the layout is one of a part, and remembers which. And it goes on after a rebase of its source,
which gives events other versions: then the layout is made anew, if it has nothing that the source
has not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gitstore.backends.jsonl.replacing import WouldLose
from gitstore.backends.jsonl.state import Source
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.base import BaseEventStore
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreUnavailable
from gitstore.core.filters import EventFilter
from gitstore.core.findings import Progress, silent
from gitstore.core.timestamps import format_timestamp, to_utc
from gitstore.sync.copying import Copying, Proved, StoresDiffer, is_same
from gitstore.sync.exporting import ExportSummary

_NOTE_EVERY = 10_000
"""Events after which a follower notes how far it came."""


def export_layout(
    store: BaseEventStore,
    where: Path,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    **filters: Any,
) -> ExportSummary:
    """Bring the layout at ``where`` up to the present; only what is new is written.

    ``filters`` are those of ``read_all``, and must be the same each time. ``stop``: end after the
    batch that is being written. A killed export is completed by the next one, also beside others.
    Raises ``StoresDiffer`` where the layout has an event that the store has not, or was made from
    another store that says otherwise; ``StoreUnavailable`` where it was made with other filters,
    or the directory holds something else.
    """
    with _exporting(store, where, progress, filters) as work:
        return work.catch_up(stop or threading.Event())


def follow_layout(
    store: BaseEventStore,
    where: Path,
    *,
    stop: threading.Event,
    progress: Progress | None = None,
    **filters: Any,
) -> Iterator[ExportSummary]:
    """``export_layout``, then again whenever events are recorded, until ``stop`` is set.

    Gives what was written, each time something was or could have been. Also ends when the store
    is closed. ``progress`` is told of the first time only.
    """
    with _exporting(store, where, progress, filters) as work:
        while True:
            yield work.catch_up(stop)
            work.tell = silent
            if not work.copying.waited_for_more(stop):
                return


@contextmanager
def _exporting(
    store: BaseEventStore, where: Path, progress: Progress | None, filters: dict[str, Any]
) -> Iterator[_Exporting]:
    with JsonlEventStore.open(where, part=_selection(filters)) as layout:
        if layout.store_id == store.store_id:
            raise StoreUnavailable(
                f"{where} is the store itself", hint="Name a directory of its own for this export."
            )
        work = _Exporting(store, layout, progress or silent, filters)
        try:
            yield work
        finally:
            work.note()


class _Exporting:
    """An export at work. ``tell`` of its progress; ``copying``: into the layout as it is now."""

    def __init__(
        self,
        store: BaseEventStore,
        layout: JsonlEventStore,
        tell: Progress,
        filters: dict[str, Any],
    ) -> None:
        self._store = store
        self._layout = layout
        self._filters = filters
        self.tell = tell
        self._unnoted = 0
        self._proved: tuple[Source, str] | None = None
        self.copying = self._begun()

    def catch_up(self, stop: threading.Event) -> ExportSummary:
        """Write what the layout lacks, or make it anew where its events have other places now."""
        try:
            done = self.copying.run(stop)
            summary = ExportSummary(done.events, done.position)
        except StoresDiffer as error:
            self._check_replaceable(error)
            summary = self._made_anew(stop)
        self._proved = _noted(self.copying), self.copying.target_id
        self._unnoted += summary.events
        if self._unnoted >= _NOTE_EVERY:
            self.note()
        return summary

    def note(self) -> None:
        """Note in the layout how far both were found to say the same."""
        if self._proved is not None:
            self._layout.note_source(*self._proved)
        self._unnoted = 0

    def _begun(self) -> Copying:
        source = self._layout.source
        proved = None
        if source is not None and source.store_id == self._store.store_id:
            proved = Proved(source.epoch, source.position, source.last, source.through)
        return self._copying_to(self._layout, proved)

    def _copying_to(self, target: JsonlEventStore, proved: Proved | None = None) -> Copying:
        return Copying(self._store, target, self._report, self._filters, proved)

    def _report(self, what: str, done: int, total: int) -> None:
        self.tell("Exporting" if what == "Copying" else what, done, total)

    def _made_anew(self, stop: threading.Event) -> ExportSummary:
        written = 0
        while not stop.is_set():
            epoch = self._store.epoch
            try:
                written += self._replaced(stop)
                self.copying = self._begun()
                done = self.copying.run(stop)
                return ExportSummary(written + done.events, done.position)
            except WouldLose as error:
                position = self.copying.proved.position
                raise StoresDiffer(None, error.recorded, position) from error
            except StoresDiffer:
                if self._store.epoch == epoch:
                    raise
        return ExportSummary(0, self.copying.proved.position)

    def _replaced(self, stop: threading.Event) -> int:
        """Make the layout anew, unless another export has by now; gives the events written."""
        try:
            with self._layout.replaced(self.copying.target_id) as anew:
                if anew is None:
                    return 0
                work = self._copying_to(anew)
                done = work.run(stop)
                if stop.is_set():
                    raise _Stopped
                anew.note_source(_noted(work), anew.store_id)
                return done.events
        except _Stopped:
            return 0

    def _check_replaceable(self, error: StoresDiffer) -> None:
        """Raise ``error`` unless the event of the layout is in the store, in another place."""
        theirs, source = error.target, self._layout.source
        if theirs is None:
            raise error
        mine = self._store.find_event(theirs.event.id or "")
        if mine is None or not is_same(replace(mine.event, version=theirs.version), theirs.event):
            raise error
        if source is not None and source.store_id != self._store.store_id:
            raise StoresDiffer(
                error.source,
                theirs,
                error.position,
                hint="The layout was made from another store: name a directory of its own.",
            ) from error


class _Stopped(Exception):
    """The layout that was being made anew is not complete."""


def _noted(work: Copying) -> Source:
    """How far a copy has come, as a layout notes it."""
    return Source(work.source_id, **asdict(work.proved))


def _selection(filters: dict[str, Any]) -> dict[str, JSON]:
    """What a layout remembers of the filters it was made with."""
    after = filters.get("after_position", 0)
    wanted = EventFilter.of(**{k: v for k, v in filters.items() if k != "after_position"})
    selection: dict[str, JSON] = {"after": after} if after else {}
    for name, value in asdict(wanted).items():
        if isinstance(value, datetime):
            selection[name] = format_timestamp(to_utc(value))
        elif value is not None:
            selection[name] = sorted(value)
    return selection
