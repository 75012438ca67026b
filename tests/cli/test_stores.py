"""Every command on every kind of store, and what it says where only git can do it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, eventually

KINDS = ("git", "sqlite")
OTHERS = KINDS[1:]


@pytest.fixture(scope="session")
def histories(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the six events of ``history`` in a store of each kind, under its name."""
    folder = tmp_path_factory.mktemp("histories")
    home = tmp_path_factory.mktemp("nobody")
    cli = Cli(home, folder)
    for kind in KINDS:
        cli.ok("copy", history, f"{kind}:{kind}")
    return folder


@pytest.fixture(params=KINDS)
def named(request: pytest.FixtureRequest, cli: Cli, histories: Path) -> str:
    """The address of a copy of ``history`` of each kind, relative to the current directory."""
    source = histories / request.param
    copy = shutil.copytree if source.is_dir() else shutil.copy
    copy(source, cli.cwd / "store")
    return f"{request.param}:store"


def bare(cli: Cli, *args: object) -> list[dict[str, object]]:
    """The events of an answer, without the commits that only git has."""
    return [{k: v for k, v in e.items() if k != "commit"} for e in cli.ok(*args).jsonl]


def test_reads_give_the_same_events(cli: Cli, history: Path, named: str) -> None:
    """With all filters; positions too."""
    for args in (
        ["list"], ["list", "--last", "2"], ["list", "--reverse"], ["list", "--type", "TaskCreated"],
        ["list", "--category", "task", "--user", "ada"], ["list", "--correlation", "c1"],
        ["list", "--since", "2026-11-03", "--until", "2026-11-04"], ["list", "--after", "4"],
        ["show", "task-AUTH-001@2"], ["show", "id-3"], ["export"], ["streams"],
        ["streams", "--category", "session"],
    ):  # fmt: skip
        assert bare(cli, *args, "--store", named) == bare(cli, *args, "--store", history), args


@pytest.mark.parametrize("form", ["table", "json", "minimal"])
def test_every_form_of_an_answer_is_there(cli: Cli, named: str, form: str) -> None:
    """For people and for programs."""
    for command in (["list"], ["show", "id-1"], ["streams"], ["status"], ["maintain"]):
        assert cli.ok(*command, "--store", named, "-f", form).out, command
    assert cli.ok("verify", "--store", named).err == "6 events in 4 streams: no damage\n"


def test_an_event_is_recorded_once(cli: Cli, named: str) -> None:
    """With an expected version; a retry writes nothing; a wrong expectation is exit 3."""
    args = ["append", "task-AUTH-002", "TaskDone", "--id", "n-1", "--expect", "1"]
    assert cli.ok(*args, "--store", named).json["position"] == 7
    assert cli.ok(*args, "--store", named).json["position"] == 7
    ran = cli("append", "task-AUTH-002", "TaskDone", "--expect", "1", "--store", named)
    assert ran.code == 3
    assert "is at version 2, expected 1" in ran.err


def test_what_was_exported_is_imported(cli: Cli, named: str) -> None:
    """Into each kind of store, once."""
    lines = cli.ok("export", "--store", named).out
    for kind in KINDS:
        for imported in (6, 0):
            said = cli.ok("import", "-", "--store", f"{kind}:new-{kind}", stdin=lines.encode())
            assert said.json["imported"] == imported
        assert cli.ok("export", "--store", f"{kind}:new-{kind}").out == lines


def test_init_makes_one_of_each_kind(cli: Cli, tmp_path: Path) -> None:
    """And says where; a second time it is left as it is."""
    for kind in KINDS:
        where = f"{'' if kind == 'git' else kind + ':'}{cli.cwd / kind}"
        assert cli.ok("init", "--store", f"{kind}:{kind}").out == f"{where}\n"
        again = cli.ok("init", "--store", f"{kind}:{kind}", terminal=True)
        assert again.out == f"The event store is there already: {where}\n"
        status = cli.ok("status", "--store", f"{kind}:{kind}", "-f", "json").json
        assert (status["store"], status["events"], status["remotes"]) == (where, 0, [])


