"""Reading back: whether a store gives what was written to it, byte for byte and in that order.

Of what is written a digest is kept, so that the source need not be read a second time for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from gitstore.core import canonical
from gitstore.core.event import RecordedEvent


class Written:
    """A digest of events, in their order; ``count``: how many."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.count = 0

    def add(self, batch: Sequence[RecordedEvent]) -> None:
        """These were written next."""
        update = self._digest.update
        for event in [recorded.event for recorded in batch]:
            update(
                canonical.line_of(
                    [
                        event.id,
                        event.stream_id,
                        event.type,
                        event.version,
                        event.timestamp,
                        event.data,
                        event.metadata,
                    ]
                )
            )
        self.count += len(batch)

    def last_of(
        self, given: Iterable[RecordedEvent], tell: Callable[[int], None]
    ) -> RecordedEvent | None:
        """The last of as many events; ``None`` where these are not the ones that were written.

        ``tell`` is told of each how many were read.
        """
        read, last = Written(), None
        for last in islice(given, self.count):
            read.add((last,))
            tell(read.count)
        return last if read._digest.digest() == self._digest.digest() else None
