"""Stores that were struck at every step of a scenario, and the look at each of them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitstore import RecordedEvent
from tests.backends.survival.programs import start
from tests.backends.survival.witness import Ack, address, assert_sound

Look = Callable[["Death", list[RecordedEvent]], object]


@dataclass(frozen=True, slots=True)
class Death:
    """Before which step, the folder it left, what was acknowledged until then, and the errors."""

    step: str
    folder: Path
    acknowledged: list[Ack]
    errors: list[Any]


def struck(program: str, kind: str, template: Path, name: str, *more: int) -> list[Death]:
    """Strike a scenario on copies of a folder at its steps; gives what became of each."""
    folder = template.with_name(f"{template.name}-{program}")
    with start(program, kind, str(template), str(folder), name, *more) as child:
        assert child.stdout is not None
        said = [json.loads(line) for line in child.stdout]
    assert child.returncode == 0
    assert said[-1][1] == "completed"
    return [Death(step, folder / str(k), acks, errors) for k, step, acks, errors in said]


def check_all(kind: str, deaths: list[Death], before: list[Ack], look: Look | None = None) -> None:
    """Every store is sound after its death; of a type ``Batch`` all events are there, or none."""
    failures = []
    whole = _batches(deaths[-1].acknowledged)
    for death in deaths:
        try:
            acknowledged = [*before, *death.acknowledged]
            events = assert_sound(address(kind, death.folder), acknowledged)
            found = sum(event.event.type == "Batch" for event in events)
            assert found in (0, whole), f"{found} of {whole}"
            if look is not None:
                look(death, events)
        except Exception as error:  # noqa: BLE001 - all steps are to be named, not the first
            failures.append(f"struck before {death.step}: {type(error).__name__}: {error!s:.600}")
        else:
            shutil.rmtree(death.folder)
    assert not failures, f"{len(failures)} of {len(deaths)}:\n" + "\n".join(failures)


def _batches(acknowledged: list[Ack]) -> int:
    return Counter(ack["type"] for ack in acknowledged)["Batch"]
