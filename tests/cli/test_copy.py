"""``copy``: what it says, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import gitstore
from tests.cli.conftest import Cli, eventually

KINDS = ("git", "sqlite")
Start = Callable[..., subprocess.Popen[str]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_is_copied_and_kept_current(cli: Cli, history: Path, kind: str) -> None:
    """The sentence says how much is new, and that both say the same."""
    where = f"{'' if kind == 'git' else kind + ':'}{cli.cwd / 'copy'}"
    ran = cli.ok("copy", history, f"{kind}:copy", terminal=True)
    assert ran.out == f"Copied 6 events of 4 streams to {where}; both say the same.\n"
    ran = cli.ok("copy", history, f"{kind}:copy", terminal=True)
    assert ran.out == f"Nothing new for {where}; both say the same 6 events.\n"
    assert cli.ok("export", "--store", where).out == cli.ok("export", "--store", history).out


def test_programs_get_an_object(cli: Cli, history: Path) -> None:
    """On one line in a pipe."""
    said = cli.ok("copy", history, "copy.git").json
    where = str(cli.cwd / "copy.git")
    assert said == {"to": where, "events": 6, "streams": 4, "position": 6, "checked": 6}
    assert cli.ok("copy", history, "copy.git", "-f", "json").json["events"] == 0


def test_more_is_added_to_what_is_there(cli: Cli, history: Path) -> None:
    """And all of it is compared."""
    cli.ok("copy", history, "one.git")
    cli.ok("copy", "one.git", "two.git")
    cli.ok("append", "late", "Noted", "--store", "one.git")
    ran = cli.ok("copy", "one.git", "two.git", "-f", "minimal")
    assert ran.out == (
        f"Copied 1 event of 1 stream to {cli.cwd}/two.git; both say the same 7 events.\n"
    )


def test_another_history_is_exit_3(cli: Cli, history: Path) -> None:
    """The first event that differs is named; nothing is written."""
    cli.ok("append", "mine", "Noted", "--id", "n-1", "--store", "copy.git")
    ran = cli("copy", history, "copy.git")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        "Error: the histories differ after position 0: the source goes on with task-AUTH-001@1 "
        "(id id-1), the target with mine@1 (id n-1)\n"
        "Hint: Copy to a place of its own: what is recorded is never changed to fit another "
        "store.\n"
    )
    assert len(cli.ok("list", "--store", "copy.git").lines) == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["one.git", "./one.git"], "one store"),
        (["git:one.git", "here/../one.git"], "one store"),
        (["one.git", "memory:"], "gone when the command ends"),
        (["memory:", "two.git"], "gone when the command ends"),
        (["one.git", "http://host"], "names no store"),
        (["one.git", "two.git", "--store", "three.git"], "both its stores itself"),
        (["one.git"], "TO"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else " ".join(value),
)
def test_what_makes_no_sense_is_a_usage_error(cli: Cli, args: list[str], says: str) -> None:
    """Exit 2, and nothing is made."""
    cli.ok("init", "--store", "one.git")
    ran = cli("copy", *args)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert [path.name for path in cli.cwd.iterdir()] == ["one.git"]


def test_a_source_that_is_not_there_is_an_error(cli: Cli) -> None:
    """And no target is made."""
    ran = cli("copy", "missing.git", "sqlite:copy.db")
    assert ran.code == 1
    assert "no event store at" in ran.err
    assert not list(cli.cwd.iterdir())


def test_a_place_where_something_else_is_is_left(cli: Cli, history: Path) -> None:
    """A file that is no database, a directory of other things."""
    (cli.cwd / "file").write_text("mine")
    (cli.cwd / "folder").mkdir()
    (cli.cwd / "folder" / "mine").touch()
    for target in ("file", "sqlite:file", "git:folder", "folder"):
        ran = cli("copy", history, target)
        assert (ran.code, ran.out) == (1, ""), target
        assert "Hint: " in ran.err
    assert (cli.cwd / "file").read_text() == "mine"
    assert [path.name for path in (cli.cwd / "folder").iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_followed_copy_grows_until_ctrl_c(
    start: Start, cli: Cli, history: Path, kind: str
) -> None:
    """A line each time; exit 130; the next copy goes on from there."""
    cli.ok("copy", history, "source.git")
    out = cli.cwd / "out"
    with out.open("wb") as stdout:
        process = start(
            "copy", "source.git", f"{kind}:copy", "--follow", cwd=cli.cwd, stdout=stdout
        )
        eventually(lambda: out.read_bytes().count(b"\n") == 1, 30)
        with gitstore.open_store(cli.cwd / "source.git") as source:
            source.append(gitstore.DomainEvent("late", "Noted"))
        eventually(lambda: b'"position":7' in out.read_bytes(), 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert re.findall(r'"events":(\d+)', out.read_text())[0] == "6"
    assert cli.ok("copy", "source.git", f"{kind}:copy").json["checked"] == 7


def test_an_interrupted_copy_goes_on(start: Start, tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit 130, and how to go on; the next one completes it."""
    with gitstore.open_store(tmp_path / "source.git") as source:
        event = gitstore.DomainEvent("a", "T", "x" * 2_000)
        for _ in range(6):
            source.append_many([event] * 5_000)
    target = tmp_path / "target.git"
    process = start("copy", tmp_path / "source.git", target)
    eventually(lambda: list((target / "objects" / "pack").glob("*.idx")), 30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "Interrupted: run it again, and it goes on where it ended.\n"
    again = start("copy", tmp_path / "source.git", target, "-f", "minimal")
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert re.fullmatch(
        r"Copied [\d,]+ events of 1 stream .*; both say the same( 30,000 events)?\.\n", out
    )
