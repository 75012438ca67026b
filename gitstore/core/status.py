"""A store at a glance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """A store at a glance.

    ``where``: as ``open_store`` takes it, empty for a store it does not open; ``format``: what is
    there, such as ``gitstore format 1``; ``events``: those that reads give; ``superseded``: those
    whose places others took in rebases, in ``rebased`` streams; ``unflushed``: events that are
    durable and not in their last place yet; ``size``: bytes on disk of the whole store; ``notes``:
    sentences about anything that wants a look.
    """

    where: str
    format: str
    store_id: str
    events: int
    streams: int
    superseded: int = 0
    rebased: int = 0
    unflushed: int = 0
    size: int = 0
    notes: tuple[str, ...] = ()
