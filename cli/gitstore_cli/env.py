"""What a command may know of the world around it. Made once, in ``main``; commands get it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

from gitstore_cli.safe import printable_lines


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Env:
    """The surroundings of one run of the command line.

    - ``cwd``, ``home``: where relative paths and ``~`` lead.
    - ``stdin`` in bytes; ``stdout``, which holds the answer and nothing else; ``stderr``.
    - ``environ``: the environment variables; ``clock``: the present moment, aware.
    - ``store``: what ``--store`` said, or ``None``; ``debug``: show tracebacks.
    - ``lingers``: a process may be left behind that goes on with what nobody waits for.
    """

    cwd: Path
    home: Path
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    clock: Callable[[], datetime] = _now
    store: str | None = None
    debug: bool = False
    lingers: bool = False

    @classmethod
    def current(cls) -> Env:
        """The surroundings of this process."""
        environ = dict(os.environ)
        return cls(
            cwd=_current_directory(),
            home=Path(environ.get("HOME") or Path.home()),
            stdin=sys.stdin.buffer if sys.stdin else io.BytesIO(),
            stdout=_prepared(sys.stdout),
            stderr=_prepared(sys.stderr),
            environ=environ,
            debug=environ.get("SC_EVENTS_DEBUG", "") not in ("", "0"),
            lingers=True,
        )

    @property
    def on_terminal(self) -> bool:
        """Whether a person reads the answer on a terminal."""
        return self.stdout.isatty()

    def say(self, text: str) -> None:
        """A message for people, on stderr, as one or more whole lines."""
        with suppress(OSError):  # what cannot be written now fails again where it is reported
            self.stdout.flush()  # so that a reader of both sees them in order
        with suppress(OSError):  # nobody listens
            self.stderr.write(printable_lines(text) + "\n")
            self.stderr.flush()

    def answer(self, text: str) -> None:
        """A line of the answer, on stdout; the caller has made it safe for a terminal."""
        self.stdout.write(text + "\n")


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was deleted; nothing relative can be meant
        return Path("/")


def _prepared(stream: TextIO | None) -> TextIO:
    """UTF-8 into pipes and files, whatever the locale says; no character can be unwritable."""
    if stream is None:
        return io.StringIO()  # closed by the caller: >&-
    if isinstance(stream, io.TextIOWrapper):
        encoding = stream.encoding if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace", newline="\n")
    return stream
