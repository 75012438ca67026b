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

# Of one file: nothing, below a line, a page, some pages of a log.
LIMITS = [0, 100, 4_096, 66_000]


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


def fill_at_any_step(place: Path, kind: str, steps: int, every: int) -> None:
    """A disk without space at one step of ``every`` of a write, and for so many steps."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))

    def look(death: Death, _: object) -> None:
        for name, _message, hint in death.errors:
            assert name == "StoreUnavailable"
            assert hint

    for name in ("write", "batch"):
        deaths = struck("fail_everywhere", kind, template, name, every, steps)
        check_all(kind, deaths, before, look)
        shutil.rmtree(place / "template-fail_everywhere")


def insist_at_any_step(place: Path, kind: str, every: int) -> None:
    """Append again what was refused by a disk that was full at one step of ``every``."""
    template = place / "template"
    template.mkdir()
    before = filled(address(kind, template))

    def look(death: Death, events: list[Any]) -> None:
        assert len(events) == len(before) + 11, death.errors

    check_all(kind, struck("fail_everywhere", kind, template, "again", every, 3), before, look)


@pytest.mark.parametrize("steps", [1, 1_000_000], ids=["once", "for good"])
def test_a_disk_that_is_full_at_any_step(place: Path, kind: str, steps: int) -> None:
    """From any step on: a clear error, what was acknowledged stays, the next opening goes on."""
    fill_at_any_step(place, kind, steps, every=2)


def test_what_a_full_disk_refused_is_appended_again(place: Path, kind: str) -> None:
    """The same store object goes on when there is space, and an event refused is recorded once."""
    insist_at_any_step(place, kind, every=3)


@pytest.mark.soak
@pytest.mark.parametrize("steps", [1, 1_000_000], ids=["once", "for good"])
def test_a_disk_that_is_full_at_every_step(place: Path, kind: str, steps: int) -> None:
    """The same, looked at without exception."""
    fill_at_any_step(place, kind, steps, every=1)


@pytest.mark.soak
def test_what_a_full_disk_refused_at_every_step_is_appended_again(place: Path, kind: str) -> None:
    """The same, looked at without exception."""
    insist_at_any_step(place, kind, every=1)


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
    """On a disk of two megabytes: errors are the store's own, and with room made it goes on."""
    *said, (_, there, findings) = lines(begin("fill_a_disk", f"{kind}-{how}"))
    acks = acknowledged(said)
    assert any(one and one[0] == "error" for one in said)
    assert acks == [ack for ack in there if ack in acks]
    assert [ack["position"] for ack in there] == list(range(1, len(there) + 1))
    assert findings == "()"
