"""What every command shows, word for word: ``golden/<command>.<case>.txt``.

A golden file is a session as it looks: ``$`` and what was typed, the answer, ``[stderr]`` and the
messages, ``[exit 2]`` where it is not 0.

To add a command, or a case of one:

1. Add lines to ``CASES`` in ``golden_cases``: its ``--help``, its answer on a terminal and in each
   format, what it says where there is no store, and its usual errors. Give ids and times
   (``--id``, ``--time``, a file in ``FILES``), so that the answer is the same every time; what
   cannot be fixed gets a placeholder in ``VARYING`` below.
2. ``GOLDEN=write pytest tests/cli/test_golden.py`` writes the files, and removes those whose case
   is gone.
3. Read them, as a user would, and commit them.

The wording for unknown options is click's and changes with its releases: no case shows it.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from gitstore_cli.main import Commands

from gitstore import open_store
from tests.cli.conftest import Cli, Ran, eventually, record, script
from tests.cli.golden_cases import CASES, FILES, STORES, Case

GOLDEN = Path(__file__).parent / "golden"
WRITING = os.environ.get("GOLDEN") == "write"
WIDTH = "100"
OWN_PROCESS = {"log", "follow"}
"""Commands that become git, or end with Ctrl-C only."""
VARYING = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r"(\bsize\b\W+)\d[\d.]*( bytes| [KMG]B)?", r"\1<size>"),
    (r"\b\d[\d.]* [KMG]B", "<size>"),
    (r'("(?:flush|type index|repack|pack-refs|trim|checkpoint|commit-graph)"): ?\d+', r"\1: <ms>"),
    (r"(?<=/projects/)[^/\s]+", "<project>"),
    (r"^sc-events \d\S*$", "sc-events <version>"),
    (
        r'(checkpoints/\w+(?:\t| is at | \(|",\s*"commit": ?"))(?:[0-9a-f]{40}|[0-9a-f]{7})\b',
        r"\1<id>",
    ),
    (r"(?<=<id>\), )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>"),
    (r'("machine": ?"laptop",\s*"time": ?)"[^"]+"', r"\1<time>"),
    (r'("saved": ?)"[^"]+"', r"\1<time>"),
    (r"^(\w+ +(?:current|behind|stopped) +\d+ +\d+  )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", r"\1<saved>"),
    (r"(\t(?:current|behind)\t\d+\t\d+\t)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", r"\1<saved>"),
    (r"^ +$", ""),  # git log indents empty lines too
)
"""What differs from run to run or with the release, and what stands for it."""


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that gives the store of a name, made once."""
    folder = tmp_path_factory.mktemp("stores")

    def make(name: str) -> Path:
        where = folder / f"{name}.git"
        if not where.exists():
            record(where, STORES[name])
        return where

    return make


@pytest.fixture
def session(
    cli: Cli, made_store: Callable[[str], Path], local_zone: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Case], str]:
    """A function that runs a case and gives what it looked like."""
    monkeypatch.setenv("COLUMNS", WIDTH)  # click's help asks the process
    monkeypatch.delenv("NO_COLOR", raising=False)
    cli.environ["COLUMNS"] = WIDTH
    for name, text in FILES.items():
        (cli.cwd / name).write_text(text)

    def run(case: Case) -> str:
        if case.store != "nothing":
            shutil.copytree(made_store(case.store), cli.default_store)
            open_store(cli.default_store).close()  # a copy says that it is one, the first time
        shown = [_as_session(line, _run(cli, case, line)) for line in case.lines]
        return _same_every_time(cli, "\n".join(shown))

    return run


