"""Whole commands, from starting the process to its end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def sc_events(*arguments: object) -> tuple[str, ...]:
    """The command line of ``sc-events``, run by this interpreter's installation."""
    script = Path(sys.executable).with_name("sc-events")
    if not script.exists():
        raise FileNotFoundError(f"{script} is missing: pip install -e .[bench]")
    return (str(script), *map(str, arguments))


def in_turns(commands: Mapping[str, Sequence[str]], runs: int) -> dict[str, list[float]]:
    """Run all commands, one after the other, ``runs`` times; the seconds of each run.

    One round before is not counted: it compiles and fills the page cache.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds
