"""``sc``: ours are only the events."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def script(folder: Path, text: str) -> Path:
    """An ``sc`` in a folder of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / "sc"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Our ``sc``, as pip writes it."""
    return script(
        tmp_path / "ours",
        f"#!{sys.executable}\nimport sys\nfrom gitstore_cli.shim import main\nsys.exit(main())\n",
    )


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Another ``sc``: it shows its arguments and ends with 7."""
    return script(tmp_path / "theirs", '#!/bin/sh\nprintf "<%s>" "$@"\nexit 7\n')


def run(path: list[Path], *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``sc`` as a shell would, found on that path."""
    search = os.pathsep.join([*(str(each.parent) for each in path), "/usr/bin", "/bin"])
    return subprocess.run(
        ["/bin/sh", "-c", 'sc "$@"', "sh", *args],
        env={**os.environ, "PATH": search},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_events_are_ours(cli: Cli, ours: Path, theirs: Path) -> None:
    """With the same exit codes, and help under this name."""
    assert run([ours, theirs], "events", "append", "a", "T").returncode == 0
    assert len(cli.ok("list").lines) == 1
    assert run([ours, theirs], "events", "lists").returncode == 2
    assert "Usage: sc events list" in run([ours, theirs], "events", "list", "--help").stdout


@pytest.mark.parametrize(
    "args", [["task", "list", "-f", "json"], ["--help"], ["a b", "", "*"], ["event"]]
)
def test_everything_else_is_handed_on(ours: Path, theirs: Path, args: list[str]) -> None:
    """Arguments, output and exit code are untouched."""
    ran = run([ours, theirs], *args)
    assert (ran.returncode, ran.stdout) == (7, "".join(f"<{arg}>" for arg in args))


def test_nothing_is_handed_on_too(ours: Path, theirs: Path) -> None:
    """``sc`` alone."""
    assert run([ours, theirs]).returncode == 7


def test_it_is_found_wherever_ours_stands(ours: Path, theirs: Path, tmp_path: Path) -> None:
    """Links to ourselves are ourselves; files that cannot be run are none."""
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "sc").symlink_to(ours)
    script(tmp_path / "text", "no program").chmod(0o644)
    (tmp_path / "folder" / "sc").mkdir(parents=True)
    path = [ours, tmp_path / "link" / "sc", tmp_path / "text" / "sc", tmp_path / "folder" / "sc"]
    assert run([*path, theirs], "x").returncode == 7
    assert run([tmp_path / "link" / "sc", ours, theirs], "x").returncode == 7


def test_two_of_ours_do_not_hand_on_for_ever(ours: Path, theirs: Path, tmp_path: Path) -> None:
    """Installed twice, each passes the other by."""
    twin = script(tmp_path / "twin", ours.read_text())
    assert run([ours, twin, theirs], "x").returncode == 7
    assert run([ours, twin], "x").returncode == 1


def test_nobody_else_is_a_failure(ours: Path) -> None:
    """Exit 1, and what to do."""
    ran = run([ours], "task", "list", "a b")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no other `sc` on PATH to run `sc task list 'a b'`" in ran.stderr
    assert "Hint: " in ran.stderr
