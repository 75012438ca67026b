"""Writing a layout: in batches, each of which can be written again after a crash.

Before a batch its last position and the sizes of its files are noted, durably. So a writer that
finds such a note knows which bytes came after it, keeps those that are its own lines, and adds what
is missing: nothing stands twice, and what others have written is not cut.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from gitstore.backends.disk.files import DIRECTORY_MODE, sync_directory, sync_file
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl.appending import append_lines
from gitstore.backends.jsonl.folders import Folder, writing_errors_told
from gitstore.backends.jsonl.layout import ANEW, INDEXES, STATE, data_file, index_files, index_line
from gitstore.backends.jsonl.layoutanew import IsKnown, move_over
from gitstore.backends.jsonl.layoutstate import LayoutState, Writing
from gitstore.backends.jsonl.lines import encode_line
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreUnavailable
from gitstore.core.event import RecordedEvent
from gitstore.core.timestamps import format_timestamp

BATCH = 10_000
"""Most events written under one note."""
_BATCH_BYTES = 16 * 1024 * 1024
_LOCK = ".lock"
_LEFT_BY_A_CRASH = frozenset({_LOCK, f".{STATE}.new"})
# From so many files on one sync of everything costs less. Elsewhere it need not wait for the disk.
_FEW = 64 if sys.platform == "linux" else sys.maxsize

Batch = Sequence[tuple[RecordedEvent, str, bytes]]
"""Events with the texts of their times, and their lines."""


class LayoutWriter:
    """One writer of a layout, a context manager; the directory is made where there is none.

    - ``store_id`` and ``selection`` (any JSON object): the store the events come from, and which
      of them; a layout made with others is refused with ``StoreUnavailable``, and so is a
      directory that holds something else.

    Several writers may have one layout open: they take turns.
    """

    def __init__(self, where: Path, store_id: str, selection: Mapping[str, JSON]) -> None:
        self._where = where
        self._state = LayoutState(store_id, dict(selection))
        with writing_errors_told(str(where)):
            self._root = _root_at(where)
            try:
                self._indexes = _indexes_of(self._root)
            except BaseException:
                self._root.close()
                raise
        self._lock = FileLock(where / INDEXES / _LOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()
        self._indexes.close()
        self._root.close()

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait until no other writer is at work; gives the position up to which all is written."""
        with writing_errors_told(self._root.path):
            self._indexes.size(_LOCK)  # the lock itself would follow a link
            with self._lock.held():
                self._load()
                if not self._state.replacing:
                    self._indexes.remove(ANEW)  # left by one that was killed
                yield self._state.position

    @property
    def position(self) -> int:
        """The position up to which all is written, as this writer last knew it."""
        return self._state.position

    def write(self, events: Iterable[RecordedEvent]) -> Iterator[tuple[int, int]]:
        """Write all events after ``position`` in batches; gives the count and end of each.

        The end is its last position. To be called within a ``turn``; stop after any
        of them.
        """
        for batch in self._batches(events):
            self._write_batch(batch)
            yield len(batch), self._state.position

    def settle(self, position: int) -> None:
        """Note that all up to ``position`` is written, where the last events are not wanted."""
        if position > self._state.position:
            self._save(self._state.done(position))

    @property
    def epoch(self) -> int:
        """The store's epoch when what is written was read."""
        return self._state.epoch

    @property
    def is_replacing(self) -> bool:
        """Whether a layout made anew is about to take this one's place: ``take_over`` goes on."""
        return self._state.replacing

    def note_epoch(self, epoch: int) -> None:
        """What is written from now on is read at this epoch, and what is here holds at it too."""
        if epoch != self._state.epoch:
            self._save(replace(self._state, epoch=epoch))

    def anew(self) -> LayoutWriter:
        """A writer of an empty layout of the same events, beside this one; within a ``turn``."""
        state = self._state
        return LayoutWriter(self._where / INDEXES / ANEW, state.store_id, state.selection)

    def take_over(self, is_known: IsKnown) -> None:
        """Put the layout made ``anew`` in the place of this one; within a ``turn``.

        ``is_known``: see ``layoutanew``. When it was cut short, it must be called again.
        """
        if not self._state.replacing:
            self._save(replace(self._state, replacing=True))
        with self._indexes.folder(ANEW) as aside:
            with aside.folder(INDEXES) as indexes:
                state = LayoutState.load(indexes)
            assert state is not None  # it was complete before this began
            move_over(aside, self._root, is_known)
        self._save(state)
        self._indexes.remove(ANEW)

    def _load(self) -> None:
        found = LayoutState.load(self._indexes)
        if found is None:
            self._save(self._state)
            return
        if found.store_id != self._state.store_id:
            raise self._refused("was made from another store")
        if found.selection != self._state.selection:
            raise self._refused("was made with other filters")
        self._state = found

    def _refused(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"the layout {self._root.path} {why}",
            hint="Name a directory of its own for this export; nothing was changed in that one.",
        )

    def _save(self, state: LayoutState) -> None:
        state.save(self._indexes)
        self._state = state

    def _batches(self, events: Iterable[RecordedEvent]) -> Iterator[Batch]:
        """A batch that was begun before is made again as it was."""
        batch: list[tuple[RecordedEvent, str, bytes]] = []
        size = 0
        ends_at = self._state.writing.position if self._state.writing else None
        for recorded in events:
            full = len(batch) == BATCH or size > _BATCH_BYTES
            if batch and (full if ends_at is None else recorded.position > ends_at):
                yield batch
                batch, size, ends_at = [], 0, None
            assert recorded.event.timestamp is not None  # a recorded event has one
            time = format_timestamp(recorded.event.timestamp)
            line = encode_line(recorded.event, time)
            batch.append((recorded, time, line))
            size += len(line)
        if batch:
            yield batch

    def _write_batch(self, batch: Batch) -> None:
        by_file: dict[str, list[int]] = {}
        for at, (recorded, time, _) in enumerate(batch):
            by_file.setdefault(data_file(recorded.stream_id, time), []).append(at)
        kinds = {recorded.event.type for recorded, _, _ in batch}
        names = {*by_file, *chain.from_iterable(map(index_files, kinds))}
        position = batch[-1][0].position
        if self._state.writing is None:
            self._save(self._state.begun(Writing(position, self._sizes(names))))
        each = len(names) <= _FEW
        data = {name: [batch[at][2] for at in places] for name, places in by_file.items()}
        offsets = self._append(data, each=each)
        self._append(_index_lines(batch, by_file, offsets), each=each)
        if not each:
            os.sync()
        self._save(self._state.done(position))

    def _sizes(self, names: Iterable[str]) -> dict[str, int]:
        sizes = {}
        for path, files in _by_folder(names):
            with suppress(FileNotFoundError), self._folder(path, make=False) as folder:
                for file in files:
                    size = folder.size(file)
                    if size is not None:
                        sizes[f"{path}/{file}"] = size
        return sizes

    def _append(self, lines: Mapping[str, Sequence[bytes]], *, each: bool) -> dict[str, list[int]]:
        """Append to files; gives where each line begins. ``each``: make them durable one by one."""
        assert self._state.writing is not None
        sizes = self._state.writing.sizes
        offsets = {}
        for path, files in _by_folder(lines):
            with self._folder(path, make=True) as folder:
                for file in files:
                    name = f"{path}/{file}"
                    size = sizes.get(name, 0)
                    offsets[name] = _append_to(folder, file, lines[name], size, durable=each)
        return offsets

    @contextmanager
    def _folder(self, path: str, *, make: bool) -> Iterator[Folder]:
        parent = self._root
        opened: list[Folder] = []
        try:
            for part in path.split("/"):
                parent = parent.made(part) if make else parent.folder(part)
                opened.append(parent)
            yield parent
        finally:
            for folder in opened:
                folder.close()


