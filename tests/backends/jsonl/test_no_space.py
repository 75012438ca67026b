"""No space for ``index.db``: whatever SQLite says is told as the store's own error."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitstore.backends.disk.connections import Connection
from gitstore.backends.jsonl.reading_only import ReadOnlyJsonlStore
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.core.base import BaseEventStore
from gitstore.core.errors import StoreUnavailable
from tests.backends.jsonl.support import FILE, append_by_shell, filled, line

Open = Callable[[Path], BaseEventStore]
_FULL = "database or disk is full"


class FullDisk:
    """Lets so many statements pass, and then none."""

    def __init__(self, patch: pytest.MonkeyPatch, passing: int) -> None:
        self.said = False
        self._passing = passing
        for name in ("execute", "executemany"):
            patch.setattr(Connection, name, self._bounded(getattr(sqlite3.Connection, name)))

    def _bounded(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            self._passing -= 1
            if self._passing < 0:
                self.said = True
                error = sqlite3.OperationalError(_FULL)
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return really(*given)

        return call


def new(where: Path) -> None:
    """There is no store yet."""


def behind(where: Path) -> None:
    """Another program has written."""
    filled(where)
    append_by_shell(where / FILE, line(13, 5))


def without_index(where: Path) -> None:
    """It has to be made anew."""
    filled(where)
    (where / "indexes/index.db").unlink()


@pytest.mark.parametrize(
    ("before", "opener"),
    [
        (new, JsonlEventStore.open),
        (behind, JsonlEventStore.open),
        (without_index, JsonlEventStore.open),
        (without_index, ReadOnlyJsonlStore.at),
    ],
)
def test_opening_without_space(
    tmp_path: Path, before: Callable[[Path], None], opener: Open
) -> None:
    """At one statement of four; with space again, the store is opened as ever."""
    for passing in range(0, 1_000, 4):
        where = tmp_path / str(passing)
        before(where)
        with pytest.MonkeyPatch.context() as patch:
            disk = FullDisk(patch, passing)
            try:
                opener(where).close()
            except StoreUnavailable as error:
                assert error.hint  # noqa: PT017 - it need not be raised
        if not disk.said:
            break
        with JsonlEventStore.open(where) as store:
            assert store.verify().ok
    assert passing > 5


def test_no_place_for_a_temporary_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what could not be written, and where."""
    filled(tmp_path / "events")
    monkeypatch.setattr(tempfile, "tempdir", os.devnull)
    with pytest.raises(StoreUnavailable, match=r"temporary index of .*events cannot be written"):
        ReadOnlyJsonlStore.at(tmp_path / "events")
