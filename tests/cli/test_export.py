"""``export``: lines on standard output or in a file, layouts that are kept current."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import gitstore
from tests.cli.conftest import Cli, eventually, program, run_program

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """A store of three events."""
    path = tmp_path / "events.git"
    append(path, "a-1", "b-1", "a-1")
    return path


def append(where: Path, *streams: str) -> None:
    """Record an event in each of the streams."""
    with gitstore.open_store(where) as store:
        for stream in streams:
            store.append(gitstore.DomainEvent(stream, "Noted", {"k": "v"}, {"userId": "ada"}))


def test_lines_are_the_interfaces_objects(cli: Cli, history: Path) -> None:
    """In its order of keys, without what is local; the same bytes each time."""
    ran = cli.ok("export", "--store", history)
    assert ran.lines[0] == (
        '{"id":"id-1","streamId":"task-AUTH-001","type":"TaskCreated","version":1,'
        '"timestamp":"2026-11-01T08:00:00.000Z","data":{"title":"Sign in"},'
        '"metadata":{"userId":"ada"}}'
    )
    assert (len(ran.lines), ran.err) == (6, "")
    assert cli.ok("export", "--store", history, "-o", "-").out == ran.out
    assert run_program("export", "--store", history).stdout == ran.out


def test_filters_are_those_of_list(cli: Cli, history: Path) -> None:
    """All of them."""
    for filters in (
        ["--type", "TaskCreated"], ["--stream", "session-1"], ["--category", "task"],
        ["--user", "bob"], ["--correlation", "c1"], ["--after", "4"],
        ["--since", "2026-11-03", "--until", "2026-11-04"],
    ):  # fmt: skip
        listed = cli.ok("list", "--store", history, *filters).jsonl
        exported = cli.ok("export", "--store", history, *filters).jsonl
        assert [e["id"] for e in exported] == [e["id"] for e in listed]


def test_a_terminal_gets_a_summary_and_no_escapes(cli: Cli) -> None:
    """The same values, but nothing a terminal would obey."""
    cli.ok("append", "a", "T", "--data", json.dumps("\x9b31m"))
    ran = cli.ok("export", terminal=True)
    assert "\\u009b31m" in ran.out
    assert ran.err == "Exported 1 event.\n"


def test_a_file_is_written_whole(cli: Cli, history: Path) -> None:
    """Relative to the current directory; what was written is said, stdout stays empty."""
    ran = cli.ok("export", "--store", history, "-o", "out.jsonl")
    assert (ran.out, ran.err) == ("", "Exported 6 events to out.jsonl.\n")
    assert (cli.cwd / "out.jsonl").read_text() == cli.ok("export", "--store", history).out
    assert [path.name for path in cli.cwd.iterdir()] == ["out.jsonl"]


def test_cloudevents_go_out_and_in(cli: Cli, history: Path) -> None:
    """The refs are those of the first store."""
    ran = cli.ok("export", "--store", history, "--format", "cloudevents")
    assert {event["specversion"] for event in ran.jsonl} == {"1.0"}
    said = cli.ok("import", "-", "--format", "cloudevents", stdin=ran.out.encode())
    assert said.json["imported"] == 6
    assert cli.ok("export").out == cli.ok("export", "--store", history).out


def test_a_layout_is_brought_up_to_the_present(cli: Cli, where: Path) -> None:
    """And says what it did; import takes it."""
    said = [cli.ok("export", "--store", where, "--layout", "events").err for _ in range(2)]
    assert said == [
        "Wrote 3 events to events, now at position 3.\n",
        "Wrote 0 events to events, now at position 3.\n",
    ]
    append(where, "c-1")
    ran = cli.ok("export", "--store", where, "--layout", "events")
    assert (ran.out, ran.err) == ("", "Wrote 1 event to events, now at position 4.\n")
    assert cli.ok("import", "events").json["imported"] == 4
    assert cli.ok("export").out == cli.ok("export", "--store", where).out


@pytest.mark.parametrize(
    "args",
    [
        ["--follow"],
        ["--layout", "d", "-o", "f"],
        ["--layout", "d", "-f", "cloudevents"],
        ["-o", "."],
        ["-f", "table"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_a_usage_error(cli: Cli, history: Path, args: list[str]) -> None:
    """Exit 2, with a hint, and nothing is written."""
    ran = cli("export", "--store", history, *args)
    assert (ran.code, ran.out) == (2, "")
    assert "Hint: " in ran.err
    assert list(cli.cwd.iterdir()) == []


def test_a_directory_of_something_else_is_refused(cli: Cli, history: Path) -> None:
    """Exit 1, and what to do about it."""
    (cli.cwd / "mine").mkdir()
    (cli.cwd / "mine/file").touch()
    ran = cli("export", "--store", history, "--layout", "mine")
    assert ran.code == 1
    assert ran.err == (
        f"Error: {cli.cwd}/mine holds something that is no event store\n"
        "Hint: Name another directory; what is in that one can be imported with "
        "`sc-events import`.\n"
    )


def test_a_layout_where_nothing_can_be_written_is_an_error(cli: Cli, history: Path) -> None:
    """A file on the way to it."""
    (cli.cwd / "file").touch()
    for layout, why in (("file", "is a file"), ("file/layout", "cannot be written: ")):
        ran = cli("export", "--store", history, "--layout", layout)
        assert ran.code == 1
        assert why in ran.err
        assert "Hint: " in ran.err


def test_a_layout_with_something_else_disagrees(cli: Cli, where: Path) -> None:
    """Exit 3, naming the first event that differs; followed too. Nothing is changed."""
    cli.ok("export", "--store", where, "--layout", "events")
    cli.ok("append", "--store", "jsonl:events", "a-1", "T", "--id", "mine")
    for more in ([], ["--follow"]):
        ran = cli("export", "--store", where, "--layout", "events", *more)
        assert ran.code == 3
        assert "the target has a-1@3 (id mine), which the source has not" in ran.err
        assert "Hint: " in ran.err


def test_no_events_yet(cli: Cli) -> None:
    """A missing default store is no error, and leaves no file."""
    ran = cli.ok("export", "-o", "out.jsonl")
    assert "No events yet" in ran.err
    assert list(cli.cwd.iterdir()) == []
    assert cli("export", "--store", "missing.git").code == 1


def test_an_interrupted_export_leaves_the_old_file(start: Start, tmp_path: Path) -> None:
    """Ctrl-C while it is being written: exit 130, no part of it anywhere."""
    where, out = tmp_path / "events.git", tmp_path / "out" / "f.jsonl"
    with gitstore.open_store(where) as store:
        event = gitstore.DomainEvent("a", "T", "x" * 7_000)
        for _ in range(10):
            store.append_many([event] * 2_000)
    out.parent.mkdir()
    out.write_text("old")
    process = start("export", "--store", where, "-o", out)
    eventually(lambda: len(list(out.parent.iterdir())) == 2 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert [(path.name, path.read_text()) for path in out.parent.iterdir()] == [("f.jsonl", "old")]


def test_a_closed_pipe_ends_it_quietly(where: Path) -> None:
    """``| head -1`` has enough."""
    with gitstore.open_store(where) as store:
        store.append_many([gitstore.DomainEvent("a", "T", "x" * 1_000)] * 500)
    command = " ".join(f"'{part}'" for part in program("export", "--store", where))
    shell = f"set -o pipefail; {command} | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")


def test_follow_keeps_a_layout_current_until_ctrl_c(
    start: Start, where: Path, tmp_path: Path
) -> None:
    """Each event is there soon after it is recorded; exit 130; a later run goes on from there."""
    layout = tmp_path / "layout"
    process = start("export", "--store", where, "--layout", layout, "--follow")
    index = layout / "indexes/by-stream.idx"

    def lines() -> int:
        return index.read_bytes().count(b"\n") if index.exists() else 0

    eventually(lambda: lines() == 3)
    for count in (4, 5):
        append(where, "c-1")
        eventually(lambda count=count: lines() == count)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err == f"Wrote 3 events to {layout}, now at position 3; following.\n"
    append(where, "c-1")
    again = run_program("export", "--store", where, "--layout", layout)
    assert again.stderr == f"Wrote 1 event to {layout}, now at position 6.\n"


def test_files_are_private_whatever_the_umask(cli: Cli, history: Path) -> None:
    """Events may hold what is nobody else's."""
    cli.ok("export", "--store", history, "-o", "f.jsonl")
    assert (cli.cwd / "f.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", ["export", "import"])
def test_help_has_examples(command: str) -> None:
    """Of layouts and CloudEvents too."""
    shown = run_program(command, "--help").stdout
    assert "Examples:" in shown
    assert "events/" in shown
    assert "cloudevents" in shown
