"""What ``gitstore.sync`` gives by its own name."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from gitstore import sync
from tests.sync.servers import bare

NAMES = ["RemoteFailed", "RemoteSilent", "clone", "compare", "pull", "push"]


def test_the_names_are_fixed() -> None:
    """Each there, and no other."""
    assert sorted(sync.__all__) == NAMES == sorted(dir(sync))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_imported_when_it_is_used(name: str) -> None:
    """In a new interpreter, which has loaded nothing of it before."""
    code = f"""\
import sys
import gitstore.sync
print("gitstore.sync.transport" in sys.modules, gitstore.sync.{name}.__module__)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("False gitstore.sync.")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = sync.nothing_like_it


def test_the_documentation_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed in as it stands, with an empty ``hub.git`` at hand."""
    bare(tmp_path / "hub.git")
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(sync)
    assert (result.failed, result.attempted) == (0, 4)
