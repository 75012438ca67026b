"""The contract of every store, kept by the JSONL store."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore.backends.opening import open_store
from gitstore.testing.contract import EventStoreContract
from gitstore.testing.support import MakeStore


class TestJsonlStore(EventStoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return lambda: open_store(f"jsonl:{tmp_path}/events")
