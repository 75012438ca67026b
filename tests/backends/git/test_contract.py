"""The git store keeps the contract, in both flush modes, and that of stores with rebases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitstore import BaseEventStore, open_store
from gitstore.testing.contract import EventStoreContract
from gitstore.testing.contract_rebased import RebasedContract
from tests.backends.git.rebasing import copied, rebased


class TestFlushedInTheBackground(EventStoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], BaseEventStore]:
        """Each call opens the same store."""
        return lambda: open_store(tmp_path / "events.git")


class TestFlushedByEachAppend(EventStoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], BaseEventStore]:
        """Each call opens the same store."""
        return lambda: open_store(tmp_path / "events.git", flush="append")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with rebases, made once."""
    return rebased(tmp_path_factory.mktemp("rebased") / "events.git")


class TestRebased(RebasedContract):
    @pytest.fixture
    def rebased(self, template: Path, tmp_path: Path) -> Iterator[BaseEventStore]:
        """A copy of it."""
        with open_store(copied(template, tmp_path)) as store:
            yield store