def _append_to(
    folder: Folder, file: str, lines: Sequence[bytes], start: int, *, durable: bool
) -> list[int]:
    descriptor, is_new = folder.open_to_append(file)
    try:
        offsets = append_lines(descriptor, lines, start)
        if durable:
            sync_file(descriptor)
    finally:
        os.close(descriptor)
    if durable and is_new:
        folder.sync()
    return offsets


def _index_lines(
    batch: Batch, by_file: Mapping[str, Sequence[int]], offsets: Mapping[str, Sequence[int]]
) -> dict[str, list[bytes]]:
    placed = sorted(
        (at, name, offset)
        for name, places in by_file.items()
        for at, offset in zip(places, offsets[name], strict=True)
    )
    lines: dict[str, list[bytes]] = {}
    for at, name, offset in placed:
        recorded, time, _ = batch[at]
        event, version = recorded.event, recorded.version
        line = index_line(recorded.position, time, event.stream_id, version, name, offset)
        for index in index_files(recorded.event.type):
            lines.setdefault(index, []).append(line)
    return lines


def _by_folder(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Names of files by the folder they are in, all sorted."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    for folder in sorted(folders):
        yield folder, sorted(folders[folder])


def _root_at(where: Path) -> Folder:
    if not where.exists():
        where.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            where.mkdir(mode=DIRECTORY_MODE)
        sync_directory(where.parent)
    return Folder.at(where)


def _indexes_of(root: Folder) -> Folder:
    """The folder of indexes; ``StoreUnavailable`` in a directory no export has made."""
    names = root.names()
    if INDEXES in names:
        indexes = root.folder(INDEXES)
        inside = set(indexes.names())
        if STATE in inside or (names == [INDEXES] and inside <= _LEFT_BY_A_CRASH):
            return indexes
        indexes.close()
    elif not names:
        return root.made(INDEXES)
    raise StoreUnavailable(
        f"{root.path} holds something that no export has made",
        hint="Name another directory; what is in that one can be imported with `sc-events import`.",
    )
