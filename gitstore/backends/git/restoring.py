"""Lost commits from the index: its rows, encoded again, give the same objects id for id."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from gitstore.backends.git.checking_refs import is_sound
from gitstore.backends.git.checking_rows import ODDITIES
from gitstore.backends.git.commits import SPILL_OVER, GitObject, committer_date
from gitstore.backends.git.indexhistory import LIVE, SUPERSEDED
from gitstore.backends.git.indexschema import unpack_id
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import objects_of, row_of_commit
from gitstore.backends.git.salvaging import listed, write_objects
from gitstore.core.errors import EventStoreError

_PAGE = 1_000
_NO_END = 2**63 - 1
_LEAST_ROW = 64
"""Bytes that an event takes at least, in its table and the indexes of that."""
FAULTS = (EventStoreError, sqlite3.Error, *ODDITIES)
"""What damaged rows, and commits that are lost, raise."""


class IndexedRow(NamedTuple):
    """A row of the index, in the journal's form; ``superseded_by``: a position, unchecked."""

    row: JournalRow
    superseded_by: int | None


def index_rows(parts: Parts, *, lost: bool = False) -> Iterator[IndexedRow]:
    """The index's rows that give their commit's id, or whose commit git has, by position.

    ``lost``: the others too, for their places; their data may be missing or wrong.
    """
    for raw, row in _placed_rows(parts):
        sound = _checked(parts, row, has_data=raw[11] is not None)
        if sound is not None or lost:
            yield IndexedRow(sound or row, raw[14] if isinstance(raw[14], int) else None)


def raw_rows(parts: Parts) -> Iterator[tuple[Any, ...]]:
    """Rows of the index as they lie there; those on damaged pages are passed over."""
    if not parts.layout.index.exists():
        return
    top = _most_rows(parts)
    with contextlib.closing(
        sqlite3.connect(f"{parts.layout.index.as_uri()}?mode=ro", uri=True)
    ) as db:
        yield from _between(parts, db, 0, top)
    while page := _page(parts, top, _NO_END):
        yield from page
        top = page[-1][0]


def _between(
    parts: Parts, db: sqlite3.Connection, after: int, to: int
) -> Iterator[tuple[Any, ...]]:
    """Rows with ``after < position <= to``, by halves where some of them cannot be read."""
    while after < to:
        page = _page(parts, after, to)
        if page is None:
            if to - after == 1:
                yield from _one(db, to)
            else:
                middle = (after + to) // 2
                yield from _between(parts, db, after, middle)
                yield from _between(parts, db, middle, to)
            return
        yield from page
        if len(page) < _PAGE:
            return
        after = max(after + 1, page[-1][0])


def _page(parts: Parts, after: int, to: int) -> list[tuple[Any, ...]] | None:
    """``None`` where one of the rows cannot be read."""
    try:
        # Never more rows than there can be: looking for the next would come by the next page.
        return parts.index.raw_page(after, to, min(_PAGE, to - after))
    except FAULTS:
        return None


def _one(db: sqlite3.Connection, position: int) -> list[tuple[Any, ...]]:
    """The row of a position, looked up by itself: a search from the one before may fail there."""
    found: list[tuple[Any, ...]] = []
    for select in (LIVE, SUPERSEDED):
        with contextlib.suppress(*FAULTS):
            found += db.execute(f"{select} position = ?", (position,)).fetchall()
    return found[:1]


def _most_rows(parts: Parts) -> int:
    """How far positions go: as the index says, else as many as its file can hold."""
    files = (parts.layout.index, parts.layout.index.with_name("index.db-wal"))
    most = sum(path.stat().st_size for path in files if path.exists()) // _LEAST_ROW
    try:
        through = parts.index.state()[0]
    except FAULTS:
        return most
    return through if 0 < through <= most else most


