"""Projections of one's own: modules that a git store's configuration names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import open_store
from gitstore.projections import (
    BUILT_IN,
    CONFIG_KEY,
    ProjectionManager,
    ProjectionNotLoaded,
    projections_of,
)
from tests.backends.git.witness import git
from tests.projections.support import note

MODULE = """
from tests.projections.support import Log

class Counter(Log):
    name = "{name}"
    def __init__(self):
        self.count = 0
    def handle(self, recorded):
        self.count += 1
    def state(self):
        return {{"count": self.count}}
    def restore(self, state):
        self.count = state["count"]

PROJECTIONS = [Counter]
"""

Module = Callable[[str], str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git store with three events."""
    with open_store(tmp_path / "events.git") as store:
        note(store, "a", "b", "c")
    return tmp_path / "events.git"


@pytest.fixture
def module(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Writes a module that is found, and names it in the store's configuration."""
    monkeypatch.syspath_prepend(tmp_path / "code")
    (tmp_path / "code").mkdir()

    def write(source: str) -> str:
        name = f"own_{len(list((tmp_path / 'code').glob('*.py')))}_{tmp_path.name[-20:]}"
        (tmp_path / "code" / f"{name}.py").write_text(source)
        git(root, "config", "--add", CONFIG_KEY, name)
        return name

    return write


def test_without_any_there_are_those_of_scopecraft(root: Path) -> None:
    """The same where there is no git store."""
    names = {factory().name for factory in BUILT_IN}
    assert set(projections_of(root)) == set(projections_of(None)) == names


def test_they_stand_beside_the_others(root: Path, module: Module) -> None:
    """From several modules; they are used as Scopecraft's own."""
    module(MODULE.format(name="Counter"))
    module(MODULE.format(name="Second"))
    found = projections_of(root)
    assert list(found)[-2:] == ["Counter", "Second"]
    with open_store(root) as store:
        ProjectionManager(store, found.values()).catch_up()
        again = ProjectionManager(store, found.values())
        assert again.state("Counter") == again.state("Second") == {"count": 3}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("def", "SyntaxError"),
        ("", "has no attribute 'PROJECTIONS'"),
        ("PROJECTIONS = 5", "TypeError"),
        ("PROJECTIONS = [5]", "not callable"),
        ("PROJECTIONS = [lambda: 1 / 0]", "division by zero"),
        ("PROJECTIONS = [object]", "no name of a projection"),
        (MODULE.format(name="../x"), "no name of a projection"),
        (MODULE.format(name="TaskBoard"), "TaskBoard already"),
        (MODULE.format(name="task-board"), "task-board already"),
    ],
)
def test_one_that_cannot_be_used_is_named(
    root: Path, module: Module, source: str, why: str
) -> None:
    """With what is wrong, and where it was named."""
    name = module(source)
    with pytest.raises(ProjectionNotLoaded, match="cannot be loaded") as caught:
        projections_of(root)
    assert caught.value.module == name
    assert why in str(caught.value)
    assert CONFIG_KEY in caught.value.hint


def test_one_that_is_not_there_is_named(root: Path) -> None:
    """Whatever bytes its name has."""
    for name in ("no.such.module", b"\xff\xfe"):
        git(root, "config", "--replace-all", CONFIG_KEY, name)  # type: ignore[arg-type]
        with pytest.raises(ProjectionNotLoaded, match="cannot be loaded"):
            projections_of(root)


def test_only_the_stores_own_configuration_counts(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the user's configuration names may be unknown to other stores."""
    (home / "config").write_text("[gitstore]\n\tprojections = no.such.module\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "config"))
    assert set(projections_of(root)) == set(projections_of(None))
