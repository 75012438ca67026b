"""The git store keeps the contract, in both flush modes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import BaseEventStore, open_store
from gitstore.testing.contract import EventStoreContract


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