class _Ends:
    """Commit and date of where each stream ends, by its number, as rows are gone through.

    Where a rebase begins, those of its fork.
    """

    def __init__(self, parts: Parts) -> None:
        self._ends: dict[int, int] = {}
        self._placed: dict[int, dict[int, tuple[bytes, int]]] = {}
        self._forks: dict[int, int] = {}
        with contextlib.suppress(*FAULTS):
            self._forks = parts.index.forks()

    def before(self, stream: int, version: int) -> tuple[bytes | None, int]:
        """What an event of this version stands on."""
        end = self._ends.get(stream, 0)
        below = version - 1 if version <= end else end
        return self._placed.get(stream, {}).get(below, (None, 0))

    def note(self, stream: int, row: JournalRow) -> None:
        """Go on from a row."""
        placed = self._placed.setdefault(stream, {})
        if row.version <= self._forks.get(stream, _NO_END):  # no rebase went from below
            placed.clear()
        placed[row.version] = (row.commit_id, row.date)
        self._ends[stream] = row.version


def _placed_rows(parts: Parts) -> Iterator[tuple[tuple[Any, ...], JournalRow]]:
    """Rows of the index as they lie there, and in the journal's form."""
    ends = _Ends(parts)
    for raw in raw_rows(parts):
        row = _as_row(parts, raw, ends)
        if row is not None:
            # Its successor can be encoded, also where the row itself has no data any more.
            ends.note(raw[1], row)
            yield raw, row


def _as_row(parts: Parts, raw: tuple[Any, ...], ends: _Ends) -> JournalRow | None:
    """A row of the index in the journal's form, unchecked; ``None`` where it has no sense."""
    position, stream, version, kind, time, packed, commit = raw[:7]
    data, metadata, origin = raw[11:14]
    if not isinstance(version, int) or not isinstance(commit, bytes) or len(commit) != 20:
        return None
    parent, date = ends.before(stream, version)
    try:
        return JournalRow(
            position,
            parts.index.stream_name(stream),
            version,
            parts.index.word(kind),
            time,
            unpack_id(packed) if isinstance(packed, bytes) else packed,
            commit,
            parent,
            committer_date(time, date),
            data or b"",
            metadata or b"{}",
            origin,
        )
    except FAULTS:
        return None


def _checked(parts: Parts, row: JournalRow, *, has_data: bool) -> JournalRow | None:
    """The row where it gives its commit's id, else what git has, else nothing."""
    with contextlib.suppress(*FAULTS):
        if has_data:
            objects_of(row)
            return row
    with contextlib.suppress(*FAULTS):
        return row_of_commit(parts.objects, row.commit_id.hex(), row.position)
    return None


def restore_commits(parts: Parts) -> int:
    """Write the events again that the index knows and git has lost; how many objects those were."""
    return write_objects(
        parts.layout,
        (
            item
            for row, _ in index_rows(parts)
            for item in objects_of(row)
            if not is_sound(parts.objects, item.id)
        ),
    )


def restore_spilled(parts: Parts) -> int:
    """Find the blobs again of events whose commit or tree is lost; how many objects were written.

    The index knows all of such an event but its data: the blob that gives the commit's id is it.
    """
    lost = list(_spilled_and_lost(parts))
    if not lost:
        return 0
    found = (
        item
        for data in _large_blobs(parts)
        for row in lost
        for item in _objects_with(row, data)
        if not is_sound(parts.objects, item.id)
    )
    return write_objects(parts.layout, found)


def _spilled_and_lost(parts: Parts) -> Iterator[JournalRow]:
    for raw, row in _placed_rows(parts):
        if raw[11] is None and _checked(parts, row, has_data=False) is None:
            yield row


def _large_blobs(parts: Parts) -> Iterator[bytes]:
    """Every blob that spilled data may be."""
    for index in sorted(parts.layout.packs.glob("pack-*.idx")):
        for name in listed(index):
            with contextlib.suppress(*FAULTS):
                kind, content = parts.objects.read_any(name) or ("", b"")
                if kind == "blob" and len(content) > SPILL_OVER:
                    yield content


def _objects_with(row: JournalRow, data: bytes) -> list[GitObject]:
    """The objects of a row with this data, none where they do not give its commit's id."""
    try:
        return objects_of(row._replace(data=data))
    except FAULTS:
        return []
