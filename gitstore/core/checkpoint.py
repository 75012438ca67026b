"""Checkpoints: how far a reader has come, so that it can go on there another day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gitstore.core.canonical import JSON
from gitstore.core.errors import StaleCheckpoint, UnsupportedFormat
from gitstore.core.event import RecordedEvent


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a reader has come in a store: it has handled what is up to ``position``.

    - ``store_id``: the store's; a position means nothing in another.
    - ``epoch``: the store's epoch when the reader began, before its first read. A rebase that came
      later gave its events positions beyond it.
    - ``position``: of the last event handled, 0 before the first.

    A reader begins with ``store.checkpoint()``, takes ``after`` with each event, keeps the result
    together with what it made of the event, and goes on with ``store.resume(checkpoint)``. The
    epoch is never asked for while reading: a rebase might come between an event and the question,
    and the checkpoint would hide it.

    ::

        checkpoint = kept or store.checkpoint()
        try:
            checkpoint = store.resume(checkpoint)
            for recorded in store.follow(checkpoint.position):
                checkpoint = checkpoint.after(recorded)
                ...  # apply the event, keep the checkpoint
        except StaleCheckpoint:
            ...  # forget what was made, and begin again with store.checkpoint()
    """

    store_id: str
    epoch: int
    position: int

    def after(self, recorded: RecordedEvent, *, superseded: bool = False) -> Checkpoint:
        """The checkpoint once ``recorded`` is handled too.

        Raises ``StaleCheckpoint`` where a rebase, later than the epoch, has given an event its
        second place: the reader may have handled it in its first, and begins again. What the other
        side recorded comes before it, at versions that the reader may have seen already.
        ``superseded``: never, for a reader that reads with ``superseded`` and passes over events
        with ``replaces``.
        """
        replaces = recorded.replaces
        if not superseded and replaces is not None and recorded.position > self.epoch:
            raise StaleCheckpoint(replaces, recorded.position)
        return replace(self, position=recorded.position)

    def to_dict(self) -> dict[str, JSON]:
        """``{"storeId", "epoch", "position"}``, to be kept as JSON."""
        return {"storeId": self.store_id, "epoch": self.epoch, "position": self.position}

    @classmethod
    def from_dict(cls, given: Mapping[str, JSON]) -> Checkpoint:
        """The checkpoint of such an object; ``UnsupportedFormat`` where it is another one."""
        store_id, epoch, position = (given.get(key) for key in ("storeId", "epoch", "position"))
        if (
            not isinstance(store_id, str)
            or not (type(epoch) is int and epoch >= 0)
            or not (type(position) is int and position >= 0)
            or len(given) != 3
        ):
            raise UnsupportedFormat(
                f"{dict(given)!r:.200} is no checkpoint",
                hint="It has storeId, epoch and position; without it, read from the beginning.",
            )
        return cls(store_id, epoch, position)
