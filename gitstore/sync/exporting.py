"""Export: the events of a store as JSON lines, or as a layout of files that is kept current.

An event gives the same bytes whenever and wherever it is exported, and neither position nor commit
is among them: those are the store's. ``import`` brings such lines into any store, with equal
commits; but an event that a rebase replayed comes without the origin that its commit names.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import mkstemp
from typing import Any, BinaryIO, Protocol, TypeVar

from gitstore.backends.disk.files import sync_directory, sync_file
from gitstore.backends.jsonl.layoutwriting import LayoutWriter
from gitstore.backends.jsonl.lines import encode_line
from gitstore.core.base import BaseEventStore
from gitstore.core.canonical import JSON
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.errors import (
    EventStoreError,
    InvalidEvent,
    StaleCheckpoint,
    StoreCorrupted,
    StoreUnavailable,
)
from gitstore.core.event import DomainEvent
from gitstore.core.filters import EventFilter
from gitstore.core.timestamps import format_timestamp, to_utc
from gitstore.sync.forms import JSONL, Form

Progress = Callable[[str, int, int], None]
"""Called now and then with ``"Exporting"``, the position reached, and the store's highest."""


class Output(Protocol):
    """What lines are written to, such as a binary file; each time one or more whole lines."""

    def write(self, lines: bytes, /) -> object:
        """Take all of ``lines``, or raise."""
        ...


_LINES = 500
"""Lines written at once."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote.

    ``events``: how many, this time; ``position``: the store's position up to which it goes.
    """

    events: int
    position: int


def export_events(
    store: BaseEventStore,
    out: Output,
    *,
    form: Form = JSONL,
    progress: Progress | None = None,
    **filters: Any,
) -> ExportSummary:
    """Write the events of ``store`` to ``out``, a line each, by position and in bounded memory.

    ``filters`` are those of ``read_all``. Of a store that is being written to, what was recorded
    when the reading began: no event is twice in it or missing before the last one; where one is
    lost, ``StoreCorrupted``.
    """
    last = store.last_position()
    events = whole_history(store.read_all, filters)
    count = 0
    while page := list(islice(events, _LINES)):
        out.write(b"".join([form.encode(recorded.event) for recorded in page]))
        count += len(page)
        last = max(last, page[-1].position)
        if progress:
            progress("Exporting", page[-1].position, last)
    return ExportSummary(count, last)


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
    batch that is being written. A killed export is completed by the next one, and several at once
    take turns. Raises ``StoreUnavailable`` where the directory is no layout of this store.
    """
    with LayoutWriter(where, store.store_id, _selection(filters)) as layout:
        return _catch_up(store, layout, filters, stop, progress)


def follow_layout(
    store: BaseEventStore, where: Path, *, stop: threading.Event, **filters: Any
) -> Iterator[ExportSummary]:
    """``export_layout``, then again whenever events are recorded, until ``stop`` is set.

    Gives what was written, each time something was or could have been. Also ends when the store
    is closed.
    """
    with LayoutWriter(where, store.store_id, _selection(filters)) as layout:
        while True:
            summary = _catch_up(store, layout, filters, stop, None)
            yield summary
            after = max(summary.position, filters.get("after_position", 0))
            coming = store.follow(**{**filters, "after_position": after}, stop=stop)
            if next(coming, None) is None:
                return


def _catch_up(
    store: BaseEventStore,
    layout: LayoutWriter,
    filters: dict[str, Any],
    stop: threading.Event | None,
    progress: Progress | None,
) -> ExportSummary:
    with layout.turn() as position:
        if layout.is_replacing:
            layout.take_over(partial(_is_known, store))
            position = layout.position  # noqa: PLW2901
        last = store.last_position()
        if position > last:
            raise StoreUnavailable(
                f"the layout goes to position {position}, and the store only to {last}",
                hint="The store is an older copy: export it to a directory of its own.",
            )
        count = 0
        if _is_up_to_date(store, layout):
            count, ended = _write(store, layout, filters, stop, progress)
            if not ended:
                return ExportSummary(count, layout.position)
        while not _is_up_to_date(store, layout):  # or a rebase came meanwhile
            count = _write_anew(store, layout, filters, progress)
        return ExportSummary(count, layout.position)


def _is_up_to_date(store: BaseEventStore, layout: LayoutWriter) -> bool:
    """Whether no rebase has superseded what is written; notes up to which epoch that holds."""
    try:
        now = store.resume(Checkpoint(store.store_id, layout.epoch, layout.position))
    except StaleCheckpoint:
        return False
    layout.note_epoch(now.epoch)
    return True


def _write(
    store: BaseEventStore,
    layout: LayoutWriter,
    filters: dict[str, Any],
    stop: threading.Event | None,
    progress: Progress | None,
) -> tuple[int, bool]:
    """Write what comes after the layout's end: how many events, and whether that was all."""
    last = store.last_position()
    wanted = {**filters, "after_position": max(layout.position, filters.get("after_position", 0))}
    count = 0
    for written, position in layout.write(whole_history(store.read_all, wanted)):
        count += written
        if progress:
            progress("Exporting", position, max(position, last))
        if stop is not None and stop.is_set():
            return count, False
    layout.settle(last)
    return count, True


