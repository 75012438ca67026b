"""Programs that are struck at every step: kill -9, a full disk.

Run by ``programs.start``, in processes of their own; imported by no test.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from programs import PROGRAMS, program, say

from gitstore import DomainEvent, EventStoreError, RecordedEvent, StoreUnavailable, open_store
from tests.backends.dying import Tell, die_at, everywhere, fail_at
from tests.backends.survival.witness import address, promise

T = TypeVar("T")
Acked = Callable[[Iterable[RecordedEvent]], None]
Scenario = Callable[[str, Acked], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Make a function a scenario: what it does to the store of an address."""
    SCENARIOS[function.__name__] = function
    return function


def _acked(tell: Tell) -> Acked:
    return lambda done: tell("ack", [promise(recorded) for recorded in done])


@program
def crash_everywhere(kind: str, template: str, folder: str, name: str, every: int) -> None:
    """Run a scenario on copies of a store, dying at its 1st, 2nd, 3rd … step, until it completes.

    ``every``: at one step of so many only. ``template``: the folder a store of this kind is in, or
    an empty one. Says ``[k, step, acknowledged]`` of each; copy k lies in ``folder/k``.
    """

    def struck(k: int, tell: Tell) -> None:
        logging.disable(logging.CRITICAL)
        shutil.copytree(template, Path(folder, str(k)))
        die_at(k, tell).install()
        SCENARIOS[name](address(kind, Path(folder, str(k))), _acked(tell))

    for k, told in everywhere(struck, every):
        say([k, *_sorted_out(told)])


@program
def fail_everywhere(
    kind: str, template: str, folder: str, name: str, every: int, steps: int
) -> None:
    """The same with a disk that is full from step k on, for so many steps, after which all is well.

    The program then appends once more.
    """

    def struck(k: int, tell: Tell) -> None:
        logging.disable(logging.CRITICAL)
        place = Path(folder, str(k))
        shutil.copytree(template, place)
        fail_at(k, k + steps - 1, tell).install()
        try:
            SCENARIOS[name](address(kind, place), _acked(tell))
        except EventStoreError as error:
            tell("error", [type(error).__name__, str(error), error.hint])

    for k, told in everywhere(struck, every):
        say([k, *_sorted_out(told)])


def _sorted_out(told: list[list[object]]) -> list[object]:
    steps = [value for kind, value in told if kind == "step"]
    acked = [one for kind, value in told if kind == "ack" for one in value]  # type: ignore[attr-defined]
    errors = [value for kind, value in told if kind == "error"]
    return [steps[0] if steps else "completed", acked, errors]


@scenario
def write(where: str, acked: Acked) -> None:
    """Open, append to a stream that is there and to a new one, and close."""
    with open_store(where) as opened:
        acked([opened.append(DomainEvent("task-0", "One", {}))])
        acked([opened.append(DomainEvent("task-new", "Two", {"big": "y" * 9_000}))])
        acked([opened.append(DomainEvent("task-new", "Two", {}))])


@scenario
def batch(where: str, acked: Acked) -> None:
    """A batch over several streams between two single events."""
    with open_store(where) as opened:
        acked([opened.append(DomainEvent("task-before", "Before", {}))])
        acked(opened.append_many([DomainEvent(f"task-{n % 8}", "Batch", n) for n in range(30)]))
        acked([opened.append(DomainEvent("task-2", "After", {}))])


@scenario
def read(where: str, acked: Acked) -> None:
    """Open, and read all there is."""
    with open_store(where) as opened:
        acked(opened.read_all())


@scenario
def repair(where: str, acked: Acked) -> None:
    """Verify with repair, and read."""
    with open_store(where) as opened:
        assert opened.verify(repair=True).ok
        acked(opened.read_all())


@scenario
def again(where: str, acked: Acked) -> None:
    """Open and append; what is refused is tried again, under the same ids; then go on."""
    with _insisting(lambda: open_store(where)) as opened:
        for number in range(6):
            event = DomainEvent(f"task-{number % 3}", "Insisted", {}, id=f"event-{number}")
            acked([_insisting(lambda event=event: opened.append(event))])  # type: ignore[misc]
        batch = [DomainEvent(f"task-{n}", "Batch", {}, id=f"batch-{n}") for n in range(5)]
        acked(_insisting(lambda: opened.append_many(batch)))


def _insisting(attempt: Callable[[], T]) -> T:
    for _ in range(100):
        with contextlib.suppress(StoreUnavailable):
            return attempt()
    return attempt()


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*map(json.loads, sys.argv[2:]))
