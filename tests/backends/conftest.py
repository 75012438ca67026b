"""Where the tests of survival keep their stores, and how their processes are ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_MEMORY = Path("/dev/shm")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a thing: a killed process leaves the page cache be."""
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="gitstore-", dir=_MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def begin(start_program: Start) -> Iterator[Start]:
    """Start programs; those that still run are killed at the end of the test, each by its id."""
    with contextlib.ExitStack() as ends:

        def begin(name: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
            child = start_program(name, *arguments, **options)
            ends.enter_context(child)
            ends.callback(child.kill)
            return child

        yield begin
