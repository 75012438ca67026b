"""A real terminal: a shell in the one pane of a tmux server that nobody else knows."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.conftest import BERLIN, eventually

SECONDS = 30
"""How long anything on the screen may take to come."""
_CODES = r"(?:\x1b\[[\d;]*m)*"
# What a user's shell would set; the variables of tmux and of the terminal that runs the tests.
_UNWANTED = {"COLUMNS", "LINES", "LESS", "NO_COLOR", "PAGER", "TMUX", "TMUX_PANE"}


@dataclass(frozen=True)
class Shown:
    """What one command line left on the screen: exit code, text, and text with its SGR codes."""

    code: int
    text: str
    styled: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Pane:
    """A shell on a terminal. Its prompt counts the commands and says how the last one ended."""

    def __init__(self, run: list[str], environ: Mapping[str, str]) -> None:
        self._run = run
        self._environ = environ
        self._typed = 0

    def run(self, line: str) -> Shown:
        """Type a command line, wait for its end and give what it showed."""
        self.type(line)
        return self.ended()

    def type(self, line: str) -> None:
        """Type a command line when the prompt is there, and Enter."""
        self.wait_for(rf"^<{self._typed + 1}:\d+>$")
        self._typed += 1
        self.tmux("send-keys", "-l", "--", line)
        self.press("Enter")

    def press(self, key: str) -> None:
        """Press a key, by tmux's name for it."""
        self.tmux("send-keys", key)

    def ended(self) -> Shown:
        """Wait for the end of what was typed last."""
        end = self.wait_for(rf"^<{self._typed + 1}:(\d+)>$")
        return Shown(int(end[1]), self._output(), self._output("-e"))

    def wait_for(self, pattern: str, seconds: float = SECONDS) -> re.Match[str]:
        """Wait until the screen has the pattern, and give the match."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(re.finditer(pattern, self.screen(), re.MULTILINE))
            return bool(found)

        try:
            eventually(look, seconds)
        except AssertionError:
            raise AssertionError(f"{pattern} never came:\n{self.screen()}") from None
        return found[0]

    def screen(self, *options: str) -> str:
        """All that is to be seen, scrolled out or not; a line that was wrapped is one line."""
        text = self.tmux("capture-pane", "-p", "-J", "-S", "-", *options)
        return "\n".join(line.rstrip() for line in text.split("\n"))

    def ask(self, name: str) -> str:
        """One of tmux's own variables, such as ``pane_title``."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def tmux(self, *arguments: str) -> str:
        """Run one command of tmux."""
        done = subprocess.run(
            [*self._run, *arguments],
            env=self._environ, capture_output=True, encoding="utf-8", check=True, timeout=SECONDS,
        )  # fmt: skip
        return done.stdout

    def _output(self, *options: str) -> str:
        """What stands between the line typed last and the prompt behind it."""
        between = rf"<{self._typed}:\d+> [^\n]*\n(.*?)^{_CODES}<{self._typed + 1}:"
        found = re.search(between, self.screen(*options), re.MULTILINE | re.DOTALL)
        assert found, self.screen()
        return found[1]


@contextmanager
def open_pane(folder: Path, columns: int, record: Path) -> Iterator[Pane]:
    """A pane that wide, in ``folder``; every byte that reaches it goes to the file ``record``."""
    scripts = sysconfig.get_path("scripts")
    environ = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    environ |= {"PATH": f"{scripts}:{environ['PATH']}", "TZ": BERLIN, "PS1": r"<\#:$?> "}
    with tempfile.TemporaryDirectory(dir="/tmp") as sockets:  # a socket's path has to be short
        environ["TMUX_TMPDIR"] = sockets
        run = ["tmux", "-u", "-L", secrets.token_hex(8), "-f", os.devnull]
        pane = Pane(run, environ)
        pane.tmux(
            "new-session", "-d", "-x", str(columns), "-y", "30", "-c", str(folder),
            "bash", "--norc", "--noprofile",
        )  # fmt: skip
        try:
            pane.tmux("pipe-pane", f"exec cat > '{record}'")
            yield pane
        finally:
            pane.tmux("kill-server")
