"""Many new chains, checked by several processes at once.

Each gets a share of the streams and puts the rows aside in a file of its own, so that nothing but
verdicts comes back. What a process leaves undone, because it could not be started or was killed,
is checked by whoever asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gitstore.backends.git.arrivals import Arrivals, Chain
from gitstore.backends.git.chains import FAULTS, new_rows, why
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.rows import NO_HEAD

_MOST = 4
_EVERY = 100
_NUMBERS = 1 << 32
"""Of chains, for each process."""


class Job(NamedTuple):
    """A stream that is not here yet: its ``name`` as a ref, and its ``tip`` elsewhere."""

    name: str
    stream: str
    tip: str


class Verdict(NamedTuple):
    """What came of a job: its ``chain``, or ``fault``, why there is none."""

    job: Job
    chain: Chain | None
    fault: str


def check_apart(
    objects: Objects, jobs: Sequence[Job], arrivals: Arrivals, folder: Path
) -> Iterator[Verdict]:
    """Check jobs in other processes; their rows are in ``arrivals`` when all verdicts have come.

    ``folder``: where the processes put their files, which are not removed. Verdicts come in the
    order in which they are found; none of a job that was not done.
    """
    count = min(_MOST, os.cpu_count() or 1)
    with contextlib.ExitStack() as ends:
        children = []
        for number in range(count):
            rows = folder / f"rows-{number}.db"
            share = jobs[number::count]
            child = _start([os.fspath(objects.root), os.fspath(rows), str(number + 1)])
            ends.callback(_end, child)
            children.append((child, rows, share))
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError), child.stdin:
                child.stdin.write(json.dumps(share).encode())
        for child, rows, share in children:
            assert child.stdout is not None
            found = [json.loads(line) for line in child.stdout if line.endswith(b"\n")]
            if child.wait() == 0:
                arrivals.attach(rows)
                for at, chain, fault in found:
                    yield Verdict(share[at], Chain(*chain) if chain else None, fault)


def main() -> None:
    """Check the jobs that stand on standard input; a line of JSON each comes out."""
    root, rows, number = sys.argv[1:]
    jobs = [Job(*job) for job in json.load(sys.stdin.buffer)]
    objects = Objects(StoreLayout(Path(root)))
    with Arrivals(Path(rows), int(number) * _NUMBERS) as arrivals:
        for at, job in enumerate(jobs):
            chain, fault = None, ""
            try:
                chain = arrivals.take(new_rows(objects, job.stream, job.tip, NO_HEAD, _is_ours))
            except FAULTS as error:
                fault = why(error)
            print(json.dumps([at, chain, fault]), flush=not at % _EVERY)  # noqa: T201
        arrivals.finish()


def _is_ours(_stream: str, _version: int, _commit: str) -> bool:
    return False


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    # Not by multiprocessing: it would run the user's main module again.
    command = [sys.executable, "-c", f"from {__name__} import main; main()", *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    with child:
        pass
