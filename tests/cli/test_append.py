"""``append``: one event, with everything that can be said about it."""

from __future__ import annotations

import json

import pytest

import gitstore
from tests.cli.conftest import Cli


def test_on_a_terminal_one_line_says_what_was_recorded(cli: Cli) -> None:
    """Where it stands, what it is, and its abbreviated commit."""
    ran = cli.ok("append", "task-AUTH-001", "TaskOpened", terminal=True)
    with gitstore.open_store(cli.default_store) as store:
        (recorded,) = store.read_all()
    assert recorded.commit is not None
    assert ran.out == f"task-AUTH-001@1  TaskOpened  {recorded.commit[:7]}\n"


def test_in_a_pipe_the_recorded_event_is_one_json_line(cli: Cli) -> None:
    """With position and commit, in the form ``list`` gives it and ``import`` takes it."""
    ran = cli.ok("append", "a", "T", "--data", '{"k": [1, 2.5, null, "ä"]}')
    (event,) = ran.jsonl
    assert event["data"] == {"k": [1, 2.5, None, "ä"]}
    assert (event["version"], event["position"], len(event["commit"])) == (1, 1, 40)
    assert ran.out == cli.ok("list").out


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "minimal"])
def test_every_format_can_be_asked_for(cli: Cli, form: str) -> None:
    """On a terminal too."""
    out = cli.ok("append", "a", "T", "-f", form, terminal=True).out
    starts = {"table": "a@1  T  ", "json": '{\n  "id"', "jsonl": '{"id"', "minimal": "1\ta@1\tT\t"}
    assert out.startswith(starts[form])


def test_everything_that_can_be_said(cli: Cli) -> None:
    """User, correlation and causation are metadata; id and time are the caller's."""
    ran = cli.ok(
        "append", "a", "T", "--metadata", '{"traceId": "t"}', "--user", "ada",
        "--correlation", "c", "--causation", "e", "--id", "my id", "--time", "2026-01-02T03:04:05Z",
    )  # fmt: skip
    (event,) = ran.jsonl
    assert event["metadata"] == {
        "traceId": "t",
        "userId": "ada",
        "correlationId": "c",
        "causationId": "e",
    }
    assert (event["id"], event["timestamp"]) == ("my id", "2026-01-02T03:04:05.000Z")


def test_no_data_is_null(cli: Cli) -> None:
    """As in the library."""
    assert cli.ok("append", "a", "T").jsonl[0]["data"] is None


def test_data_from_a_file_and_from_standard_input(cli: Cli) -> None:
    """A file relative to the current directory; - is standard input."""
    (cli.cwd / "d.json").write_text('{\n  "n": 1\n}\n')
    assert cli.ok("append", "a", "T", "--data-file", "d.json").jsonl[0]["data"] == {"n": 1}
    ran = cli.ok("append", "a", "T", "--data-file", "-", stdin=b'{"n": 2}\n')
    assert ran.jsonl[0]["data"] == {"n": 2}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--data", "{title: 1}", "no JSON"),
        ("--data", "", "no JSON"),
        ("--data", '{"a": 1, "a": 2}', "twice"),
        ("--data", "18446744073709551616", "64 bits"),
        ("--data", "NaN", "no JSON"),
        ("--metadata", "[]", "must be a JSON object"),
        ("--metadata", "{", "no JSON"),
        ("--time", "2026-01-02", "whole day"),
        ("--time", "soon", "no time"),
        ("--expect", "-1", "no version"),
        ("--expect", "some", "no version"),
        ("--data-file", "missing.json", "does not exist"),
        ("--format", "xml", "not one of"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    cli: Cli, option: str, value: str, message: str
) -> None:
    """Exit 2, a reason and a hint, and no store is made."""
    ran = cli("append", "a", "T", option, value)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: ")
    assert message in ran.err
    assert "Hint: " in ran.err
    assert not cli.default_store.exists()


def test_json_that_the_shell_took_apart_is_explained(cli: Cli) -> None:
    """The usual mistake gets the remedy."""
    assert "Hint: Quote it for the shell" in cli("append", "a", "T", "--data", "{title: x}").err


def test_data_twice_is_a_usage_error(cli: Cli) -> None:
    """Only one of --data and --data-file."""
    assert cli("append", "a", "T", "--data", "1", "--data-file", "-", stdin=b"2").code == 2


@pytest.mark.parametrize(
    ("option", "key"),
    [("--user", "userId"), ("--correlation", "correlationId"), ("--causation", "causationId")],
)
def test_an_option_may_repeat_metadata_but_not_contradict_it(
    cli: Cli, option: str, key: str
) -> None:
    """Equal is fine; different is a usage error that names both."""
    metadata = json.dumps({key: "ada"})
    assert cli("append", "a", "T", "--metadata", metadata, option, "ada").code == 0
    ran = cli("append", "a", "T", "--metadata", metadata, option, "bob")
    assert ran.code == 2
    assert "'bob'" in ran.err
    assert "'ada'" in ran.err


def test_an_event_no_store_can_hold_is_a_failure(cli: Cli) -> None:
    """Exit 1, and no store is made."""
    ran = cli("append", "a", "two words")
    assert ran.code == 1
    assert "white space" in ran.err
    assert not cli.default_store.exists()


@pytest.mark.parametrize(
    ("expect", "code"), [("any", 0), ("exists", 0), ("1", 0), ("none", 3), ("0", 3), ("2", 3)]
)
def test_expectations(cli: Cli, expect: str, code: int) -> None:
    """A stream at version 1: what is not met ends with exit 3 and records nothing."""
    cli.ok("append", "a", "First")
    ran = cli("append", "a", "Second", "--expect", expect)
    assert ran.code == code
    assert len(cli.ok("list").lines) == (2 if code == 0 else 1)
    if code:
        assert "stream 'a' is at version 1" in ran.err


def test_a_second_append_of_an_id_is_a_retry(cli: Cli) -> None:
    """The same answer, and nothing new; other content is an error."""
    first = cli.ok("append", "a", "T", "--id", "i", "--data", "1")
    assert cli.ok("append", "a", "T", "--id", "i", "--data", "1").out == first.out
    assert cli("append", "a", "T", "--id", "i", "--data", "2").code == 1


def test_a_time_far_ahead_is_warned_about(cli: Cli) -> None:
    """It would hold all later commits' dates up; recorded all the same."""
    assert "Warning" in cli.ok("append", "a", "T", "--time", "2026-11-24T12:00:01Z").err
    assert cli.ok("append", "a", "T", "--time", "2026-11-24T12:00:00Z").err == ""


def test_control_characters_do_not_reach_the_terminal(cli: Cli) -> None:
    """Marks of direction may stand in a stream's name."""
    out = cli.ok("append", "a\u202eb", "T", terminal=True).out
    assert out.startswith("a\\u202eb@1  T")


def test_a_store_that_is_named_is_made(cli: Cli) -> None:
    """With the directories above it; the default one stays away."""
    cli.ok("append", "a", "T", "--store", "deep/er/s.git")
    assert (cli.cwd / "deep" / "er" / "s.git" / "HEAD").exists()
    assert not cli.default_store.exists()


def test_what_was_appended_is_in_git_when_the_command_ends(cli: Cli) -> None:
    """Commands that wrote flush."""
    cli.ok("append", "a", "T")
    assert cli.ok("status", "-f", "json").json["unflushed"] == 0
