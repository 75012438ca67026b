"""What a workload asks of a participant."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gitstore import DomainEvent


class Peer(abc.ABC):
    """One way to record events, on files of its own below ``directory``.

    What happens in ``append`` and ``append_many`` is timed, so encoding is part of it for all.
    """

    name: ClassVar[str]
    bare: ClassVar[bool] = False
    """Whether it gives ids, times and versions itself, and so gets events without."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    @abc.abstractmethod
    def durability(self) -> str:
        """What a power cut leaves of an append that returned, and by which setting."""

    @abc.abstractmethod
    def append(self, event: DomainEvent) -> None:
        """Record one event, as durable as ``durability`` says when it returns."""

    def append_many(self, events: Sequence[DomainEvent]) -> None:
        """Record a batch in the peer's own way to do so."""
        raise NotImplementedError(self.name)

    def settle(self) -> None:
        """Finish what is going on behind the caller's back."""
        return

    def close(self) -> None:
        """Give back what is held."""
        return
