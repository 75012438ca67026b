"""Stores that break a clause about opening, closing and upkeep."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from typing import Any

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.errors import (
    ForeignCheckpoint,
    StoreUnavailable,
)
from gitstore.core.findings import Finding, VerifyReport
from gitstore.core.status import StoreStatus
from tests.backends.mutants.broken import caught_by


@caught_by("test_a_closed_store_is_unavailable")
class ReadsWhenClosed(MemoryEventStore):
    def read_all(self, *args: Any, **more: Any) -> Any:
        if self._closed:
            return iter(())
        return super().read_all(*args, **more)


@caught_by("test_close_may_be_repeated")
class RefusesToCloseTwice(MemoryEventStore):
    def close(self) -> None:
        if self._closed:
            raise StoreUnavailable("closed already")
        super().close()


@caught_by("test_the_context_lets_errors_through")
class SwallowsErrors(MemoryEventStore):
    def __exit__(self, *args: Any) -> Any:
        self.close()
        return True


@caught_by("test_a_store_is_known_by_its_id")
class HasANewIdEachTime(MemoryEventStore):
    @property
    def store_id(self) -> str:
        return str(uuid.uuid4())


@caught_by("test_close_gives_back_threads_and_files")
class KeepsAThread(MemoryEventStore):
    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()


@caught_by("test_a_checkpoint_of_the_beginning")
class BeginsAtTheEnd(MemoryEventStore):
    def checkpoint(self) -> Checkpoint:
        return replace(super().checkpoint(), position=self.last_position())


@caught_by("test_a_checkpoint_of_elsewhere_is_refused")
class TakesForeignCheckpoints(MemoryEventStore):
    def resume(self, checkpoint: Checkpoint, *, superseded: bool = False) -> Checkpoint:
        try:
            return super().resume(checkpoint, superseded=superseded)
        except ForeignCheckpoint:
            return checkpoint


@caught_by("test_a_checkpoint_says_where_to_go_on")
class HandlesTheLastEventTwice(MemoryEventStore):
    def resume(self, checkpoint: Checkpoint, *, superseded: bool = False) -> Checkpoint:
        resumed = super().resume(checkpoint, superseded=superseded)
        return replace(resumed, position=max(resumed.position - 1, 0))


@caught_by("test_status_counts_what_reads_give")
class CountsTheStreamsOfOneCategory(MemoryEventStore):
    def status(self) -> StoreStatus:
        return replace(super().status(), streams=len(list(self.streams("a"))))


@caught_by("test_status_tells_the_bytes_on_disk")
class TellsMadeUpBytes(MemoryEventStore):
    def status(self) -> StoreStatus:
        return replace(super().status(), size=1)


@caught_by("test_verify_finds_a_sound_store_sound")
class FindsWhatIsNot(MemoryEventStore):
    def verify(self, **more: Any) -> VerifyReport:
        return replace(super().verify(**more), findings=(Finding("order", "all wrong"),))


@caught_by("test_verify_finds_a_sound_store_sound")
class LooksAtNothing(MemoryEventStore):
    def verify(self, **more: Any) -> VerifyReport:
        return VerifyReport((), 0, 0)


@caught_by("test_verify_tells_how_far_it_is")
class VerifiesInSilence(MemoryEventStore):
    def verify(self, **more: Any) -> VerifyReport:
        return super().verify()


@caught_by("test_maintain_drops_and_moves_nothing")
class MaintainsByDropping(MemoryEventStore):
    def maintain(self, **more: Any) -> Any:
        report = super().maintain(**more)
        self._all[:-1] = []
        return report
