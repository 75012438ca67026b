"""The programs that these tests start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.backends.git import programs


@pytest.fixture
def start_program() -> Callable[..., subprocess.Popen[str]]:
    """Starts one of ``programs``."""
    return programs.start
