"""The SQLite store keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import BaseEventStore, open_store
from gitstore.testing.contract import EventStoreContract


class TestSqlite(EventStoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], BaseEventStore]:
        """Each call opens the same store."""
        return lambda: open_store(f"sqlite:{tmp_path / 'events.db'}")