def _write_anew(
    store: BaseEventStore, layout: LayoutWriter, filters: dict[str, Any], progress: Progress | None
) -> int:
    """Make the layout again from the first event on, and put it in its own place."""
    with layout.anew() as aside, aside.turn():
        aside.note_epoch(store.epoch)
        count, _ = _write(store, aside, filters, None, progress)
    layout.take_over(partial(_is_known, store))
    return count


def _is_known(store: BaseEventStore, line: bytes) -> bool:
    """Whether a line is an event of the store, at whatever version."""
    try:
        given = DomainEvent.from_json(line)
        found = store.find_event(given.id) if given.id else None
    except InvalidEvent:
        return False
    same = found is not None and encode_line(replace(found.event, version=given.version))
    return same == line + b"\n"


class _Placed(Protocol):
    @property
    def position(self) -> int: ...

    @property
    def superseded_by(self) -> int | None: ...


P = TypeVar("P", bound=_Placed)


def whole_history(read: Callable[..., Iterator[P]], filters: dict[str, Any]) -> Iterator[P]:
    """The live events that pass ``filters``, those of ``read_all``, by position and lazily.

    ``read``: a store's ``read_all`` or ``read_encoded``. ``StoreCorrupted`` where an event is
    missing: a copy with holes must not pass for the history. What a rebase superseded is no hole;
    it is read to know that. With filters nobody can tell.
    """
    after = filters.get("after_position", 0)
    if any(value is not None for name, value in filters.items() if name != "after_position"):
        yield from read(**filters)
        return
    for recorded in read(**filters, superseded=True):
        if recorded.position != after + 1:
            raise StoreCorrupted(
                f"the store has lost the events at positions {after + 1} to "
                f"{recorded.position - 1}",
                hint="`sc-events verify` names them; with `--after` the rest can be exported.",
            )
        after = recorded.position
        if recorded.superseded_by is None:
            yield recorded


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


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write, which takes the place of the one at ``path`` when it is complete.

    Until then it lies beside it under a name of its own; after an error it is gone and ``path`` is
    as it was. A link is followed. What is no file, such as a named pipe, is written to directly.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as direct:
                yield direct
            return
        with _replacing(target) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EventStoreError(
            f"{path} cannot be written: {error.strerror}",
            hint="Remove the cause, or name another file; a file that was there is as it was.",
        ) from error


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    descriptor, aside = mkstemp(".part", ".export-", target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if target.exists():
                os.fchmod(descriptor, target.stat().st_mode & 0o777)
            yield file
            file.flush()
            sync_file(descriptor)
        os.replace(aside, target)  # noqa: PTH105 - both are open to see
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)  # noqa: PTH108
        raise
    sync_directory(target.parent)
