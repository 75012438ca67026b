"""A ``git daemon`` on loopback, for as long as a ``with`` block lasts."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_PATIENCE = 10.0


@contextlib.contextmanager
def served(base: Path) -> Iterator[str]:
    """Serve the repositories below ``base``; gives the URL that their names follow."""
    programs = subprocess.run(
        ("git", "--exec-path"), capture_output=True, text=True, check=True
    ).stdout.strip()
    port = _free_port()
    # Not through `git`: ending that would leave its child, the daemon, behind.
    command = (f"{programs}/git-daemon", "--export-all", "--reuseaddr", f"--base-path={base}")
    command += ("--listen=127.0.0.1", f"--port={port}", str(base))
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"git://127.0.0.1:{port}/"
    finally:
        child.terminate()
        child.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
