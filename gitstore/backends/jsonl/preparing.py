"""Making a layout ready for use: on opening, and when its files are no longer what they were.

Everything under the lock. What is derived and damaged, missing or of another version is made anew;
the journal comes first, because what it has is recorded, whatever the files say.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.index import Index
from gitstore.backends.jsonl.layout import BY_STREAM, INDEX, INDEXES, is_day
from gitstore.backends.jsonl.layoutreading import LayoutReader
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.rebuilding import rebuild
from gitstore.backends.jsonl.recovery import bring_up, catch_up, has_news, recover, replay, settle
from gitstore.backends.jsonl.restoring import DAMAGED
from gitstore.backends.jsonl.state import LiveState
from gitstore.backends.jsonl.takeover import finish, is_begun
from gitstore.backends.jsonl.takingin import take_in
from gitstore.backends.table.tablefile import TableDamaged
from gitstore.core.errors import EventStoreError, StoreCorrupted, StoreUnavailable

_LOG = logging.getLogger("gitstore.store")


def prepare(parts: Parts, state: LiveState | None) -> None:
    """Bring journal, files and indexes into step; ``state``: what ``state.json`` says."""
    if state is None and _is_empty(parts):
        parts.state.save(parts.indexes)
        state = parts.state
    journaled = replay(parts)
    try:
        if parts.index.is_new() and _is_empty(parts):
            parts.index.create(parts.state)
        if state is None or not parts.index.is_known():
            raise StoreCorrupted("its indexes are missing, or of another version")
        if parts.index.noted()[0] != state.store_id:
            raise StoreCorrupted(f"{INDEX} is of another store")
        recover(parts, journaled)
        _check_ends(parts)
        sizes = _sizes(parts)
        _check_data(parts, sizes)
    except StoreCorrupted as error:
        make_anew(parts, error)
        sizes = _sizes(parts)
    if journaled:
        settle(parts)
    take_in(parts, unseen(parts, sizes))


def state_of(where: Path, root: Folder, indexes: Folder, index: Index) -> LiveState | None:
    """What ``state.json`` says, or where that is damaged, what ``index.db`` notes of it.

    ``None`` where there is none; ``StoreCorrupted`` where both are damaged. Where it says that a
    layout is taking the place of another, that is finished first.
    """
    state = _state_of(indexes, index)
    if state is not None and state.replacing:
        _LOG.info("%s: the layout made anew takes its place", where)
        return finish(where, root, indexes, state)
    return state


def _state_of(indexes: Folder, index: Index) -> LiveState | None:
    try:
        return LiveState.load(indexes)
    except StoreCorrupted as error:
        with suppress(StoreCorrupted):
            if index.is_known():
                state = index.state()
                state.save(indexes)
                _LOG.warning("%s is put back: %s", indexes.path, error)
                return state
        raise


def is_current(parts: Parts) -> bool:
    """Whether nobody has written or replaced anything; exact under the lock, safe without it."""
    return parts.look_around() == parts.surroundings and not has_news(parts)


def keep_up(parts: Parts) -> None:
    """Take over what others have done since this process left the lock."""
    if not is_current(parts):
        surroundings = parts.look_around()
        _keep_up(parts)
        parts.surroundings = surroundings


def _keep_up(parts: Parts) -> None:
    if not parts.is_in_place():
        raise StoreUnavailable(
            f"{parts.where}/{INDEXES} was removed or replaced while the store was open",
            hint="Close the store and open it again: what is recorded is in the data files.",
        )
    replaced = any((parts.index.is_replaced(), parts.journal.is_gone(), parts.filing.is_replaced()))
    if replaced or is_begun(parts.indexes):
        prepare_again(parts)
        return
    try:
        catch_up(parts)
    except StoreCorrupted as error:
        _LOG.warning("%s is looked through: %s", parts.where, error)
        prepare_again(parts)


def restore(parts: Parts) -> None:
    """Put back lines of recorded events that were removed from data files; kept up."""
    bring_up(parts)
    make_anew(parts, StoreCorrupted("lines of recorded events were removed"))


def put_index_aside(parts: Parts) -> None:
    """Have a damaged ``index.db`` made anew; what can be read of the old one is kept."""
    with parts.indexes.made(DAMAGED) as folder:
        parts.indexes.move(INDEX, folder)  # not closed: other threads may be reading it
    for log in ("-wal", "-shm"):
        parts.indexes.unlink(f"{INDEX}{log}")
    parts.index.file.reopen()


def prepare_again(parts: Parts) -> None:
    """Begin as on opening, with what this process remembers."""
    with suppress(EventStoreError):  # the journal has it too, if that is still there
        last = parts.index.last_position()
        fresh = [entry for entry in parts.tail.entries if entry.row.position > last]
        if fresh:
            parts.index.take_in(fresh, 0)
    known = parts.state
    state = state_of(parts.where, parts.root, parts.indexes, parts.index)
    parts.index.file.reopen()
    parts.filing.forget()
    parts.journal.reopen(parts.indexes)
    parts.tail.restart(0)
    if state is None:
        known.save(parts.indexes)
    parts.state = state or known
    prepare(parts, parts.state)


def make_anew(parts: Parts, error: StoreCorrupted) -> None:
    """Make the indexes anew, and restore lines that are missing; ``error``: what was wrong."""
    _LOG.warning("%s: indexes are made anew: %s", parts.where, error)
    if parts.journal.count:
        settle(parts)
        parts.journal.forget_for_good()  # its positions may come to be others'
    if isinstance(error, TableDamaged):
        put_index_aside(parts)
    try:
        rebuild(parts)
    except TableDamaged:
        put_index_aside(parts)
        rebuild(parts)
    parts.filing.take_over()


def _check_ends(parts: Parts) -> None:
    """``StoreCorrupted`` where an index of a type was removed or cut."""
    for name, size in parts.index.known_texts():
        if parts.filing.open(name).size() != size:
            raise StoreCorrupted(f"{name} does not list all events of its type")


def _check_data(parts: Parts, sizes: Mapping[str, int]) -> None:
    """``StoreCorrupted`` where a data file was removed or cut."""
    for name, (known, _) in parts.index.known_files().items():
        size = sizes.get(name, 0)
        if size < known:
            raise StoreCorrupted(f"{name} was cut: it has {size:,} of {known:,} bytes")


def unseen(parts: Parts, sizes: Mapping[str, int]) -> list[str]:
    """The data files that have another size than the index tells of."""
    known = parts.index.known_files()
    return [name for name, size in sizes.items() if known.get(name, (0, 0))[0] != size]


def _sizes(parts: Parts) -> dict[str, int]:
    """The data files."""
    with LayoutReader(parts.where) as reader:
        return dict(reader.data_files())


def _is_empty(parts: Parts) -> bool:
    return not parts.indexes.size(BY_STREAM) and not any(map(is_day, parts.root.names()))
