"""``show``, ``streams`` and ``status``."""

from __future__ import annotations

from pathlib import Path

import pytest

import gitstore
from tests.cli.conftest import Cli


@pytest.fixture
def commit(history: Path) -> str:
    """The commit of the history's third event."""
    with gitstore.open_store(history) as store:
        return next(store.read_all(2)).commit or ""


def test_an_event_is_found_by_id_place_and_commit(cli: Cli, history: Path, commit: str) -> None:
    """Any of its names; commits by 4 to 40 digits in either case."""
    for name in ("id-3", "session-1@1", commit, commit[:10], commit[:10].upper()):
        (event,) = cli.ok("show", name, "--store", history).jsonl
        assert event["id"] == "id-3"


def test_a_block_for_people(cli: Cli, history: Path, commit: str, local_zone: None) -> None:
    """Every field by name, data indented."""
    ran = cli.ok("show", "session-1@1", "--store", history, terminal=True)
    assert ran.out == (
        "session-1@1  SessionStarted\n"
        "  Id           id-3\n"
        "  Position     3\n"
        f"  Commit       {commit}\n"
        "  Time         2026-11-03 09:00:00.000 +01:00 (2026-11-03T08:00:00.000Z)\n"
        "  User         bob\n"
        "  Correlation  c1\n"
        "\n"
        "  {\n"
        '    "a": 1\n'
        "  }\n"
    )


def test_metadata_of_ones_own_is_shown(cli: Cli) -> None:
    """Keys without a meaning here, and a user that is no text."""
    cli.ok("append", "a", "T", "--metadata", '{"traceId": [1], "userId": 7}')
    out = cli.ok("show", "a@1", terminal=True).out
    assert "  traceId      [1]\n" in out
    assert "  userId       7\n" in out


@pytest.mark.parametrize("form", ["json", "jsonl", "minimal"])
def test_formats(cli: Cli, history: Path, form: str) -> None:
    """One object in json, one line in the others."""
    ran = cli.ok("show", "id-1", "--store", history, "-f", form)
    if form == "json":
        assert ran.json["id"] == "id-1"
        assert ran.out.startswith('{\n  "id"')
    else:
        assert len(ran.lines) == 1


def test_a_stream_may_have_an_at_in_its_name(cli: Cli) -> None:
    """The last one stands before the version; ids are looked up first."""
    cli.ok("append", "a@3", "T", "--id", "x")
    cli.ok("append", "b", "T", "--id", "a@3@1@9")
    assert cli.ok("show", "a@3@1").jsonl[0]["id"] == "x"
    assert cli.ok("show", "a@3@1@9").jsonl[0]["streamId"] == "b"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nothing", "Give an event id"),
        ("task-AUTH-001@9", "has versions 1 to 3"),
        ("task-AUTH-001", "has versions 1 to 3"),
        ("task-AUTH-001@0", "has versions 1 to 3"),
        ("task-AUTH-001@99999999999999999999999", "has versions 1 to 3"),
        ("task-AUTH-001@²", "has versions 1 to 3"),
        ("ffffffffff", "Give an event id"),
        ("@1", "Give an event id"),
        ("", "Give an event id"),
    ],
)
def test_what_is_not_there_is_a_failure(cli: Cli, history: Path, name: str, hint: str) -> None:
    """Exit 1, and a hint at what there is."""
    ran = cli("show", name, "--store", history)
    assert (ran.code, ran.out) == (1, "")
    assert f"there is no event {name!r}" in ran.err
    assert hint in ran.err


def test_an_ambiguous_commit_is_a_failure(cli: Cli) -> None:
    """Several events begin with the digits: none of them is guessed."""
    lines = "".join(
        f'{{"streamId":"s","type":"T","id":"{n}","timestamp":"2026-01-01T00:00:00Z"}}\n'
        for n in range(800)
    )
    cli.ok("import", "-", stdin=lines.encode())
    begins = [event["commit"][:4] for event in cli.ok("list").jsonl]
    twin = next(begin for begin in begins if begins.count(begin) > 1)
    ran = cli("show", twin)
    assert ran.code == 1
    assert "more digits" in ran.err


def test_streams_say_where_they_stand(cli: Cli, history: Path) -> None:
    """Sorted by name, with version, type and time of the last event."""
    found = cli.ok("streams", "--store", history).jsonl
    assert [stream["streamId"] for stream in found] == [
        "session-1",
        "task-AUTH-001",
        "task-AUTH-002",
        "worktree-feature/auth",
    ]
    assert found[1] == {
        "streamId": "task-AUTH-001",
        "version": 3,
        "lastType": "TaskStatusChanged",
        "lastTimestamp": "2026-11-05T08:00:00.000Z",
    }
    assert cli.ok("streams", "--store", history, "-f", "json").json == found


def test_streams_of_a_category(cli: Cli, history: Path) -> None:
    """Only those; none is said on stderr."""
    ran = cli.ok("streams", "--store", history, "--category", "task", "-f", "minimal")
    assert [line.split("\t")[:2] for line in ran.lines] == [
        ["task-AUTH-001", "3"],
        ["task-AUTH-002", "1"],
    ]
    none = cli.ok("streams", "--store", history, "--category", "x", terminal=True)
    assert (none.out, none.err) == ("", "No streams match.\n")


def test_streams_as_a_table(cli: Cli, history: Path, local_zone: None) -> None:
    """With titles and local time."""
    titles, first, *_ = cli.ok("streams", "--store", history, terminal=True).lines
    assert titles.split() == ["Stream", "Version", "Last", "type", "Last", "time"]
    assert first.split() == ["session-1", "1", "SessionStarted", "2026-11-03", "09:00:00"]


def test_status_says_which_store_and_why(cli: Cli, history: Path) -> None:
    """For programs with numbers, for people with words."""
    status = cli.ok("status", "--store", history).jsonl[0]
    assert (status["store"], status["why"]) == (str(history), "--store")
    assert (status["events"], status["streams"], status["unflushed"]) == (6, 4, 0)
    assert status["size"] > 10_000
    assert status["storeId"]
    assert status["notes"] == []
    shown = cli.ok("status", "--store", history, terminal=True).out
    assert f"Store      {history}  (--store)\n" in shown
    assert "Events     6\n" in shown
    assert cli.ok("status", "--store", history, "-f", "json").json == status
    assert "events\t6" in cli.ok("status", "--store", history, "-f", "minimal").lines


def test_status_changes_nothing(cli: Cli) -> None:
    """What is not in git yet is counted, not moved."""
    cli.ok("append", "a", "T")
    with gitstore.open_store(cli.default_store) as store:
        store._background.stop()  # type: ignore[attr-defined]  # nobody moves it but close
        store.append(gitstore.DomainEvent("a", "T"))
        for _ in range(2):
            assert cli.ok("status", "-f", "json").json["unflushed"] == 1
