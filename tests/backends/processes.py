"""Programs of a test as seen from outside: what they say, and when they may go on."""

from __future__ import annotations

import json
from subprocess import Popen


def lines(child: Popen[str], code: int = 0) -> list[object]:
    """All a program says, to its end, which is this exit code."""
    assert child.stdout is not None
    said = child.stdout.read()
    assert child.wait() == code
    return [json.loads(line) for line in said.splitlines()]


def wait_ready(children: list[Popen[str]]) -> None:
    """Wait until each program has said that it is ready."""
    for child in children:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline()) == "ready"


def let_go(children: list[Popen[str]]) -> None:
    """Release programs that wait for a line."""
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