def test_a_plain_path_names_what_is_there(cli: Cli, named: str) -> None:
    """A file, a layout, or a repository."""
    assert len(cli.ok("list", "--store", "store").lines) == 6
    assert cli.ok("status", "--store", "./store", "-f", "json").json["store"].endswith("store")


def test_stores_are_named_in_all_ways(cli: Cli, named: str) -> None:
    """By the environment and by git's configuration, relative to where each says."""
    cli.environ["SCOPECRAFT_EVENTS_STORE"] = named
    assert len(cli.ok("list").lines) == 6
    del cli.environ["SCOPECRAFT_EVENTS_STORE"]
    subprocess.run(["git", "init", "-q"], cwd=cli.cwd, check=True)
    subprocess.run(["git", "config", "scopecraft.events", named], cwd=cli.cwd, check=True)
    (cli.cwd / "deep").mkdir()
    cli.cwd = cli.cwd / "deep"
    assert len(cli.ok("list").lines) == 6
    assert cli.ok("status", "-f", "json").json["why"] == "git config scopecraft.events"


@pytest.mark.parametrize("kind", OTHERS)
def test_a_kind_without_a_path_is_its_default_place(cli: Cli, kind: str) -> None:
    """Below the home; it is made by the first append, and missing before."""
    assert cli("list", "--store", f"{kind}:").code == 1
    cli.ok("append", "a", "T", "--store", f"{kind}:")
    assert (cli.home / ".scopecraft" / "events.db").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_store_is_an_error(cli: Cli, kind: str) -> None:
    """And none is made by a reader."""
    for command in (["list"], ["show", "x"], ["status"], ["verify"], ["maintain"], ["follow"]):
        ran = cli(*command, "--store", f"{kind}:missing")
        assert (ran.code, ran.out) == (1, ""), command
        assert "no event store at" in ran.err
        assert "Hint: " in ran.err
    assert not list(cli.cwd.iterdir())


GIT_ONLY = [
    ["log", "task-AUTH-001"], ["push"], ["pull"], ["pull", "hub"], ["compare"], ["compare", "hub"],
    ["checkpoint"], ["remote"], ["remote", "add", "hub", "hub.git"], ["remote", "list"],
    ["remote", "remove", "hub"], ["remote", "set-url", "hub", "x"], ["remote", "machine"],
    ["clone", "hub.git"], ["verify", "--against", "hub"], ["list", "--superseded"],
]  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("args", GIT_ONLY, ids=" ".join)
def test_what_only_git_can_do_is_said_in_a_sentence(
    cli: Cli, histories: Path, kind: str, args: list[str]
) -> None:
    """Exit 1, the store's name, and a command that helps; nothing is changed."""
    ran = cli(*args, "--store", f"{kind}:{histories / kind}")
    assert (ran.code, ran.out) == (1, "")
    error, hint = ran.err.splitlines()
    assert error.startswith("Error: ")
    assert f"{kind}:{histories / kind}" in error
    assert "sc-events copy" in hint


def test_what_names_no_store_is_a_usage_error(cli: Cli) -> None:
    """With what would."""
    for text in ("http://host/x", "memory:x", "redis:db"):
        ran = cli("list", "--store", text)
        assert ran.code == 2
        assert "names no store: give a path, git:PATH" in ran.err
    cli.environ["SCOPECRAFT_EVENTS_STORE"] = "redis:db"
    assert cli("list").code == 2


def test_nothing_but_git_is_maintained_behind_ones_back(cli: Cli, named: str) -> None:
    """``--auto`` finds nothing to do in a small store."""
    assert cli.ok("maintain", "--auto", "--store", named).out == ""


def test_follow_shows_what_others_record(
    cli: Cli, named: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """As it is recorded, until Ctrl-C."""
    out = cli.cwd / "followed"
    with out.open("wb") as stdout:
        process = start("follow", "--last", 1, "--store", named, cwd=cli.cwd, stdout=stdout)
        eventually(lambda: out.read_bytes().count(b"\n") == 1, 30)
        cli.ok("append", "late", "Noted", "--store", named)
        eventually(lambda: b'"late"' in out.read_bytes(), 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
