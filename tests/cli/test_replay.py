"""``sc-events replay``: states now and then, in every format; what its exit codes say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore import open_store
from gitstore.projections import BUILT_IN, ProjectionManager
from tests.cli.conftest import Cli, record

EVENTS = [
    ("task-1", "TaskCreated", {"taskId": "1", "title": "Ship\x1b[2J", "workflowState": "x"}, {}),
    ("task-1", "TaskStatusChanged", {"taskId": "1", "newStatus": "done"}, {}),
    ("task-\u202e2", "TaskCreated", {"title": "b", "workflowState": "current"}, {}),
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three events, on the first three days of November 2026."""
    record(tmp_path / "events.git", EVENTS)  # type: ignore[arg-type]
    return tmp_path / "events.git"


def test_one_state_stands_alone_and_several_by_their_names(cli: Cli, store: Path) -> None:
    """As JSON; as lines each names its projection and the position."""
    board = cli.ok("--store", store, "replay", "-p", "TaskBoard", "-f", "json").json
    assert set(board["tasks"]) == {"1", "\u202e2"}
    every = cli.ok("--store", store, "replay", "-f", "json").json
    assert set(every) == {factory().name for factory in BUILT_IN}
    assert every["TaskBoard"] == board
    lines = cli.ok("--store", store, "replay", "-f", "jsonl").jsonl
    assert [(one["projection"], one["position"]) for one in lines] == [(n, 3) for n in every]


def test_programs_get_states_of_no_store_too(cli: Cli) -> None:
    """In the form they have elsewhere: those before the first event."""
    assert cli.ok("replay", "-p", "TaskBoard", "-f", "json").json == {"tasks": {}}
    assert cli.ok("replay", "-f", "json").json["ActiveSessions"] == {"sessions": {}}
    assert len(cli.ok("replay", "-f", "jsonl").jsonl) == len(BUILT_IN)
    assert cli.ok("replay", "--check", "-f", "json").json == []
    assert cli.ok("verify", "--schemas", "-f", "json").json["ok"]
    assert not cli.default_store.exists()


def test_as_of_is_inclusive(cli: Cli, store: Path) -> None:
    """A position, a moment, or a whole day."""
    for then, status in (
        ("1", "todo"), ("2", "done"), ("99", "done"), ("2026-11-01", "todo"),
        ("2026-11-02", "done"), ("2026-11-02T08:00:00Z", "done"), ("2026-11-02T07:59:59Z", "todo"),
    ):  # fmt: skip
        shown = cli.ok("--store", store, "replay", "-p", "TaskBoard", "-f", "json", "--as-of", then)
        assert shown.json["tasks"]["1"]["status"] == status, then
    nothing = cli.ok("--store", store, "replay", "-p", "TaskBoard", "-f", "json", "--as-of", "0")
    assert nothing.json == {"tasks": {}}


def test_a_window_says_that_it_is_one(cli: Cli, store: Path) -> None:
    """On stderr: the answer is that window's alone."""
    window = ("--from", "2026-11-02", "--to", "2026-11-02")
    ran = cli.ok("--store", store, "replay", "-p", "TaskBoard", "-f", "json", *window)
    assert ran.json["tasks"]["1"]["title"] is None
    assert "only 1 event from" in ran.err
    assert "no whole state" in ran.err
    assert not cli.ok("--store", store, "replay", "-f", "json").err


def test_nothing_drives_the_terminal(cli: Cli, store: Path) -> None:
    """Whatever titles and names say, in every format."""
    for form in ("table", "json", "jsonl", "minimal"):
        shown = cli.ok("--store", store, "replay", "-f", form, terminal=True)
        assert "\x1b[2J" not in shown.out + shown.err
        assert "\u202e" not in shown.out + shown.err


def test_check_compares_with_what_is_saved(cli: Cli, store: Path) -> None:
    """Exit code 1 where it is another state, or none; nothing is changed by it."""
    board = ("--store", store, "replay", "-p", "TaskBoard", "--check", "-f", "json")
    assert (cli(*board).code, cli(*board).json[0]["problem"]) == (1, "nothing is saved")
    with open_store(store) as opened:
        manager = ProjectionManager(opened, BUILT_IN)
        manager.catch_up()
    assert cli.ok(*board).json[0]["ok"]
    with open_store(store) as opened:
        manager = ProjectionManager(opened, BUILT_IN)
        manager["TaskBoard"].state()["tasks"]["1"]["status"] = "odd"  # type: ignore[call-overload,index]
        manager._runners["TaskBoard"].held.changes()
        manager._runners["TaskBoard"]._saved = None
        manager.catch_up()
    ran = cli(*board)
    assert (ran.code, ran.json[0]["differences"]) == (1, ["tasks.1.status"])
    assert "projections rebuild" in ran.err


@pytest.mark.parametrize(
    "wrong",
    [
        ["-p", "Bord"], ["--as-of", "soon"], ["--as-of", "-1"], ["--check", "--as-of", "3"],
        ["--from", "2026-11-05", "--to", "2026-11-04"],
    ],
)  # fmt: skip
def test_wrong_usage(cli: Cli, store: Path, wrong: list[str]) -> None:
    """Exit code 2, and no answer."""
    ran = cli("--store", store, "replay", *wrong)
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("command", ["replay", "projections"])
def test_what_is_no_store_is_called_that(cli: Cli, command: str) -> None:
    """By the words of every command, before anything is asked of git about it."""
    (cli.cwd / "file").write_text("no store")
    (cli.cwd / "folder").mkdir()
    (cli.cwd / "folder" / "mine").write_text("mine")
    for name in ("file", "folder"):
        ran = cli(command, "--store", name)
        assert (ran.code, ran.err) == (1, cli("list", "--store", name).err)
