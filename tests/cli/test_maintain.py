"""``maintain``: the summary, the formats, and what is left behind by commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gitstore_cli.commands.maintain import _readable
from gitstore_cli.env import Env
from gitstore_cli.finding import Place
from gitstore_cli.stores import tended

import gitstore
from gitstore.backends.addresses import Address
from gitstore.backends.git import maintaining
from tests.cli.conftest import Cli, eventually, run_program


def packed(store: Path, packs: int = 5, size: int = 300) -> None:
    """Make a store of so many packs."""
    with gitstore.open_store(store) as opened:
        for _ in range(packs):
            opened.append_many([gitstore.DomainEvent(f"task-{n % 9}", "N", n) for n in range(size)])


def count_packs(store: Path) -> int:
    """How many packs a store has."""
    return len(list((store / "objects" / "pack").glob("*.pack")))


def test_one_line_says_what_was_gained(cli: Cli) -> None:
    """Packs and bytes, before and after."""
    packed(cli.default_store)
    shown = cli.ok("maintain", terminal=True)
    assert re.fullmatch(r"packs \d → 1, [\d.]+ [KM]B → [\d.]+ [KM]B\n", shown.out)
    assert count_packs(cli.default_store) == 1


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_programs_get_the_figures(cli: Cli, form: str) -> None:
    """Before and after, and the milliseconds of each step."""
    packed(cli.default_store)
    answer = cli.ok("maintain", "-f", form).json
    assert set(answer["before"]) == set(answer["after"]) == {"packs", "loose", "size"}
    assert answer["before"]["packs"] > answer["after"]["packs"] == 1
    assert "repack" in answer["milliseconds"]
    assert "trim" in cli.ok("maintain", "--trim", "-f", form).json["milliseconds"]


def test_the_minimal_form_is_for_cut(cli: Cli) -> None:
    """Name, before, after."""
    packed(cli.default_store)
    lines = [line.split("\t") for line in cli.ok("maintain", "-f", "minimal").lines]
    assert [line[0] for line in lines] == ["packs", "loose", "size"]
    assert lines[0][2] == "1"


def test_nothing_to_maintain(cli: Cli) -> None:
    """A default store that is not there is no error; one that was named is."""
    ran = cli.ok("maintain")
    assert ran.out == ""
    assert "No events yet" in ran.err
    assert cli("maintain", "--store", "missing.git").code == 1
    assert cli("maintain", "--auto", "--trim").code == 2


def test_auto_does_only_what_is_due(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word where nothing is due."""
    packed(cli.default_store)
    ran = cli.ok("maintain", "--auto")
    assert (ran.out, ran.err) == ("", "")
    before = count_packs(cli.default_store)
    assert before > 1
    monkeypatch.setattr(maintaining, "MOST_PACKS", 2)
    assert cli.ok("maintain", "--auto").out
    assert count_packs(cli.default_store) == 1


def test_a_command_leaves_maintenance_behind(cli: Cli) -> None:
    """Where it is due, a process of its own does it; nobody waits for it."""
    packed(cli.default_store, packs=3)
    folder = cli.default_store / "objects" / "pack"
    for number in range(50):  # more than the tiers let gather
        blob = subprocess.run(
            ["git", f"--git-dir={cli.default_store}", "hash-object", "-w", "--stdin"],
            input=b"%d" % number, capture_output=True, check=True,
        ).stdout  # fmt: skip
        subprocess.run(
            ["git", f"--git-dir={cli.default_store}", "pack-objects", "-q", folder / "pack"],
            input=blob, capture_output=True, check=True,
        )  # fmt: skip
    place = Place(Address("git", cli.default_store), "test")
    with tended(Env.current(), place):
        pass
    eventually(lambda: count_packs(cli.default_store) <= 2, 30)
    eventually(lambda: not (cli.default_store / "gitstore" / "repacking").exists())
    assert cli.ok("maintain", "--auto").out == ""


def test_commands_in_this_process_leave_nothing_behind(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a real process of ``sc-events`` may; and only where it is due."""
    packed(cli.default_store)
    monkeypatch.setattr(os, "posix_spawn", None)
    with tended(Env.current(), Place(Address("git", cli.default_store), "test")):
        pass
    monkeypatch.setattr(maintaining, "MOST_PACKS", 1)
    with tended(
        replace(Env.current(), lingers=False), Place(Address("git", cli.default_store), "test")
    ):
        pass
    for nowhere in (Address("memory", Path("/")), Address("git", cli.cwd / "missing")):
        with tended(Env.current(), Place(nowhere, "test")):
            pass


def test_ctrl_c_ends_git_too(cli: Cli, start: Callable[..., subprocess.Popen[str]]) -> None:
    """Exit code 130, nothing half done, and the next run does it."""
    packed(cli.default_store, packs=6, size=1_500)
    process = start("maintain", start_new_session=True)
    eventually((cli.default_store / "gitstore" / "repacking").exists)
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
    assert not (cli.default_store / "gitstore" / "repacking").exists()
    assert count_packs(cli.default_store) > 1
    assert cli.ok("maintain", "-f", "json").json["after"]["packs"] == 1


def test_help_has_examples() -> None:
    """And says how to switch it off."""
    done = run_program("maintain", "--help")
    assert "  sc-events maintain --trim" in done.stdout
    assert "gitstore.autoMaintain" in done.stdout


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 KB"), (812_000, "812 KB"), (999_600, "1.0 MB"), (1_440_000_000, "1.4 GB")],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    """In thousands, at most three digits before a unit."""
    assert _readable(size) == text