def _run(cli: Cli, case: Case, line: str) -> Ran:
    """Run one line as ``Case`` explains."""
    words = shlex.split(line)
    environ = {}
    while re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        environ[name] = value
    if words[0] != "sc-events":
        done = subprocess.run(
            ["bash", "-c", line], cwd=cli.cwd, capture_output=True, text=True, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)
    piped = words[-2:] == ["|", "cat"]
    args = words[1:-2] if piped else words[1:]
    if args and args[0] in OWN_PROCESS:
        assert piped or "--help" in args, "it runs as a process, in a pipe: write | cat"
        return _run_process(cli, args, case.interrupt_after)
    stdin = b""
    if "<" in args:
        stdin = (cli.cwd / args.pop()).read_bytes()
        args.remove("<")
    before = dict(cli.environ)
    cli.environ.update(environ)
    try:
        return cli(*args, stdin=stdin, terminal=not piped)
    finally:
        cli.environ = before


def _run_process(cli: Cli, args: list[str], interrupt_after: int) -> Ran:
    out, err = cli.cwd.with_name("out"), cli.cwd.with_name("err")
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(script(*args), cwd=cli.cwd, stdout=stdout, stderr=stderr)
        try:
            if interrupt_after:
                eventually(
                    lambda: (out.read_bytes() + err.read_bytes()).count(b"\n") >= interrupt_after,
                    seconds=30,
                )
                process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()
    return Ran(process.returncode, out.read_text(), err.read_text())


def _as_session(line: str, ran: Ran) -> str:
    text = f"$ {line}\n{_ended(ran.out)}"
    if ran.err:
        text += f"[stderr]\n{_ended(ran.err)}"
    return text + (f"[exit {ran.code}]\n" if ran.code else "")


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n[no end of line]\n"


def _same_every_time(cli: Cli, text: str) -> str:
    text = text.replace(str(cli.cwd), "<here>").replace(str(cli.home), "<home>")
    for pattern, stands_for in VARYING:
        text = re.sub(pattern, stands_for, text, flags=re.MULTILINE | re.IGNORECASE)
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_command_shows_what_its_golden_file_says(
    session: Callable[[Case], str], case: Case
) -> None:
    """To the character; ``GOLDEN=write`` writes the file instead."""
    file = GOLDEN / f"{case.name}.txt"
    shown = session(case)
    if WRITING:
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown)
        return
    if not file.exists():
        pytest.fail(f"there is no golden/{file.name}; {_HOW}", pytrace=False)
    expected = file.read_text()
    if shown != expected:
        pytest.fail(f"{_difference(expected, shown, file.name)}\n{_HOW}", pytrace=False)


_HOW = "if it should look like this, write it with GOLDEN=write"


def _difference(expected: str, shown: str, name: str) -> str:
    return "\n".join(
        difflib.unified_diff(
            expected.split("\n"), shown.split("\n"), f"golden/{name}", "shown now", lineterm=""
        )
    )


def test_every_file_has_a_case() -> None:
    """And no two cases share one."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    left_over = {file.stem for file in GOLDEN.iterdir()} - set(names)
    if WRITING:
        for name in left_over:
            (GOLDEN / f"{name}.txt").unlink()
        return
    assert not left_over


@pytest.mark.parametrize("command", Commands().list_commands(click.Context(Commands())))
def test_every_command_has_cases(command: str) -> None:
    """Its help, and something that it does."""
    names = {case.name for case in CASES if case.name.startswith(f"{command}.")}
    assert f"{command}.help" in names, f"golden_cases has no case {command}.help"
    assert len(names) > 1, f"golden_cases has no case of what {command} does"
    assert all(
        f"sc-events {command}" in line
        for case in CASES
        if case.name == f"{command}.help"
        for line in case.lines
    )


def test_no_golden_file_names_the_machine() -> None:
    """Nor drives the terminal of whoever reads it."""
    for file in GOLDEN.iterdir():
        text = file.read_text()
        assert not re.search(r"/tmp/|/home/|/root/|pytest-of|\x1b", text), file.name


def test_a_difference_is_shown_as_one() -> None:
    """What was there and what is."""
    assert _difference("a\nb\n", "a\nc\n", "x").split("\n")[-3:] == ["-b", "+c", " "]
