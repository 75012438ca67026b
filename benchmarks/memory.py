"""The anonymous memory of a process: what it holds, without the files it has mapped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_INTERVAL = 0.02


@dataclass(frozen=True, slots=True)
class Watched:
    """A finished process: what it printed, and its peaks of anonymous memory in bytes.

    ``own``: of the process itself; ``family``: together with the processes it had started. Both 0
    where the system has no ``/proc``.
    """

    output: str
    own: int
    family: int


def watch(command: Sequence[str]) -> Watched:
    """Run ``command`` and look at its memory every 20 ms."""
    own = family = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            alone = _anonymous(process.pid)
            own = max(own, alone)
            family = max(family, alone + sum(map(_anonymous, _descendants(process.pid))))
            time.sleep(_INTERVAL)
        output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(output, own, family)


def _anonymous(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:  # it has ended, or there is no /proc
        return 0
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _descendants(pid: int) -> list[int]:
    found = []
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            pids = [int(child) for child in children.read_text().split()]
        except OSError:
            continue
        for child in pids:
            found += [child, *_descendants(child)]
    return found
