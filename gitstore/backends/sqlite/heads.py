"""Where streams end, for those who append: a cache that is right while ``last`` is the last."""

from __future__ import annotations

from gitstore.backends.table.table import EventTable

_MOST = 50_000


class Heads:
    """Versions of streams and the last position; use it under the store's lock.

    Another program may have written: whoever inserts makes it a condition that ``last`` still is
    the last position, and forgets all where it is not.
    """

    def __init__(self, table: EventTable) -> None:
        self._table = table
        self._versions: dict[str, int] = {}
        self.last = -1
        """The highest position; -1: not known."""

    def get(self, stream_id: str) -> int:
        """The version of a stream, 0 where there is none."""
        version = self._versions.get(stream_id)
        if version is None:
            version = self._table.head(stream_id)
            self.note(stream_id, version)
        return version

    def note(self, stream_id: str, version: int) -> None:
        """Take over where a stream ends."""
        if len(self._versions) >= _MOST:
            self._versions.clear()
        self._versions[stream_id] = version

    def refresh(self) -> None:
        """Take over what others have done since."""
        last = self._table.last_position()
        if last != self.last:
            self._versions.clear()
        self.last = last

    def forget(self) -> None:
        """Know nothing any more."""
        self._versions.clear()
        self.last = -1
