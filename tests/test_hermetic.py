"""The ground the tests stand on: they see nothing of the machine, and leave nothing on it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ConfigLevel


def test_home_is_the_tests_own(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever asks for the home directory gets an empty one below pytest's own folder."""
    assert Path.home() == Path("~").expanduser() == home
    assert home.is_relative_to(tmp_path_factory.getbasetemp())
    assert list(home.iterdir()) == []


def test_git_sees_no_configuration_of_the_machine(tmp_path: Path) -> None:
    """No system or user configuration, no identity, no variable of a hook that runs the tests."""
    listed = subprocess.run(
        ["git", "config", "--list", "--show-origin"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == ""
    given = {name for name in os.environ if name.startswith("GIT_")}
    assert given == {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"}
    assert "SCOPECRAFT_EVENTS_STORE" not in os.environ


def test_libgit2_sees_no_configuration_of_the_machine(home: Path, tmp_path: Path) -> None:
    """Also not one that stands in the home directory: libgit2 reads no environment variable."""
    (home / ".gitconfig").write_text("[user]\n\tname = nobody\n")
    for level in (ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.SYSTEM):
        assert pygit2.settings.search_path[level] == ""
    repository = pygit2.init_repository(tmp_path / "r.git", bare=True)
    assert "user.name" not in repository.config
