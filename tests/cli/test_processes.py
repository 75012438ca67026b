"""What only real processes show: exit codes, pipes, terminals, Ctrl-C, start-up."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gitstore_cli import failures
from gitstore_cli.env import Env
from gitstore_cli.main import main

from tests.cli.conftest import Cli, program, run_program


def on_terminal(*args: object, send: bytes = b"") -> tuple[int, str]:
    """Run the command line on a terminal of its own; gives exit code and all it showed."""
    leader, follower = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        program(*args), stdin=follower, stdout=follower, stderr=follower, env=environ,
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    return process.wait(timeout=30), shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["list"], 0),
        (["show", "x"], 1),
        (["list", "--store", "missing.git"], 1),
        (["list", "--since", "soon"], 2),
        (["lists"], 2),
        ([], 2),
        (["append", "a", "T", "--expect", "7"], 3),
    ],
)
def test_exit_codes(tmp_path: Path, args: list[str], code: int) -> None:
    """0 ok, 1 failure, 2 usage, 3 histories disagree."""
    done = run_program(*args, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_terminal_gets_colours_and_tables(cli: Cli) -> None:
    """And a pipe gets neither."""
    cli.ok("append", "task-1", "TaskOpened", "--user", "ada")
    code, shown = on_terminal("list")
    assert code == 0
    assert "Position" in shown
    assert "\x1b[3" in shown
    piped = run_program("list").stdout
    assert "\x1b" not in piped
    assert json.loads(piped)["streamId"] == "task-1"
    assert "\x1b[3" not in on_terminal_without_colour("list")


def on_terminal_without_colour(*args: object) -> str:
    """The same under NO_COLOR."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_COLOR", "1")
        return on_terminal(*args)[1]


def test_errors_are_two_lines_on_a_terminal(cli: Cli) -> None:
    """What happened, and what to do."""
    code, shown = on_terminal("show", "x", "--store", "missing.git")
    assert code == 1
    assert shown.splitlines()[0].startswith("Error: no event store at ")
    assert shown.splitlines()[1].startswith("Hint: ")


