"""Reading back: whether a store gives what was written to it, byte for byte and in that order.

Of what is written a digest is kept, so that the source need not be read a second time for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from gitstore.core.encoded import EncodedEvent


class Written:
    """A digest of events, in their order; ``count``: how many."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.count = 0

    def add(self, batch: Sequence[EncodedEvent]) -> None:
        """These were written next."""
        for event in batch:
            self._digest.update(event.whole())
        self.count += len(batch)

    def last_of(
        self, given: Iterable[EncodedEvent], tell: Callable[[int], None]
    ) -> EncodedEvent | None:
        """The last of as many events; ``None`` where these are not the ones that were written.

        ``tell`` is told of each how many were read.
        """
        read, last = Written(), None
        for last in islice(given, self.count):
            read.add((last,))
            tell(read.count)
        return last if read._digest.digest() == self._digest.digest() else None
