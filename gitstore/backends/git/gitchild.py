"""Git for as long as it takes: with progress, ended when asked, never outliving its lock.

The child inherits the descriptor of the maintain lock. Where this process is killed and the child
goes on, the lock stays held until it ends too.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.git.gitcommand import Git, GitFailed, clean_environment
from gitstore.core.errors import StoreUnavailable
from gitstore.core.findings import Progress

_POLL_MILLISECONDS = 100
_PATIENCE = 5.0
_NICENESS = 10
_LAST_LINES = 20
_line_end = re.compile(rb"[\r\n]")
_progress = re.compile(rb"([A-Z][a-z ]+): +\d+% \((\d+)/(\d+)\)")


class MaintenanceEnded(StoreUnavailable):
    """The store was closed while it was being maintained; what was done until then is sound."""

    hint = "Run `sc-events maintain` again; it goes on from there."


@dataclass(frozen=True, slots=True)
class GitChild:
    """Runs git in a child that holds ``lock``, a descriptor, too; ``stop`` ends it.

    ``gentle``: with a low priority, for what nobody waits for.
    """

    root: Path
    lock: int
    stop: threading.Event
    progress: Progress
    gentle: bool = False

    def run(
        self,
        *arguments: str,
        stdin: Path = Path(os.devnull),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run it to its end; ``GitFailed`` unless that is 0, ``MaintenanceEnded`` if stopped."""
        with stdin.open("rb") as given:
            child = subprocess.Popen(
                Git(self.root).command(*arguments),
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**clean_environment(), **(environment or {})},
                pass_fds=[self.lock],
            )
        try:
            if self.gentle:
                os.setpriority(os.PRIO_PROCESS, child.pid, _NICENESS)
            said = self._listen(child)
        except BaseException:
            _end(child)
            raise
        if child.returncode:
            raise GitFailed(arguments, child.returncode, said)

    def _listen(self, child: subprocess.Popen[bytes]) -> str:
        """Pass progress on until the child ends; gives the last of what it said."""
        assert child.stderr is not None
        said: list[bytes] = []
        rest = b""
        poller = select.poll()  # not `select`, which takes no descriptors beyond 1,024
        with child.stderr as pipe:
            poller.register(pipe, select.POLLIN)
            while True:
                if self.stop.is_set():
                    raise MaintenanceEnded("maintenance was ended: the store is being closed")
                if not poller.poll(_POLL_MILLISECONDS):
                    continue
                some = os.read(pipe.fileno(), 65_536)
                if not some:
                    child.wait()
                    return b"\n".join([*said, rest]).decode(errors="replace")
                *whole, rest = _line_end.split(rest + some)
                said = [*said, *self._without_progress(whole)][-_LAST_LINES:]

    def _without_progress(self, lines: Sequence[bytes]) -> list[bytes]:
        """The lines that tell of no progress; of the others the last is passed on."""
        found = [_progress.search(line) for line in lines]
        for match in [match for match in found if match][-1:]:
            what, done, total = match.groups()
            self.progress(what.decode(), int(done), int(total))
        return [line for line, match in zip(lines, found, strict=True) if not match]


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
