"""Taking over: the files of a layout that was made aside, moved into the place of the old ones.

``state.json`` says that this has begun before the first file is moved, and that it is done after
the last: whoever finds it half done finishes it, before anything else. Each file is whole at any
time: it is replaced, never rewritten. Under the lock.

What other programs wrote stays: the lines of an old file that are no events of the new layout are
appended to the new file before it takes the old one's place. The old file has another name aside
until the end, so that what is still written to it, by who had opened it before, is taken along;
whoever dies on the way. Old files that have no new one hold nothing else, and are left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from gitstore.backends.disk.files import sync_file
from gitstore.backends.jsonl.admitting import StrangeLine, whole_row
from gitstore.backends.jsonl.appending import append_lines
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.layout import ANEW, DATA_SUFFIX, INDEX, INDEXES, is_day
from gitstore.backends.jsonl.lines import Line
from gitstore.backends.jsonl.placing import put_in_place
from gitstore.backends.jsonl.scanning import NOTHING, Known, through, whole_lines
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.table.schema import Row
from gitstore.core.errors import StoreCorrupted

_PAGE = 500
_FORMER = ".former"
"""What follows the name of an old file, while it is kept aside."""


def is_begun(indexes: Folder) -> bool:
    """Whether a layout is half in the place of another."""
    with suppress(StoreCorrupted):
        state = LiveState.load(indexes)
        return state is not None and state.replacing
    return False


def finish(where: Path, root: Folder, indexes: Folder, state: LiveState) -> LiveState:
    """Move what is left to be moved, and say that it is done; gives the state from then on."""
    if ANEW in indexes.names():
        seen: dict[str, Known] = {}
        with indexes.folder(ANEW) as aside:
            if INDEXES in aside.names():  # else somebody died who was removing what is left
                with aside.folder(INDEXES) as new:
                    if new.size(INDEX) is not None:  # the last to be moved
                        _move_data(where, aside, root, seen)
                        put_in_place(new, indexes)
            _take_along(where, aside, root, seen)
        indexes.remove(ANEW)
    done = replace(state, replacing=False)
    done.save(indexes)
    return done


def index_aside(where: Path) -> Index:
    """The ``index.db`` of the layout that is made aside of the one at ``where``."""
    return Index(where / INDEXES / ANEW / INDEXES / INDEX, wal=False)


def is_moved(row: Row, found: Row | None) -> bool:
    """Whether both are one event, at whatever version and position."""
    return found is not None and found == row._replace(
        position=found.position, version=found.version
    )


def _move_data(where: Path, aside: Folder, root: Folder, seen: dict[str, Known]) -> None:
    """Move the data files; ``seen``: what was looked at of the old ones."""
    index = index_aside(where)
    try:
        for day in filter(is_day, aside.names()):
            with aside.folder(day) as new, root.made(day) as old:
                names = [name for name in new.names() if name.endswith(DATA_SUFFIX)]
                for name in names:
                    _keep(old, name, new)
                new.sync()
                for name in names:
                    _move_file(new, old, name, f"{day}/{name}", index, seen)
                old.sync()
    finally:
        index.file.close()


def _keep(old: Folder, name: str, new: Folder) -> None:
    """Keep an old file, under another name aside, for what may still be written to it."""
    # Not where file systems have no links: then only what comes until the file is moved is seen.
    with suppress(OSError):
        old.link(name, new, name + _FORMER)


def _move_file(
    new: Folder, old: Folder, name: str, file: str, index: Index, seen: dict[str, Known]
) -> None:
    try:
        descriptor = old.open_to_read(name)
    except FileNotFoundError:
        new.move(name, old, durable=False)
        return
    try:
        lines, known = _lines_of_others(descriptor, file, index)
        _append(new, name, lines)
        new.move(name, old, durable=False)
        lines, seen[file] = _lines_of_others(descriptor, file, index, known)
        _append(old, name, lines)
    finally:
        os.close(descriptor)


def _take_along(where: Path, aside: Folder, root: Folder, seen: Mapping[str, Known]) -> None:
    """Append what programs that take no lock wrote to old files while these were replaced."""
    index = Index(where / INDEXES / INDEX, wal=False)
    try:
        for day in filter(is_day, aside.names()):
            with aside.folder(day) as new, root.made(day) as old:
                for former in [name for name in new.names() if name.endswith(_FORMER)]:
                    name = former.removesuffix(_FORMER)
                    descriptor = new.open_to_read(former)
                    try:
                        file = f"{day}/{name}"
                        lines, _ = _lines_of_others(
                            descriptor, file, index, seen.get(file, NOTHING)
                        )
                        _append(old, name, lines)
                    finally:
                        os.close(descriptor)
    finally:
        index.file.close()


def _lines_of_others(
    descriptor: int, file: str, index: Index, known: Known = NOTHING
) -> tuple[list[bytes], Known]:
    """The lines after ``known`` that are no events of the new layout, and what was looked at."""
    kept: list[bytes] = []
    lines = whole_lines(descriptor, file, known)
    while page := list(islice(lines, _PAGE)):
        others = _others([line for line in page if line.text], index)
        kept += [os.pread(descriptor, line.length, line.offset) for line in others]
        known = through(page[-1])
    # Of one that is being written, the whole line comes later, and is taken along.
    torn = os.pread(descriptor, os.fstat(descriptor).st_size - known.size, known.size)
    return [*kept, torn + b"\n"] if torn.strip(b"\0") else kept, known


def _others(lines: Sequence[Line], index: Index) -> Iterator[Line]:
    rows = [_row_of(line) for line in lines]
    ids = [row.event_id for row in rows if row is not None]
    known = {row.event_id: row for row in index.rows_by_ids(ids)}
    for line, row in zip(lines, rows, strict=True):
        if row is None or not is_moved(row, known.get(row.event_id)):
            yield line


def _row_of(line: Line) -> Row | None:
    try:
        return whole_row(line)
    except StrangeLine:
        return None


def _append(folder: Folder, name: str, lines: Sequence[bytes]) -> None:
    if not lines:
        return
    descriptor, _ = folder.open_to_append(name)
    try:
        append_lines(descriptor, lines, 0)
        sync_file(descriptor)
    finally:
        os.close(descriptor)
