"""``sc-events projections``: saved states, what stops one, and what the exit code says of that."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitstore import DomainEvent, open_store
from gitstore.projections import CONFIG_KEY, MemoryStates, states_of
from tests.backends.git.witness import git
from tests.cli.conftest import Cli, eventually, program, record, run_program

MODULE = """
class Fussy:
    name = "Fussy"
    version = 1
    types = None
    def __init__(self):
        self.seen = []
    def handle(self, recorded):
        self.seen.append(recorded.event.id)
        if recorded.event.type == "Bad":
            raise RuntimeError("cannot \\x1b[31mdo that")
    def state(self):
        return {"seen": self.seen}
    def restore(self, state):
        self.seen = state["seen"]

PROJECTIONS = [Fussy]
"""
EVENTS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("task-1", "TaskCreated", {"taskId": "1", "title": "Ship", "workflowState": "current"}, {}),
    ("task-1", "Bad", None, {}),
    ("task-1", "TaskMoved", {"taskId": "1", "toWorkflow": "archive"}, {}),
]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with an event that the projection of a module of its own cannot handle."""
    where = tmp_path / "events.git"
    record(where, EVENTS)
    code = tmp_path / "code"
    code.mkdir()
    name = f"fussy_{tmp_path.name.replace('-', '_')}"
    (code / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(code)
    monkeypatch.setenv("PYTHONPATH", str(code))
    git(where, "config", CONFIG_KEY, name)
    return where


def states(cli: Cli, store: Path) -> dict[str, dict[str, Any]]:
    """How saved states stand, by name."""
    shown = cli("--store", store, "projections", "status", "-f", "json").json
    return {one["projection"]: one for one in shown}


def test_one_that_stops_is_told_and_the_others_go_on(cli: Cli, store: Path) -> None:
    """Exit code 1, with the event, the error and what to do; nothing of it drives a terminal."""
    ran = cli("--store", store, "projections", "update", terminal=True)
    assert ran.code == 1
    assert "Error: Fussy has stopped at task-1@2 (Bad): RuntimeError: cannot" in ran.err
    assert "sc-events projections skip Fussy" in ran.err
    assert "\x1b[31m" not in ran.out + ran.err
    stand = states(cli, store)
    assert stand["TaskBoard"]["state"] == "current"
    assert stand["Fussy"]["stopped"]["eventId"] == "id-2"
    assert cli("--store", store, "projections").code == 1
    assert cli("--store", store, "projections", "status", "TaskBoard").code == 0
    assert cli("--store", store, "projections", "update", "task-board").code == 0


def test_skip_passes_over_it(cli: Cli, store: Path) -> None:
    """Exit code 0 afterwards; once more there is nothing to skip."""
    assert cli("--store", store, "projections", "update").code == 1
    assert cli("--store", store, "replay", "-p", "Fussy").code == 1
    ran = cli.ok("--store", store, "projections", "skip", "Fussy")
    assert "Skipped task-1@2 (Bad) in Fussy." in ran.err
    assert states(cli, store)["Fussy"] | {"saved": None} == {
        "projection": "Fussy",
        "version": 1,
        "state": "current",
        "position": 3,
        "lag": 0,
        "saved": None,
        "building": None,
        "stopped": None,
        "skipped": ["id-2"],
    }
    again = cli("--store", store, "projections", "skip", "Fussy")
    assert (again.code, again.out) == (1, "")
    assert "has not stopped" in again.err
    cli.ok("--store", store, "projections", "rebuild")
    cli.ok("--store", store, "replay", "--check")
    replayed = cli.ok("--store", store, "replay", "-p", "Fussy", "-f", "json")
    assert replayed.json == {"seen": ["id-1", "id-3"]}
    assert "Fussy passes over 1 event" in replayed.err
    cli.ok("--store", store, "projections", "reset", "Fussy")
    assert cli("--store", store, "projections", "update").code == 1


def test_a_rebuild_that_stops_can_be_skipped(cli: Cli, store: Path) -> None:
    """The hint that is given then is true."""
    cli("--store", store, "projections", "skip", "Fussy")
    file = next(store.rglob("Fussy.json"))
    file.write_bytes(file.read_bytes().replace(b'"skipped":["id-2"]', b'"skipped":[]', 1))
    ran = cli("--store", store, "projections", "rebuild", "Fussy")
    assert ran.code == 1
    assert "sc-events projections skip Fussy" in ran.err
    assert cli("--store", store, "projections", "update", "Fussy").code == 1
    cli.ok("--store", store, "projections", "skip", "Fussy")
    cli.ok("--store", store, "projections")


def test_follow_keeps_states_current_until_it_is_interrupted(
    store: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Exit code 130; what comes while it waits is saved."""
    follower = start("--store", store, "projections", "update", "TaskBoard", "--follow")
    with open_store(store) as opened:
        kept = states_of(opened)
        eventually(lambda: b'"archive"' in (kept.read("TaskBoard") or b""))
        data = {"taskId": "1", "toWorkflow": "backlog"}
        opened.append_history([DomainEvent("task-1", "TaskMoved", data)])
        eventually(lambda: b'"backlog"' in (kept.read("TaskBoard") or b""))
        follower.send_signal(signal.SIGINT)
        out, err = follower.communicate(timeout=20)
    assert (follower.returncode, out, err) == (130, "", "")


def test_a_long_update_that_is_interrupted_keeps_what_it_has(store: Path, tmp_path: Path) -> None:
    """Exit code 130 once the event in hand is handled, and the next one goes on after it."""
    code, begun = next((tmp_path / "code").glob("*.py")), tmp_path / "begun"
    handle = f"""
        import pathlib, time
        if not pathlib.Path({str(begun)!r}).exists():
            pathlib.Path({str(begun)!r}).touch()
            time.sleep(1)
        self.seen.append"""
    code.write_text(MODULE.replace("self.seen.append", handle.strip()).replace("Bad", "Never"))
    command = program("--store", store, "projections", "update", "Fussy")
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as child:
        eventually(begun.exists)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
    assert child.returncode == 130
    file = next(store.rglob("Fussy*.json"))
    assert b'"seen":["id-1"]' in file.read_bytes()
    ran = run_program("--store", store, "projections", "update", "Fussy", "-f", "jsonl")
    assert (ran.returncode, '"state":"current"' in ran.stdout) == (0, True), ran.stderr
    assert b'"seen":["id-1","id-2","id-3"]' in file.with_name("Fussy.json").read_bytes()


def test_where_nothing_can_be_kept_nothing_is_said_to_be(
    cli: Cli, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a store that cannot be written to, saved states are shown and not changed."""
    cli("--store", store, "projections", "update")
    real = os.access
    denied = lambda path, mode, **more: mode != os.W_OK and real(path, mode, **more)  # noqa: E731
    monkeypatch.setattr(os, "access", denied)
    assert states(cli, store)["TaskBoard"]["state"] == "current"
    cli.ok("--store", store, "replay", "-p", "TaskBoard", "--check")
    for command in (["update"], ["rebuild"], ["reset", "TaskBoard"], ["skip", "Fussy"]):
        ran = cli("--store", store, "projections", *command)
        assert (ran.code, ran.out) == (1, "")
        assert "cannot be saved" in ran.err
        assert "sc-events replay" in ran.err
    with open_store(store, create=False) as opened:
        assert isinstance(states_of(opened), MemoryStates)


def test_a_module_that_cannot_be_loaded_is_told(cli: Cli, store: Path, tmp_path: Path) -> None:
    """Exit code 1; Scopecraft's own need none."""
    git(store, "config", CONFIG_KEY, "no.such.module")
    ran = cli("--store", store, "projections")
    assert ran.code == 1
    assert "'no.such.module' cannot be loaded" in ran.err
    cli.ok("--store", store, "projections", "update", "TaskBoard")


@pytest.mark.parametrize("state", ["{1, 2}", "1 / 0", '{"seen": (1,)}'])
def test_a_state_that_is_none_is_told(cli: Cli, store: Path, tmp_path: Path, state: str) -> None:
    """As what code of one's own does, which is no bug of this program."""
    code = next((tmp_path / "code").glob("*.py"))
    source = MODULE.replace('"Bad"', '"Never"').replace('{"seen": self.seen}', state)
    code.write_text(source)
    ran = cli("--store", store, "replay", "-p", "Fussy")
    assert (ran.code, ran.out) == (1, "")
    assert "Fussy gives no state" in ran.err
    assert "internal error" not in ran.err
    for command in ("update", "rebuild"):
        ran = cli("--store", store, "projections", command, "Fussy")
        assert ran.code == 1
        assert "Fussy cannot be saved" in ran.err


def test_a_name_that_is_none_is_a_wrong_usage(cli: Cli, store: Path) -> None:
    """Exit code 2, with those there are."""
    ran = cli("--store", store, "projections", "update", "Bord")
    assert ran.code == 2
    assert "Fussy" in ran.err
    assert cli("--store", store, "projections", "skip").code == 2
    assert cli("--store", store, "projections", "reset").code == 2
