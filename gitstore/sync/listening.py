"""Git in a child process that is listened to: its progress, its complaints, its silence, its end.

GitPython starts it; this module reads both of its streams, so that silence can be told from work.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gitstore.backends.git.gitcommand import clean_environment
from gitstore.core.errors import StoreUnavailable

_POLL_MILLISECONDS = 100
_PATIENCE = 2.0  # seconds that git has to clear up after itself
_LAST_LINES = 200
_line_end = re.compile(rb"[\r\n]+")
_progress = re.compile(rb"(remote: )?([A-Z][a-z ]+): +(?:\d+% \((\d+)/(\d+)\)|\d+)")

Tell = Callable[[str, int, int, bool], None]
"""Called with git's name of what is done, how much of it, of how much, and whether there."""


class Silence(Exception):
    """Git and the remote said nothing for as long as they may; git was ended."""


class Heard(NamedTuple):
    """How a git command ended: its exit code, its answer, and what else it said at last.

    ``complaint`` is its standard error without progress, at most its last 200 lines.
    """

    code: int
    answer: bytes
    complaint: str


def run_git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    given: BinaryIO | None,
    timeout: float,
    tell: Tell,
) -> Heard:
    """Run ``git <arguments>`` to its end, with the user's configuration.

    ``environment`` is added to this process's, less what would lead git to another repository;
    ``given`` is its standard input. Raises ``Silence`` after ``timeout`` seconds in which it wrote
    nothing. However this returns, git and what it has started are ended.
    """
    child = _start(["git", *arguments], cwd, environment, given)
    listener = _Listener(tell)
    try:
        listener.listen(child, timeout)
        return Heard(child.wait(timeout), bytes(listener.answer), listener.complaint())
    except subprocess.TimeoutExpired:
        raise Silence from None
    finally:
        end(child)


def _start(
    command: list[str], cwd: Path, environment: Mapping[str, str], given: BinaryIO | None
) -> subprocess.Popen[bytes]:
    if shutil.which("git") is None:  # GitPython would say so with an ImportError
        raise StoreUnavailable("git is not installed", hint="Install git 2.36 or newer.")
    from git.cmd import Git  # noqa: PLC0415 - 85 ms, which only those pay who use a remote

    wanted = {**clean_environment(), **environment, "LC_ALL": "C"}
    # GitPython only adds to the environment; what must not be in it, `env` takes out.
    without = [part for name in os.environ if name not in wanted for part in ("-u", name)]
    if without:
        command = ["env", *without, *command]
    process = Git(cwd).execute(command, istream=given, as_process=True, env=wanted, shell=False)
    assert isinstance(process, Git.AutoInterrupt)
    child, process.proc = process.proc, None  # it is ended here, with all it has started
    assert child is not None
    return child


class _Listener:
    """Both streams of a child, taken apart."""

    def __init__(self, tell: Tell) -> None:
        self.answer = bytearray()
        self._tell = tell
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._rest = b""

    def listen(self, child: subprocess.Popen[bytes], timeout: float) -> None:
        """Read until both streams end, or until git has ended and they say no more.

        They may outlive git: ssh leaves a process behind that keeps a connection for later.
        """
        assert child.stdout is not None
        assert child.stderr is not None
        takers = {child.stdout.fileno(): self.answer.extend, child.stderr.fileno(): self._take}
        poller = select.poll()  # not `select`, which takes no descriptors beyond 1,024
        for descriptor in takers:
            poller.register(descriptor, select.POLLIN)
        heard = time.monotonic()
        while takers:
            ready = poller.poll(_POLL_MILLISECONDS)
            if ready:
                heard = time.monotonic()
            elif child.poll() is not None:
                return
            elif time.monotonic() - heard > timeout:
                raise Silence
            for descriptor, _ in ready:
                some = os.read(descriptor, 65_536)
                takers[descriptor](some)
                if not some:
                    poller.unregister(descriptor)
                    del takers[descriptor]

    def complaint(self) -> str:
        """What git said on standard error, less its progress."""
        self._take(b"\n")
        return "\n".join(self._lines)

    def _take(self, some: bytes) -> None:
        *lines, self._rest = _line_end.split(self._rest + some)
        for line in lines:
            if match := _progress.match(line):
                there, what, done, total = match.groups()
                if total:
                    self._tell(what.decode(), int(done), int(total), there is not None)
            elif line.strip():
                self._lines.append(line.decode(errors="replace").rstrip())


def end(child: subprocess.Popen[bytes]) -> None:
    """End a child that still runs, with all it has started, and close its streams.

    Git is asked first, so that it removes what it has half done.
    """
    try:
        if child.poll() is None:
            family = _descendants(child.pid)
            child.terminate()
            try:
                child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            _kill(family)
    finally:
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def _kill(family: Mapping[int, str]) -> None:
    """Kill those of a family that are still there, and no others that got their numbers since."""
    if not family:
        return
    now = {pid: began for pid, _, began in _processes()}
    for pid, began in family.items():
        if now.get(pid) == began:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended by itself meanwhile


def _descendants(pid: int) -> dict[int, str]:
    """All that a process has started and what these have, with when each began."""
    found: dict[int, str] = {}
    parents = {pid}
    processes = _processes()
    while children := [p for p in processes if p[1] in parents and p[0] not in found]:
        found.update((child, began) for child, _, began in children)
        parents = {child for child, _, _ in children}
    return found


def _processes() -> list[tuple[int, int, str]]:
    """Every process, its parent and when it began; none where there is no ``ps``."""
    try:
        done = subprocess.run(
            ["ps", "-e", "-o", "pid=,ppid=,lstart="], capture_output=True, check=False, text=True
        )
    except FileNotFoundError:  # then git, asked to end, ends what it has started
        return []
    rows = (line.split(maxsplit=2) for line in done.stdout.splitlines())
    return [(int(pid), int(parent), began) for pid, parent, began in rows]
