"""Where there is no space left: a clear error, nothing half done, and it goes on when there is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.backends.processes import lines
from tests.backends.survival.deaths import Death, check_all, struck
from tests.backends.survival.programs import ALONE
from tests.backends.survival.witness import Ack, address, assert_sound, filled

Begin = Callable[..., Popen[str]]

# Of one file: nothing, below a line, a page, a database, a log, a journal.
LIMITS = [0, 100, 4_096, 33_000, 66_000, 130_000]


def acknowledged(said: list[Any]) -> list[Ack]:
    """What was acknowledged; every error is the store's own, and says what to do."""
    acks: list[Ack] = []
    for one in said:
        if one and one[0] == "error":
            assert one[1] == "StoreUnavailable", one
            assert one[3], one
        else:
            acks += one
    return acks


@pytest.mark.parametrize("how", ["single", "batch"])
@pytest.mark.parametrize("exists", [True, False], ids=["exists", "new"])
def test_files_that_cannot_grow(
    place: Path, begin: Begin, kind: str, how: str, exists: bool
) -> None:
    """Where files cannot grow, errors are the store's own; what was acknowledged stays."""
    for limit in LIMITS:
        folder = place / str(limit)
        folder.mkdir()
        acks = filled(address(kind, folder)) if exists else []
        acks += acknowledged(lines(begin("bounded", address(kind, folder), limit, how)))
        assert_sound(address(kind, folder), acks)
        shutil.rmtree(folder)


@pytest.mark.parametrize("steps", [1, 1_000_000], ids=["once", "for good"])
def test_a_disk_that_is_full_at_any_step(place: Path, kind: str, steps: int) -> None:
    """From any step on: a clear error, what was acknowledged stays, the next opening goes on."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))

    def look(death: Death, _: object) -> None:
        for name, _message, hint in death.errors:
            assert name == "StoreUnavailable"
            assert hint

    for name in ("write", "batch"):
        check_all(kind, struck("fail_everywhere", kind, template, name, 1, steps), before, look)
        shutil.rmtree(place / "template-fail_everywhere")


def test_what_a_full_disk_refused_is_appended_again(place: Path, kind: str) -> None:
    """The same store object goes on when there is space, and an event refused is recorded once."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))

    def look(death: Death, events: list[Any]) -> None:
        assert len(events) == len(before) + 11, death.errors

    check_all(kind, struck("fail_everywhere", kind, template, "again", 1, 3), before, look)


def can_mount() -> bool:
    """Whether this user may mount a disk in a name space of its own."""
    tried = [*ALONE, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_mount(), reason="a disk of its own can be mounted by the system only")
@pytest.mark.parametrize("how", ["single", "batch"])
def test_a_full_disk(begin: Begin, kind: str, how: str) -> None:
    """On a disk of a megabyte: errors are the store's own, and with room made it goes on."""
    *said, (_, there, findings) = lines(begin("fill_a_disk", f"{kind}-{how}"))
    acks = acknowledged(said)
    assert any(one and one[0] == "error" for one in said)
    assert acks == [ack for ack in there if ack in acks]
    assert [ack["position"] for ack in there] == list(range(1, len(there) + 1))
    assert findings == "()"
