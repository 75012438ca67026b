"""Two stores that record in the same streams, and rebases of ours onto theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.store import GitEventStore
from gitstore.sync.pulling import pull
from tests.sync.machines import opened


@dataclass
class Sides:
    """Our store, open, and theirs; events have running numbers as ids and data."""

    ours: GitEventStore
    theirs: GitEventStore
    numbers: Iterator[int]

    def here(self, *streams: str) -> None:
        """Append an event to each of these streams of ours."""
        self._append(self.ours, streams)

    def there(self, *streams: str) -> None:
        """Append an event to each of these streams of theirs."""
        self._append(self.theirs, streams)

    def give(self) -> None:
        """Let them take in what continues their streams."""
        self.ours.flush()
        pull(self.theirs, str(self.ours.status().where))

    def rebase(self) -> int:
        """Take theirs in, ours after it; gives how many streams were rebased."""
        self.theirs.flush()
        return len(pull(self.ours, str(self.theirs.status().where), rebase=True).adoption.rebased)

    def diverge(self, *streams: str) -> None:
        """Append to these streams on both sides, then rebase."""
        self.there(*streams)
        self.here(*streams)
        self.rebase()

    def _append(self, store: GitEventStore, streams: tuple[str, ...]) -> None:
        store.append_many(
            DomainEvent(
                stream,
                ("Noted", "Moved")[number % 2],
                number,
                {"userId": f"u{number % 3}", "correlationId": f"c{number % 3}"},
                id=f"id-{number}",
            )
            for stream, number in zip(streams, self.numbers, strict=False)
        )


@contextmanager
def two_sides(folder: Path) -> Iterator[Sides]:
    """Two empty stores that flush when they are told to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BackgroundFlush, "wake", lambda self: None)
        with opened(folder / "ours.git") as ours, opened(folder / "theirs.git") as theirs:
            yield Sides(ours, theirs, iter(range(1, 1_000_000)))


def known(events: Iterator[RecordedEvent]) -> list[tuple[int, str | None, int, str | None]]:
    """Position, id, version and commit of each event."""
    return [(e.position, e.event.id, e.version, e.commit) for e in events]
