"""Many new chains, checked by several processes at once.

Each gets a share of the streams and puts the rows aside in a file of its own, so that nothing but
verdicts comes back. What a process leaves undone, because it could not be started or was killed,
is checked by whoever asked.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
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

_LOG = logging.getLogger("gitstore.exchange")
_MOST = 4
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

    ``folder``: where the processes put their files, which are not removed. No verdict comes of a
    job that was not done.
    """
    count = min(_MOST, os.cpu_count() or 1)
    with contextlib.ExitStack() as ends:
        children = []
        for number in range(count):
            rows = folder / f"rows-{number}.db"
            share = jobs[number::count]
            try:
                child = _start([os.fspath(objects.root), os.fspath(rows), str(number + 1)])
            except OSError as error:
                _LOG.info("no process to check streams could be started: %s", error)
                break
            ends.callback(_end, child)
            children.append((child, rows, share))
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError), child.stdin:
                child.stdin.write(json.dumps(share).encode())
        for child, rows, share in children:
            assert child.stdout is not None
            said = child.stdout.read()
            if child.wait() == 0:
                arrivals.attach(rows)
                for job, (chain, fault) in zip(share, json.loads(said), strict=True):
                    yield Verdict(job, Chain(*chain) if chain else None, fault)


def main() -> None:
    """Check the jobs that stand on standard input; what came of each goes to standard output."""
    gc.disable()  # nothing here is a cycle, and rows by the thousand are alive at once
    root, rows, number = sys.argv[1:]
    # Each commit is encoded again, and hashed; a spilled body has its digest in its commit.
    objects = Objects(StoreLayout(Path(root)), bulk=True)
    with Arrivals(Path(rows), int(number) * _NUMBERS) as arrivals:
        jobs = json.load(sys.stdin.buffer)
        found = [_check(Job(*job), objects, arrivals) for job in jobs]
        arrivals.finish()
    # At the end, and at once: nobody reads before, and a pipe holds little.
    sys.stdout.write(json.dumps(found))


def _check(job: Job, objects: Objects, arrivals: Arrivals) -> tuple[Chain | None, str]:
    try:
        return arrivals.take(new_rows(objects, job.stream, job.tip, NO_HEAD, _is_ours)), ""
    except FAULTS as error:
        return None, why(error)


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
