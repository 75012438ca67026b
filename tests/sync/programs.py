"""Programs that the tests of export run as processes of their own, and kill.

``python -m tests.sync.programs NAME ARGUMENTS…``.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import gitstore
from gitstore.core.event import DomainEvent
from gitstore.sync import copying
from gitstore.sync.exporting import export_events, whole_file
from gitstore.sync.layouts import export_layout, follow_layout


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a program; its standard output and errors are pipes."""
    command = [sys.executable, "-m", "tests.sync.programs", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=pipe, stderr=pipe, text=True, **options
    )


def layout(store: str, where: str, batch: str) -> None:
    """Export a layout in batches of so many events."""
    copying.CHUNK = int(batch)
    with gitstore.open_store(store, create=False) as opened:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        export_layout(opened, Path(where))


def bounded_layout(store: str, where: str, limit: str) -> None:
    """Export a layout none of whose files may grow beyond ``limit`` bytes."""
    with gitstore.open_store(store, create=False) as opened:
        _bound(int(limit))
        export_layout(opened, Path(where))


def copy_all(source: str, target: str, batch: str) -> None:
    """Copy a store in batches of so many events."""
    copying.CHUNK = int(batch)
    with gitstore.open_store(source, create=False) as ours, gitstore.open_store(target) as theirs:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        copying.copy(ours, theirs)


def follow(store: str, where: str) -> None:
    """Keep a layout current until killed."""
    with gitstore.open_store(store, create=False) as opened:
        for summary in follow_layout(opened, Path(where), stop=threading.Event()):
            sys.stdout.write(f"{summary.position}\n")
            sys.stdout.flush()


def append(store: str, number: str, count: str) -> None:
    """Append so many events, one by one and in small batches."""
    with gitstore.open_store(store) as opened:
        for n in range(0, int(count), 4):
            stream = f"task-{(n + int(number)) % 5}"
            opened.append(DomainEvent(stream, "Noted", {"by": number, "n": n}))
            opened.append_many([DomainEvent(stream, "Moved", {"by": number})] * 3)


def bounded(store: str, file: str, limit: str) -> None:
    """Export to a file that may not grow beyond ``limit`` bytes."""
    with gitstore.open_store(store, create=False) as opened:
        _bound(int(limit))
        with whole_file(Path(file)) as out:
            export_events(opened, out)


def _bound(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
