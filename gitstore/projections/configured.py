"""The projections of a store: Scopecraft's own, and those that its git configuration names.

``git config --add gitstore.projections my.module`` in a git store: the module's ``PROJECTIONS`` are
classes, or other callables without arguments, each of which makes a projection.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from gitstore.backends.git.gitcommand import Git
from gitstore.core.errors import EventStoreError
from gitstore.projections.activesessions import ActiveSessions
from gitstore.projections.projection import Factory, checked
from gitstore.projections.taskboard import TaskBoard
from gitstore.projections.taskstatistics import TaskStatistics
from gitstore.projections.worktreemap import WorktreeMap

CONFIG_KEY = "gitstore.projections"
"""The key of a git store's configuration that names a module; may be given several times."""
BUILT_IN: tuple[Factory, ...] = (ActiveSessions, TaskStatistics, TaskBoard, WorktreeMap)
"""Scopecraft's own projections."""


class ProjectionNotLoaded(EventStoreError):
    """A module that the store's configuration names has no projections that can be used.

    ``module``: its name.
    """

    hint = (
        f"See `git config --get-all {CONFIG_KEY}` in the store; a module is found on PYTHONPATH, "
        "and has a list PROJECTIONS."
    )

    def __init__(self, module: str, why: str) -> None:
        self.module = module
        super().__init__(f"projections of {module!r} cannot be loaded: {why}")


def projections_of(root: Path | None) -> Mapping[str, Factory]:
    """The projections by name, those of the git store at ``root`` too, where there is one.

    Raises ``ProjectionNotLoaded``; importing runs the module's code.
    """
    found = {checked(factory).name: factory for factory in BUILT_IN}
    forms = set(map(form_of, found))
    for module in _modules(root) if root is not None else ():
        for factory in _factories(module):
            try:
                name = checked(factory).name
            except Exception as error:  # a module's own code, whatever it raises
                raise ProjectionNotLoaded(module, f"{factory!r}: {error}") from error
            if form_of(name) in forms:
                raise ProjectionNotLoaded(module, f"there is a projection {name} already")
            forms.add(form_of(name))
            found[name] = factory
    return found


def form_of(name: str) -> str:
    """What names have in common that a file system or a person may take for one."""
    return name.replace("-", "").replace("_", "").lower()


def _modules(root: Path) -> list[str]:
    asked = ("config", "--local", "--includes", "--get-all", CONFIG_KEY)
    listed = Git(root).run(*asked, ends=(0, 1))  # 1: the key is not there
    return listed.decode(errors="backslashreplace").split()


def _factories(module: str) -> tuple[Factory, ...]:
    try:
        return tuple(import_module(module).PROJECTIONS)
    except (Exception, SystemExit) as error:  # a module's own code, whatever it raises
        raise ProjectionNotLoaded(module, f"{type(error).__name__}: {error}") from error
