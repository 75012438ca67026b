"""Programs that the tests of this folder run as processes of their own: ``programs.py NAME ARGS``.

What one says goes to its standard output, a number a line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitstore import DomainEvent, open_store
from gitstore.projections import FolderStates, Projection, ProjectionManager, states_of
from gitstore.projections import manager as manager_module

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, it has only its own folder
from tests.projections.support import Log

PADDING = 20_000


class Large(Log):
    """A state that takes a while to write."""

    name = "Large"

    def state(self) -> Any:
        return {"seen": self.seen, "padding": "x" * PADDING}


PROJECTIONS: list[type[Projection]] = [Log, Large]


def start(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program."""
    command = [sys.executable, __file__, name, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def say(number: object) -> None:
    """Give the test one line."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def follow(where: str, last: str) -> None:
    """Keep projections current and saved, to a position; says each position it has reached."""
    _save_always()
    with open_store(where, create=False) as store:
        manager = ProjectionManager(store, PROJECTIONS)
        stop = threading.Event()
        for position in manager.follow(stop):
            say(position)
            if position >= int(last):
                stop.set()
        manager.catch_up()


def rebuild(where: str, times: str) -> None:
    """Make projections anew, again and again, beside whoever keeps them current."""
    _save_always()
    with open_store(where, create=False) as store:
        for _ in range(int(times)):
            manager = ProjectionManager(store, PROJECTIONS)
            manager.rebuild()
            say(manager.catch_up())


def write(where: str, first: str, count: str) -> None:
    """Append events one by one."""
    with open_store(where, create=False) as store:
        for n in range(int(first), int(first) + int(count)):
            store.append(DomainEvent("note-1", "Noted", id=f"n-{n}"))
    say(count)


def die(where: str, at: str, how: str) -> None:
    """Catch up or rebuild, and die at a step of saving; says nothing where there are no so many."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == int(at):
            os._exit(9)

    with open_store(where, create=False) as store:
        manager = ProjectionManager(store, PROJECTIONS)
        if how == "rebuild":
            manager.rebuild()
        assert isinstance(states_of(store), FolderStates)
        _dies_in_saving(count)
        manager.catch_up()
        say(steps)
        os._exit(0)


def _dies_in_saving(count: Callable[[], None]) -> None:
    """Call ``count`` before and after each step that changes a file of the states."""
    from gitstore.projections import states

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            count()
            done = function(*arguments, **named)
            count()
            return done

        return step

    states.write_new = around(_torn(count))  # type: ignore[attr-defined]
    states.sync_directory = around(states.sync_directory)  # type: ignore[attr-defined]
    os.replace = around(os.replace)  # type: ignore[assignment]
    FolderStates.remove = around(FolderStates.remove)  # type: ignore[method-assign]


def _torn(count: Callable[[], None]) -> Callable[[Path, bytes], None]:
    """Writes a file in two parts."""

    def write_new(path: Path, content: bytes) -> None:
        with path.open("xb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            count()
            file.write(content[len(content) // 2 :])

    return write_new


def _save_always() -> None:
    manager_module._SAVE_EVERY = 0.0
    manager_module._SAVING_SHARE = 0


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        "follow": follow, "rebuild": rebuild, "write": write, "die": die,
    }  # fmt: skip
    programs[sys.argv[1]](*sys.argv[2:])
