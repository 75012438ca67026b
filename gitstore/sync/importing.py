"""Import: the events of JSON lines into a store, all of them or none, and never twice.

Two passes. The first reads everything and says what is wrong before anything is recorded; the
second appends in chunks. A crash in the second is finished by running the import again, because
events that are recorded already are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from gitstore.backends.jsonl.lines import BadLine, Line, parse_line
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import PartialDuplicate, StoreUnavailable
from gitstore.core.event import DomainEvent
from gitstore.sync.batches import CHUNK, batches
from gitstore.sync.forms import Form
from gitstore.sync.import_inputs import Input, LayoutSource, Source, opened
from gitstore.sync.import_plan import ImportPlan, PlannedLine
from gitstore.sync.import_rules import ORIGINAL_VERSION, HistoriesDisagree, LeftOut, renumbered

__all__ = [
    "CHUNK",
    "ORIGINAL_VERSION",
    "HistoriesDisagree",
    "Import",
    "ImportSummary",
    "LayoutSource",
    "LeftOut",
    "Progress",
    "Source",
    "import_events",
]

_REPORT_EVERY = 1_000

Progress = Callable[[str, int, int], None]
"""Called now and then with what is done (``"Reading"``), how much of it, and of how much."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did, or would do.

    - ``imported``: events appended; ``streams``: how many streams they stand in.
    - ``known``: lines whose event was recorded before.
    - ``duplicates``: lines that repeat an earlier line of the same input.
    - ``left_out``: lines that were not imported, with the reason.
    """

    imported: int
    streams: int
    known: int
    duplicates: int
    left_out: tuple[LeftOut, ...]


class Import:
    """One import, a context manager: read the sources, ``check`` a store, ``run`` on it.

    - ``renumber``: append in file order with new versions, the original ones in metadata.
    - ``keep_going``: leave out lines that cannot be imported, instead of raising for the first.

    Raises ``BadLine`` on entering or in ``check``, ``HistoriesDisagree`` in ``check``.
    """

    def __init__(
        self,
        sources: Iterable[Source | LayoutSource],
        *,
        renumber: bool = False,
        keep_going: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._keep_going = keep_going
        self._report: Progress = progress or (lambda *_: None)
        self._given = list(sources)
        self._inputs: list[Input] = []
        self._plan = ImportPlan(renumber=renumber)

    def __enter__(self) -> Self:
        try:
            for source in self._given:
                self._inputs.append(opened(source, self._report))
            self._read()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def check(self, store: BaseEventStore) -> ImportSummary:
        """What the import would do to ``store``; call it once, before ``run``. Writes nothing."""
        self._plan.compare(store)
        problem = None if self._keep_going else self._plan.first_problem()
        if problem is not None:
            raise problem
        return ImportSummary(
            self._plan.new,
            self._plan.streams,
            self._plan.known,
            self._plan.duplicates,
            tuple(self._plan.left_out()),
        )

    def run(self, store: BaseEventStore, chunk: int = CHUNK) -> None:
        """Append what ``check`` found to be new, ``chunk`` events at a time, in file order."""
        done, total = 0, self._plan.new
        for events in batches(self._planned_events(), chunk):
            _append(store, events)
            done += len(events)
            self._report("Recording", done, total)

    def _read(self) -> None:
        done, total = 0, sum(source.size for source in self._inputs)
        for count, (line, form) in enumerate(self._lines()):
            self._take(line, form)
            done += line.length
            if count % _REPORT_EVERY == 0:
                self._report("Reading", done, total)
        self._report("Reading", total, total)

    def _lines(self) -> Iterator[tuple[Line, Form]]:
        return ((line, source.form) for source in self._inputs for line in source.lines())

    def _take(self, line: Line, form: Form) -> None:
        try:
            self._plan.add(line, parse_line(line, form.decode))
        except BadLine as error:
            if not self._keep_going:
                raise
            self._plan.reject(line, error)

    def _planned_events(self) -> Iterator[tuple[DomainEvent, int]]:
        """The events to append, each with the length of its line."""
        lines = self._lines()
        for planned in self._plan.planned():
            place = (planned.file, planned.line)
            found = next((x for x in lines if (x[0].file, x[0].number) == place), None)
            if found is None or hash(found[0].text) != planned.text_hash:
                raise StoreUnavailable(
                    f"{planned.file} was changed while it was imported",
                    hint="Import it again: what is recorded already is passed over.",
                )
            line, form = found
            yield _event_to_append(form.decode_again(line.text), planned), len(line.text)

    def _close(self) -> None:
        self._plan.close()
        for source in self._inputs:
            source.close()


def import_events(
    store: BaseEventStore,
    sources: Iterable[Source | LayoutSource],
    *,
    renumber: bool = False,
    keep_going: bool = False,
    progress: Progress | None = None,
) -> ImportSummary:
    """Import all ``sources`` into ``store``; nothing is recorded when it raises for a line.

    The arguments are those of ``Import``. Importing again adds nothing.
    """
    work = Import(sources, renumber=renumber, keep_going=keep_going, progress=progress)
    with work:
        summary = work.check(store)
        work.run(store)
    return summary


def _event_to_append(event: DomainEvent, planned: PlannedLine) -> DomainEvent:
    if event.id is None:
        event = replace(event, id=planned.id)
    return event if planned.version is None else renumbered(event, planned.version)


def _append(store: BaseEventStore, events: Sequence[DomainEvent]) -> None:
    try:
        store.append_history(events)
    except PartialDuplicate:
        # Somebody recorded part of them since they were looked up: another run of this import.
        new = [event for event in events if store.find_event(event.id or "") is None]
        store.append_history(new)
