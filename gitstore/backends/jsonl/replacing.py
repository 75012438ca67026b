"""Replacing a whole layout by another one of the same events, at other versions or positions.

For an export whose source was rebased: events then have other versions, and no line may be
changed. So the layout is made anew aside, while the old one can be read and written to. Then, under
the lock, it takes the old one's place, if that has nothing which the new one has not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.jsonl.folders import Folder, writing_errors_told
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.layout import ANEW, INDEXES
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.preparing import keep_up, prepare_again
from gitstore.backends.jsonl.recovery import bring_up, settle
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.takeover import index_aside, is_begun, is_moved
from gitstore.backends.jsonl.takingin import take_in
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.event import RecordedEvent

_LOCK = ".anew.lock"
_PAGE = 500
_CLOCK_TICK = 0.02
"""Changes of a directory that come closer together may leave the same time on it."""


class WouldLose(StoreUnavailable):
    """A layout has an event that the one which is to replace it has not, or otherwise.

    ``recorded``: the first of them.
    """

    hint = "Nothing was replaced; name a directory of its own."

    def __init__(self, where: Path, recorded: RecordedEvent) -> None:
        self.recorded = recorded
        name = f"{recorded.stream_id}@{recorded.version} (id {recorded.event.id})"
        super().__init__(f"{where} has {name}, which what is to replace it has not")


@contextmanager
def replacement(parts: Parts, store_id: str) -> Iterator[Path | None]:
    """Where to make the layout that takes this one's place when the block ends; ``None``: nowhere.

    ``store_id``: the id of the layout that is to be replaced. Where it has another by now, somebody
    else has replaced it. One at a time, over all processes: waits for the others. After an
    error nothing is replaced; ``WouldLose`` where something would be lost.
    """
    parts.indexes.size(_LOCK)  # the lock itself would follow a link
    lock = FileLock(parts.where / INDEXES / _LOCK)
    try:
        with lock.held():
            if not _is_still(parts, store_id):
                yield None
                return
            try:
                yield parts.where / INDEXES / ANEW
                with writing_errors_told(str(parts.where)):
                    _take_place(parts, store_id)
            finally:
                _clear(parts)
    finally:
        lock.close()


def _is_still(parts: Parts, store_id: str) -> bool:
    """Whether the layout has this id; then there is an empty place aside of it."""
    with writing_errors_told(str(parts.where)), parts.lock.held():
        keep_up(parts)
        if parts.state.store_id != store_id:
            return False
        parts.indexes.remove(ANEW)  # left by one that was killed
        parts.indexes.made(ANEW).close()
        return True


def _clear(parts: Parts) -> None:
    with writing_errors_told(str(parts.where)), parts.lock.held():
        keep_up(parts)  # finishes what was begun
        if not is_begun(parts.indexes):
            parts.indexes.remove(ANEW)


def _take_place(parts: Parts, store_id: str) -> None:
    index = index_aside(parts.where)
    try:
        checked = _check_keeps_all(parts, index, 0)  # most of it while others may go on
        with parts.lock.held():
            keep_up(parts)
            bring_up(parts)
            with LayoutReader(parts.where) as reader:
                take_in(parts, [name for name, _ in reader.data_files()])
            if parts.state.store_id != store_id:
                checked = 0  # positions were given anew meanwhile
            _check_keeps_all(parts, index, checked)
            settle(parts)
            parts.journal.forget_for_good()  # its positions come to be others'
            index.file.close()
            _begin(parts.indexes)
            prepare_again(parts)
    finally:
        index.file.close()


def _begin(indexes: Folder) -> None:
    with indexes.folder(ANEW) as aside, aside.folder(INDEXES) as new:
        state = LiveState.load(new)
    if state is None:
        raise StoreCorrupted(f"{indexes.path}/{ANEW} was changed while it was made")
    # So that whoever had the lock before sees it by the time of the folder, also if this one dies.
    time.sleep(_CLOCK_TICK)
    replace(state, replacing=True).save(indexes)


def _check_keeps_all(parts: Parts, new: Index, after: int) -> int:
    """``WouldLose`` where an event after this position is not in the new index; gives the last."""
    while rows := parts.index.rows_after(after, _PAGE):
        found = {row.event_id: row for row in new.rows_by_ids([row.event_id for row in rows])}
        for row in rows:
            if not is_moved(row, found.get(row.event_id)):
                raise WouldLose(parts.where, row.recorded())
        after = rows[-1].position
    return after
