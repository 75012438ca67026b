"""``EventStoreContract``: what every store promises, a test for each clause.

Each module lists the clauses of ``core.protocol`` and ``core.base`` that its tests hold a store to,
and each test's docstring says the clause. A backend's whole test is a subclass with one fixture::

    class TestMyStore(EventStoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda: MyStore(tmp_path)

A backend that declares ``rebases`` subclasses ``contract_rebased.RebasedContract`` too.

``make_store`` opens a store on the same place at each call where the backend is durable, and a
fresh one where it is not. Differences between backends are read from ``store.capabilities`` alone.
``pytest.register_assert_rewrite("gitstore.testing")`` in a ``conftest.py`` makes failures readable.
"""

from __future__ import annotations

from collections.abc import Iterator

try:
    import pytest
except ModuleNotFoundError as error:
    raise ImportError(
        "gitstore.testing.contract needs pytest: pip install 'scopecraft-events[testing]'"
    ) from error

from gitstore.core.base import BaseEventStore
from gitstore.testing.contract_appending import AppendingContract
from gitstore.testing.contract_concurrency import ConcurrencyContract
from gitstore.testing.contract_convenience import ConvenienceContract
from gitstore.testing.contract_data import DataContract
from gitstore.testing.contract_filters import FilterContract
from gitstore.testing.contract_following import FollowingContract
from gitstore.testing.contract_idempotence import IdempotenceContract
from gitstore.testing.contract_lifecycle import LifecycleContract
from gitstore.testing.contract_names import NamesContract
from gitstore.testing.contract_processes import ProcessContract
from gitstore.testing.contract_reading import ReadingContract
from gitstore.testing.contract_subscribing import SubscribingContract
from gitstore.testing.contract_upkeep import UpkeepContract
from gitstore.testing.support import MakeStore, verify_and_close


class EventStoreContract(
    AppendingContract,
    IdempotenceContract,
    ReadingContract,
    ConvenienceContract,
    FilterContract,
    SubscribingContract,
    FollowingContract,
    NamesContract,
    DataContract,
    LifecycleContract,
    UpkeepContract,
    ConcurrencyContract,
    ProcessContract,
):
    """The promises of ``gitstore.core.protocol``; subclass it and give ``make_store``."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Open a store: the same place each time where the backend is durable."""
        raise NotImplementedError("a backend's test gives the fixture make_store")

    @pytest.fixture
    def store(self, make_store: MakeStore) -> Iterator[BaseEventStore]:
        """An empty store, verified and closed at the end of the test."""
        store = make_store()
        yield store
        verify_and_close(store, make_store)
