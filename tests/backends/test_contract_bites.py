"""The contract suite notices: each clause that a store breaks fails the test that states it."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.memory import MemoryEventStore
from gitstore.core.base import BaseEventStore
from gitstore.testing import contract, contract_subscribing, contract_upkeep, support
from gitstore.testing.contract import EventStoreContract
from tests.backends.mutants import MUTANTS

_SHORT = 0.4  # seconds; what a broken store never gives need not be waited for long
_MODULES = sorted(Path(contract.__file__).parent.glob("contract_*.py"))


def cases(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """The arguments that a test's ``parametrize`` marks give it, case by case."""
    rows: list[list[dict[str, Any]]] = []
    for mark in getattr(test, "pytestmark", []):
        names, values = mark.args
        if isinstance(names, str):
            rows.append([{names: value} for value in values])
        else:
            rows.append([dict(zip(names, value, strict=True)) for value in values])
    for row in itertools.product(*rows):
        yield {name: value for case in row for name, value in case.items()}


def run(
    make_store: Callable[[], BaseEventStore], name: str, request: pytest.FixtureRequest
) -> None:
    """Run one test of the suite in all its cases, as pytest would; raises where it fails."""
    test = getattr(EventStoreContract, name)
    for given in cases(test):
        store = make_store()
        fixtures = {"make_store": make_store, "store": store}
        wanted = [n for n in inspect.signature(test).parameters if n not in given and n != "self"]
        for wants in wanted:
            given[wants] = fixtures.get(wants) or request.getfixturevalue(wants)
        try:
            test(EventStoreContract(), **given)
            support.verify_and_close(store, make_store)
        finally:
            store.close() if not getattr(store, "_closed", False) else None


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (support, contract_subscribing, contract_upkeep):
        monkeypatch.setattr(module, "PATIENCE", _SHORT)


@pytest.mark.parametrize(
    "module",
    sorted(Path(contract.__file__).parent.glob("contract_*.py")),
    ids=lambda path: path.stem,
)
def test_a_clause_names_a_test_that_is_there(module: Path) -> None:
    """The lists of clauses name tests, and modules, of the suite."""
    listed = ast.get_docstring(ast.parse(module.read_text())) or ""
    tests = {name for name in dir(EventStoreContract) if name.startswith("test_")}
    for name in re.findall(r"``(test_\w+)(?:…)?``", listed):
        assert any(test.startswith(name) for test in tests), name
    for name in re.findall(r"``(contract_\w+)``", listed):
        assert module.with_name(f"{name}.py").exists(), name


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_clause_is_noticed(mutant: str, request: pytest.FixtureRequest) -> None:
    """A store that breaks one clause fails the suite's test of that clause."""
    broken, name = MUTANTS[mutant]
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(broken, name, request)


@pytest.mark.parametrize("name", sorted({name for _, name in MUTANTS.values()}))
def test_the_sound_store_passes(name: str, request: pytest.FixtureRequest) -> None:
    """The store that the broken ones are made of passes the same tests, run the same way."""
    run(MemoryEventStore, name, request)
