"""The programs that these tests start; the kinds of store they speak of."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.backends.survival import programs


@pytest.fixture
def start_program() -> Callable[..., subprocess.Popen[str]]:
    """Starts one of ``programs``."""
    return programs.start


@pytest.fixture(params=["sqlite", "jsonl"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kinds of store whose promises are the same."""
    return str(request.param)
