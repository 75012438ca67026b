"""Where streams end, for those who append: a cache that is right while the write lock is held."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import NO_HEAD, head_of
from gitstore.core.errors import InvalidEvent

_MOST = 50_000
_AT_ONCE = 8
"""From so many streams on, one look at the index costs less than one for each."""


class Heads:
    """Stream heads and the highest position; use it under the store's write lock."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._heads: dict[str, StreamHead] = {}
        self.flushed = -1
        """The journal's ``flushed`` when the cache was last right; -1: never."""
        self.last = 0
        """The highest position given."""

    def get(self, stream: str) -> StreamHead:
        """Where the stream ends; ``NO_HEAD`` for one that is not there."""
        head = self._heads.get(stream)
        if head is None:
            head = self._look_up(stream)
            if len(self._heads) >= _MOST:
                self._heads.clear()
            self._heads[stream] = head
        return head

    def load(self, streams: Collection[str]) -> None:
        """Look up where these streams end, at once; ``get`` then knows, while they are few."""
        missing = [stream for stream in streams if stream not in self._heads]
        if len(missing) < _AT_ONCE or len(missing) > _MOST or self._parts.journal.count():
            return
        if len(self._heads) + len(missing) > _MOST:
            self._heads.clear()
        found = self._parts.index.heads_of(missing)
        self._heads.update((stream, found.get(stream, NO_HEAD)) for stream in missing)

    def note(self, rows: Sequence[JournalRow]) -> None:
        """Take over events that were just recorded."""
        for row in {row.stream: row for row in rows}.values():
            self._heads[row.stream] = head_of(row)
        self.last = rows[-1].position

    def refresh(self) -> None:
        """Take over what other processes, or a flush, have done since."""
        flushed, last = self._parts.journal.highest()
        if last != self.last:
            self._heads.clear()
        self.flushed, self.last = flushed, last

    def forget(self) -> None:
        """Know nothing any more."""
        self._heads.clear()
        self.flushed, self.last = -1, -1

    def check_new_stream(self, stream: str) -> None:
        """Refuse a stream that a case-folding file system could not tell from another."""
        if self._parts.folds_case:
            twin = self._parts.index.twin_by_case(stream)
            waiting = self._parts.journal.streams()
            twin = twin or next(
                (s for s in waiting if s != stream and s.casefold() == stream.casefold()), None
            )
            if twin is not None:
                raise InvalidEvent(
                    f"stream {stream!r} differs from {twin!r} in case only, which this store's "
                    "file system cannot hold",
                    hint="Use the existing name, or keep the store on a case-sensitive disk.",
                )

    def _look_up(self, stream: str) -> StreamHead:
        rows = self._parts.journal.stream_page(stream, 0, 2**63 - 1, 1, backwards=True)
        if rows:
            return head_of(rows[0])
        return self._parts.index.head(stream) or NO_HEAD