@pytest.mark.parametrize("command", ["list", "streams", "--help"])
def test_a_closed_pipe_ends_quietly(cli: Cli, command: str) -> None:
    """``list | head`` shows no error, however much there was to say."""
    lines = "".join(f'{{"streamId":"s{n}","type":"T","data":"{"x" * 300}"}}\n' for n in range(900))
    cli.ok("import", "-", stdin=lines.encode())
    reader, writer = os.pipe()
    process = subprocess.Popen(program(command), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.close(reader)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", [["list"], ["list", "-f", "table"], ["--version"]])
def test_an_answer_that_cannot_be_written_is_a_failure(cli: Cli, command: list[str]) -> None:
    """A full disk is not ended quietly."""
    cli.ok("append", "a", "T")
    with Path("/dev/full").open("w") as full:
        done = run_program(*command, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "Error: No space left on device\n"


def test_ctrl_c_is_130(start: Callable[..., subprocess.Popen[str]], cli: Cli) -> None:
    """While waiting for input, without a traceback."""
    process = start("import", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("\n" * 1_000_000)  # more than a pipe holds: somebody is reading
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out.strip(), err.strip()) == (130, "", "")


def test_closed_streams_are_survived(cli: Cli) -> None:
    """``>&-``: nobody wants the answer."""
    shell = f"'{sys.executable}' -m gitstore_cli append a T >&- <&-"
    assert subprocess.run(["bash", "-c", shell], check=False).returncode == 0
    assert len(cli.ok("list").lines) == 1


def test_any_locale_will_do(cli: Cli) -> None:
    """Pipes get UTF-8, whatever the environment says."""
    text = "ä日本😀"
    done = run_program(
        "append", "s", "T", "--data", json.dumps(text, ensure_ascii=False),
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, encoding="utf-8",
    )  # fmt: skip
    assert json.loads(done.stdout)["data"] == text


def a_broken_clock() -> object:
    """Something that goes wrong where nobody expected it."""
    raise ZeroDivisionError("seventh\nof nine")


def broken(cli: Cli, **more: object) -> tuple[int, str]:
    """Run a command whose clock is broken."""
    err = io.StringIO()
    env = Env(
        cli.cwd, cli.home, io.BytesIO(), io.StringIO(), err, dict(os.environ),
        a_broken_clock,  # type: ignore[arg-type]
    )  # fmt: skip
    return main(["list", "--since", "2h"], env=replace(env, **more)), err.getvalue()  # type: ignore[arg-type]


def test_the_unexpected_is_one_line_and_exit_1(cli: Cli) -> None:
    """With a hint at how to report it."""
    code, err = broken(cli)
    assert code == 1
    assert err.splitlines()[0] == "Error: internal error: ZeroDivisionError: seventh of nine"
    assert "SC_EVENTS_DEBUG=1" in err
    assert "Traceback" not in err


def test_the_traceback_is_shown_to_who_asks(cli: Cli) -> None:
    """By the variable or by the option; for expected errors too."""
    assert "Traceback" in broken(cli, debug=True)[1]
    for debug in ({"SC_EVENTS_DEBUG": "1"}, {}):
        option = [] if debug else ["--debug"]
        done = run_program(*option, "list", "--store", "missing.git", env=debug)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
    assert (
        "Traceback" not in run_program("list", "--store", "x", env={"SC_EVENTS_DEBUG": "0"}).stderr
    )


def test_ctrl_c_inside_a_command_is_130(cli: Cli) -> None:
    """Whoever raises it."""
    env = Env(cli.cwd, cli.home, io.BytesIO(), io.StringIO(), io.StringIO(), {})
    assert failures.report(KeyboardInterrupt(), env) == 130


def imported_by(*args: str) -> set[str]:
    """The modules a command imports."""
    code = (
        "import sys; from gitstore_cli.main import main; code = main(sys.argv[1:]);"
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_the_version_costs_nothing(cli: Cli) -> None:
    """It is shown without loading anything that takes its time."""
    heavy = {
        "rich", "pygit2", "sqlite3", "asyncio", "importlib.metadata", "subprocess", "orjson",
        "logging", "git", "gitstore.core.event", "gitstore.backends.git.store",
    }  # fmt: skip
    assert not imported_by("--version") & heavy
    assert run_program("--version").stdout == "sc-events 0.1.0\n"


def test_a_command_loads_only_its_own_module(cli: Cli) -> None:
    """Rich is for tables only."""
    cli.ok("append", "a", "T")
    loaded = imported_by("list", "-f", "jsonl")
    assert {name for name in loaded if name.startswith("gitstore_cli.commands.")} == {
        "gitstore_cli.commands.list_"
    }
    assert not {"rich", "asyncio", "importlib.metadata", "git"} & loaded


@pytest.mark.parametrize(
    "command",
    [
        "",
        "init",
        "status",
        "append",
        "import",
        "list",
        "show",
        "streams",
        "log",
        "follow",
        "maintain",
        "verify",
    ],
)
def test_every_help_has_an_example(command: str) -> None:
    """And says what the command is for."""
    done = run_program(*command.split(), "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"  sc-events {command}" in done.stdout
    assert "--store" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_command_that_is_misspelt_is_guessed() -> None:
    """The nearest one is proposed."""
    assert "Did you mean `list`?" in run_program("lst").stderr


def test_without_a_command_the_help_is_a_usage_error() -> None:
    """On stderr: stdout holds answers only."""
    done = run_program()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


def test_shells_can_complete(cli: Cli) -> None:
    """Click's completion, for commands and options."""
    done = run_program(
        env={
            "_SC_EVENTS_COMPLETE": "bash_complete",
            "COMP_WORDS": "sc-events li",
            "COMP_CWORD": "1",
        }
    )
    assert done.stdout == "plain,list\n"
