"""What is measured in a fresh process; each module prints one line of JSON."""

from __future__ import annotations

import sys

READ_STORE, READ_ROWS, READ_PYGIT2 = "read_store", "read_rows", "read_pygit2"
BUILD, INDEX_TYPES = "build", "index_types"
VERIFY = "verify"
PROJECT = "project"


def command(task: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs ``task`` by this interpreter."""
    return (sys.executable, "-m", f"benchmarks.tasks.{task}", *map(str, arguments))
