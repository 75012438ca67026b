"""``list``: filters, order and formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def positions(cli: Cli, history: Path, *args: object) -> list[int]:
    """The positions ``list`` gives."""
    return [event["position"] for event in cli.ok("list", "--store", history, *args).jsonl]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("--type TaskCreated", [1, 6]),
        ("--type TaskCreated --type SessionStarted", [1, 3, 6]),
        ("--stream task-AUTH-001", [1, 2, 5]),
        ("--stream worktree-feature/auth", [4]),
        ("--category task", [1, 2, 5, 6]),
        ("--user bob", [3, 4, 5]),
        ("--correlation c1", [3, 4]),
        ("--category task --user bob", [5]),
        ("--after 4", [5, 6]),
        ("--after 99", []),
        ("--since 2026-11-03 --until 2026-11-04", [3, 4]),
        ("--from 2026-11-03 --to 2026-11-04", [3, 4]),
        ("--since 2026-11-03T08:00:00Z --until 2026-11-04T08:00:00Z", [3]),
        ("--since 3w", [3, 4, 5, 6]),
        ("--last 2", [5, 6]),
        ("--last 2 --reverse", [6, 5]),
        ("--last 2 --category task", [5, 6]),
        ("--last 2 --type TaskStatusChanged", [2, 5]),
        ("--last 0", []),
        ("--last 99", [1, 2, 3, 4, 5, 6]),
        ("--last 3 --after 4", [5, 6]),
        ("--reverse", [6, 5, 4, 3, 2, 1]),
        ("--limit 2", [1, 2]),
        ("--limit 2 --reverse", [6, 5]),
        ("--limit 1 --category task --after 1", [2]),
    ],
)
def test_filters(cli: Cli, history: Path, args: str, found: list[int]) -> None:
    """A conjunction of all that is given, filtered before it is counted."""
    assert positions(cli, history, *args.split()) == found


def test_the_last_of_very_many_are_the_same(
    cli: Cli, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many to hold are read twice instead."""
    monkeypatch.setattr("gitstore_cli.commands.list_._HELD", 1)
    assert positions(cli, history, "--last", 2) == [5, 6]
    assert positions(cli, history, "--last", 2, "--category", "task", "--after", 1) == [5, 6]
    assert positions(cli, history, "--last", 3, "--type", "None") == []


def test_jsonl_is_the_event_with_position_and_commit(cli: Cli, history: Path) -> None:
    """In the interface's form, times in UTC."""
    (event,) = cli.ok("list", "--store", history, "--limit", 1).jsonl
    commit = event.pop("commit")
    assert len(commit) == 40
    assert event == {
        "id": "id-1",
        "streamId": "task-AUTH-001",
        "type": "TaskCreated",
        "version": 1,
        "timestamp": "2026-11-01T08:00:00.000Z",
        "data": {"title": "Sign in"},
        "metadata": {"userId": "ada"},
        "position": 1,
    }


def test_json_is_an_indented_array(cli: Cli, history: Path) -> None:
    """Of the same objects, indented by two spaces; empty it is one too."""
    ran = cli.ok("list", "--store", history, "-f", "json")
    assert ran.json == cli.ok("list", "--store", history).jsonl
    assert ran.out == json.dumps(ran.json, indent=2, ensure_ascii=False) + "\n"
    assert cli.ok("list", "--store", history, "--after", 99, "-f", "json").out == "[]\n"


def test_minimal_is_tab_separated(cli: Cli, history: Path) -> None:
    """Position, place, type, time, user, commit; no titles."""
    first, *_ = cli.ok("list", "--store", history, "-f", "minimal").lines
    cells = first.split("\t")
    assert cells[:5] == ["1", "task-AUTH-001@1", "TaskCreated", "2026-11-01T08:00:00.000Z", "ada"]
    assert len(cells[5]) == 40


def test_a_terminal_gets_a_table_in_local_time(cli: Cli, history: Path, local_zone: None) -> None:
    """With titles, and the data as far as it fits."""
    ran = cli.ok("list", "--store", history, "--last", 2, terminal=True)
    titles, first, second = ran.lines
    assert titles.split() == ["Position", "Time", "Type", "Event", "User", "Commit", "Data"]
    assert "2026-11-05 09:00:00" in first
    assert "task-AUTH-001@3" in first
    assert '{"newStatus":"done"}' in first
    assert second.split()[:5] == ["6", "2026-11-06", "09:00:00", "TaskCreated", "task-AUTH-002@1"]
    assert max(map(len, ran.lines)) <= 120


def test_the_table_goes_on_beyond_its_first_page(cli: Cli) -> None:
    """The first hundred rows decide the widths; what comes later makes room for itself."""
    lines = "".join(f'{{"streamId":"s","type":"T","version":{n}}}\n' for n in range(1, 151))
    longer = json.dumps({"streamId": "a-longer-name", "type": "T", "version": 1})
    cli.ok("import", "-", stdin=f"{lines}{longer}\n".encode())
    rows = cli.ok("list", "-f", "table").lines
    assert len(rows) == 152
    assert rows[0].index("Event") == rows[100].index("s@100") == rows[150].index("s@150")
    assert "a-longer-name@1" in rows[151]


def test_a_name_that_is_too_long_keeps_its_version(cli: Cli) -> None:
    """It is cut in the middle."""
    cli.ok("append", "task-" + "x" * 300, "T")
    assert "x…xxxxxx@1  " in cli.ok("list", "-f", "table").lines[1]


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
def test_rows_are_not_wider_than_the_terminal(cli: Cli, history: Path, columns: int) -> None:
    """The data goes first, then types and names give way; the rest is never cut."""
    cli.environ["COLUMNS"] = str(columns)
    lines = cli.ok("list", "--store", history, terminal=True).lines
    assert max(map(len, lines)) <= columns
    assert all(line.split()[1] == f"2026-11-0{n}" for n, line in enumerate(lines[1:], 1))
    assert ("Data" in lines[0]) == (columns > 100)
    assert ("worktree-feature/auth@1" in lines[4]) == (columns > 80)
    assert lines[3].split()[0] == "3"


def test_a_file_gets_the_names_whole(
    cli: Cli, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no terminal they would have to fit."""
    cli.environ.clear()
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "worktree-feature/auth@1" in cli.ok("list", "--store", history, "-f", "table").out


def test_an_empty_answer_is_said_on_stderr(cli: Cli, history: Path) -> None:
    """A table without rows has no titles either."""
    ran = cli.ok("list", "--store", history, "--after", 99, terminal=True)
    assert (ran.out, ran.err) == ("", "No events match.\n")


@pytest.mark.parametrize(
    "args",
    [
        "--last 1 --limit 1",
        "--since 2026-11-02 --until 2026-10-01",
        "--since whenever",
        "--last -1",
        "--limit x",
        "--after -1",
        "--unknown",
        "extra",
    ],
)
def test_contradictions_are_usage_errors(cli: Cli, history: Path, args: str) -> None:
    """Exit 2, with a hint."""
    ran = cli("list", "--store", history, *args.split())
    assert (ran.code, ran.out) == (2, "")
    assert "Hint: " in ran.err or "forms are" in ran.err


def test_what_is_listed_can_be_imported(cli: Cli, history: Path) -> None:
    """The jsonl of one store is the same history in another, commit for commit."""
    listed = cli.ok("list", "--store", history)
    cli.ok("import", "-", "--store", "copy.git", stdin=listed.out.encode())
    assert cli.ok("list", "--store", "copy.git").out == listed.out
