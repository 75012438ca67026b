"""Export: the events of a store as JSON lines.

An event gives the same bytes whenever and wherever it is exported, and neither position nor commit
is among them: those are the store's. ``import`` brings such lines into any store, with equal
commits; but an event that a rebase replayed comes without the origin that its commit names.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from gitstore.backends.disk.files import FILE_MODE, sync_directory, sync_file
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import EventStoreError, StoreCorrupted
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
    aside = target.parent / f".export-{secrets.token_hex(8)}.part"
    try:  # before it is made: Ctrl-C may come at any moment
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            if target.exists():
                os.fchmod(descriptor, target.stat().st_mode & 0o777)
            yield file
            file.flush()
            sync_file(descriptor)
        aside.replace(target)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    sync_directory(target.parent)
