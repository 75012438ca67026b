"""What every test stands on: no machine's git, home or clock reaches a test.

A test may set its own environment with ``monkeypatch``; what it starts inherits this one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest
from hypothesis import HealthCheck, settings
from pygit2.enums import ConfigLevel

# Before the suite is imported, so that its asserts say what differs.
pytest.register_assert_rewrite("gitstore.testing")

settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("dev", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_REAL_HOME = Path.home()


def _real_stores() -> set[str]:
    """What lies where a store is made when nobody says where.

    Names alone: whoever runs the tests may be recording events of their own meanwhile.
    """
    return {path.name for path in (_REAL_HOME / ".scopecraft").glob("*")}


@pytest.fixture(scope="session", autouse=True)
def _hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Shut git's two doors, the environment and libgit2's search path, for the whole session."""
    before = _real_stores()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("GIT_") or name == "SCOPECRAFT_EVENTS_STORE":
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        _move_home(patch, tmp_path_factory.mktemp("session-home"))
        for level in (
            ConfigLevel.GLOBAL,
            ConfigLevel.XDG,
            ConfigLevel.SYSTEM,
            ConfigLevel.PROGRAMDATA,
        ):
            pygit2.settings.search_path[level] = ""
        yield
    assert _real_stores() == before, "a test wrote into the real home"


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home directory of its own, empty."""
    folder = tmp_path_factory.mktemp("home")
    _move_home(monkeypatch, folder)
    return folder


def _move_home(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("HOME", str(folder))
    patch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
