"""The law of verify: break a store anywhere, and it is found, or nobody can see a difference.

And of repair: what could be read before can be read afterwards, or is named.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitstore.backends.git.inspecting import inspect
from gitstore.core.findings import VerifyReport
from tests.backends.git.breaking import Sight, break_it, build, by_commit, look, readable

_WAITING = 6
"""Events of the template that stand in the journal alone."""


class Broken:
    """A template, what can be seen of it, and a place for copies to break."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.template = build(place)
        self.before: Sight = look(self._copy())
        self.known = by_commit(self.before.events)
        self.waiting = set(by_commit(self.before.events[-_WAITING:]))

    def _copy(self) -> Path:
        store = self.place / "broken.git"
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(self.template, store)
        return store

    def holds(self, seed: int) -> None:
        """Break a copy as the seed says, and hold verify and repair to their laws."""
        store = self._copy()
        what = break_it(store, seed)
        found = inspect(store)
        if found.ok:
            assert look(store) == self.before, f"seed {seed}, {what}: not found"
        mended = inspect(store, repair=True)
        self._nothing_lost(store, found, mended, f"seed {seed}, {what}")
        again = inspect(store)
        assert set(again.findings) <= set(mended.findings), f"seed {seed}, {what}"

    def _nothing_lost(
        self, store: Path, found: VerifyReport, mended: VerifyReport, what: str
    ) -> None:
        now = readable(store)
        lost = {commit for commit, event in self.known.items() if now.get(commit) != event}
        lost -= {finding.commit for finding in mended.findings}
        if any(f.kind == "journal" for f in (*found.findings, *mended.repaired)):
            # Rows of a journal that is gone have no other copy: who they were nobody knows.
            lost -= self.waiting
        assert not lost, f"{what}: lost and not named: {lost}; {mended.findings}"
        if mended.ok:
            assert len(now) >= len(self.known) - _WAITING, what
            look(store)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """A store to break, made once."""
    return Broken(tmp_path_factory.mktemp("broken"))


@pytest.mark.parametrize("first", range(0, 12, 4))
def test_a_break_is_found_or_cannot_be_seen(broken: Broken, first: int) -> None:
    """A few seeds of every kind of damage, alike in every run."""
    for seed in range(first, first + 4):
        broken.holds(seed)


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(st.integers(10_000, 2**32))
def test_any_break_is_found_or_cannot_be_seen(broken: Broken, seed: int) -> None:
    """Whatever byte, file, ref or row it is."""
    broken.holds(seed)


@pytest.mark.soak
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("first", range(100, 1_700, 100))
def test_very_many_breaks(broken: Broken, first: int) -> None:
    """A hundred seeds each; half an hour in all."""
    for seed in range(first, first + 100):
        broken.holds(seed)
