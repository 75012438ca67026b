"""The laws of stores hold of each, and each says what the memory store says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import Phase, settings

from gitstore.backends.memory import MemoryEventStore
from gitstore.backends.opening import open_store
from gitstore.core.base import BaseEventStore
from gitstore.testing.laws import LAWS, Law, hold
from gitstore.testing.sidebyside import SideBySide
from tests.backends.mutants import MUTANTS

ADDRESSES = {
    "memory": "memory:",
    "sqlite": "sqlite:{}/events.db",
    "jsonl": "jsonl:{}/events",
    "git": "git:{}/events.git",
}
EXAMPLES = {"memory": 30, "sqlite": 15, "jsonl": 4, "git": 8}
"""Histories for each law; in a git store one takes 0.2 s."""

# It ends with the first difference; what is drawn depends on the modules that are loaded, so that
# a hundred examples meet it on one day and not on another.
_UNTIL_IT_BITES = settings(max_examples=5_000, phases=[Phase.generate])

DISAGREE = {
    "CountsPositionsFromZero": "positions_and_versions_count",
    "CountsVersionsOverAllStreams": "positions_and_versions_count",
    "CutsTimestampsToMilliseconds": "what_is_appended_is_read",
    "ExcludesSince": "a_filtered_read_is_a_filtered_list",
    "ExcludesToVersion": "a_window_is_a_slice_of_the_stream",
    "ForgetsIds": "a_retry_records_nothing",
    "ForgetsTheUsersFilter": "a_filtered_read_is_a_filtered_list",
    "IncludesAfterVersion": "pages_make_the_whole",
    "LimitsBeforeItFilters": "a_filtered_read_is_a_filtered_list",
    "MakesWholeFloatsIntegers": "a_copy_says_the_same",
    "SortsABatchByStream": "batches_are_singles",
}
"""Broken stores, and a law that they break."""


def open_at(kind: str, folder: Path) -> BaseEventStore:
    """The store of this kind in a folder."""
    return open_store(ADDRESSES[kind].format(folder))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_law_holds(kind: str, law: Law) -> None:
    """Of every history, in every store."""
    hold(law, lambda folder: open_at(kind, folder), settings(max_examples=EXAMPLES[kind]))


@pytest.mark.parametrize(("mutant", "law"), DISAGREE.items())
def test_a_broken_store_breaks_a_law(mutant: str, law: str) -> None:
    """Laws that nothing could break would say nothing."""
    broken, _ = MUTANTS[mutant]
    with pytest.raises((Exception, BaseExceptionGroup)):
        hold(LAWS[law], lambda _: broken(), _UNTIL_IT_BITES)


class MemoryAndSqlite(SideBySide):
    kind = "sqlite"

    def open_model(self) -> BaseEventStore:
        return MemoryEventStore()

    def open_store(self, folder: Path) -> BaseEventStore:
        return open_at(self.kind, folder)


class MemoryAndJsonl(MemoryAndSqlite):
    kind = "jsonl"


class MemoryAndGit(MemoryAndSqlite):
    kind = "git"


class MemoryAndBroken(MemoryAndSqlite):
    broken: type[MemoryEventStore] = MemoryEventStore

    def open_store(self, folder: Path) -> BaseEventStore:
        return self.broken()


TestMemoryAndSqlite = MemoryAndSqlite.TestCase
TestMemoryAndSqlite.settings = settings(max_examples=60, stateful_step_count=30)
TestMemoryAndJsonl = MemoryAndJsonl.TestCase
TestMemoryAndJsonl.settings = settings(max_examples=10, stateful_step_count=30)
TestMemoryAndGit = MemoryAndGit.TestCase
TestMemoryAndGit.settings = settings(max_examples=16, stateful_step_count=30)


@pytest.mark.parametrize(
    "mutant",
    [
        "ForgetsStreamExists",
        "TakesAnyKnownIdForARetry",
        "RecordsTheUnknownPart",
        "LetsARetryStandAnywhere",
        "TellsAWrongActual",
        "CallsAHandlerTwice",
        "ForgetsTheUsersFilter",
        "HandlesTheLastEventTwice",
    ],
)
def test_a_broken_store_answers_otherwise(mutant: str) -> None:
    """The machine finds the step at which a broken store differs from the model."""
    kind = type(mutant, (MemoryAndBroken,), {"broken": MUTANTS[mutant][0]})
    case = kind.TestCase()
    case.settings = settings(_UNTIL_IT_BITES, stateful_step_count=30)
    with pytest.raises((Exception, BaseExceptionGroup)):
        case.runTest()
