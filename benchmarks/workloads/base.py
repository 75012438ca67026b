"""What a workload is given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Outcome


@dataclass(frozen=True, slots=True)
class Context:
    """Where a workload writes, an empty directory, and whether it is a smoke test only."""

    directory: Path
    quick: bool = False

    def fresh(self, name: str) -> Path:
        """A new directory below this workload's."""
        path = self.directory / name
        path.mkdir(parents=True)
        return path

    def say(self, what: str) -> None:
        """Tell on stderr what is going on: some steps take minutes."""
        print(f"  … {what}", file=sys.stderr, flush=True)


Workload = Callable[[Context], Outcome]
"""Measures, and gives what it found."""
