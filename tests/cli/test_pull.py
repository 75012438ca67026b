"""``sc-events pull --rebase``: the plan, what is said of what was done, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.backends.git.witness import git, reopen
from tests.cli.conftest import HISTORY, Cli, Ran, record
from tests.sync.servers import bare, refs

STREAM = "task-AUTH-001"


@pytest.fixture
def other(cli: Cli) -> Path:
    """The store of another machine; both went on differently in two streams, and share a hub."""
    record(cli.default_store, HISTORY)
    hub, other = bare(cli.cwd / "hub.git"), cli.cwd / "other.git"
    cli.ok("remote", "add", "hub", hub)
    cli.ok("push")
    cli.ok("clone", hub, other)
    for stream in (STREAM, "session-1"):
        cli.ok("append", stream, "Moved", "--store", other)
        cli.ok("append", stream, "Noted")
    cli.ok("push", "--store", other)
    return other


def rows(ran: Ran) -> dict[str, dict[str, object]]:
    """The lines of an answer by stream."""
    return {row["stream"]: row for row in ran.jsonl}


def test_both_sides_are_in(cli: Cli, other: Path) -> None:
    """Ours after theirs, exit 0; what it means for readers and the next step are said."""
    ran = cli.ok("pull", "--rebase")
    assert rows(ran)[STREAM] == {
        "stream": STREAM, "state": "rebased", "fork": 3, "theirs": 1, "replayed": 1, "dropped": 0,
        "from": 4, "to": 5,
    }  # fmt: skip
    assert "2 streams rebased: 2 events of yours after 2 of theirs\n" in ran.err
    assert "2 events have a new version and position; what stood before is kept: " in ran.err
    assert ran.err.endswith("Next: sc-events push hub\n")
    cli.ok("push")
    cli.ok("pull", "--store", other)
    assert refs(other, "refs/streams") == refs(cli.default_store, "refs/streams")
    with reopen(cli.default_store) as store:
        types = [recorded.event.type for recorded in store.read_stream(STREAM, 3)]
    assert types == ["Moved", "Noted"]


def test_a_dry_run_tells_the_same_and_changes_nothing(cli: Cli, other: Path) -> None:
    """Its rows are those of the run after it; no ref moves, and nothing is recorded."""
    before = git(cli.default_store, "for-each-ref")
    listed = cli.ok("list").out
    planned = cli.ok("pull", "--rebase", "--dry-run", "-f", "json")
    assert planned.err.endswith("Nothing was changed: this was a dry run.\n")
    assert "Next" not in planned.err
    assert (git(cli.default_store, "for-each-ref"), cli.ok("list").out) == (before, listed)
    done = cli.ok("pull", "--rebase", "-f", "json").json
    assert planned.json == {**done, "dryRun": True}


def test_a_dry_run_of_a_plain_pull(cli: Cli, other: Path) -> None:
    """What diverged would stay so: exit 3; what would come is shown, and does not."""
    cli.ok("append", "task-new", "TaskOpened", "--store", other)
    cli.ok("push", "--store", other)
    ran = cli("pull", "--dry-run")
    assert ran.code == 3
    states = {stream: row["state"] for stream, row in rows(ran).items()}
    assert states == {STREAM: "diverged", "session-1": "diverged", "task-new": "new"}
    assert "1 event in 1 stream would come from hub" in ran.err
    assert "task-new" not in cli.ok("streams").out


def test_only_some_streams(cli: Cli, other: Path) -> None:
    """Others stay diverged, which is exit 3, with the way to rebase them; then all is in."""
    ran = cli("pull", "--rebase", "--stream", STREAM)
    assert ran.code == 3
    assert {s: row["state"] for s, row in rows(ran).items()} == {
        STREAM: "rebased", "session-1": "diverged",
    }  # fmt: skip
    assert "`sc-events pull hub --rebase` puts yours after theirs." in ran.err
    ran = cli.ok("pull", "--rebase", "--stream", "session-1", "--stream", STREAM)
    assert [row["stream"] for row in ran.jsonl] == ["session-1"]
    assert f"Note: stream '{STREAM}' has nothing to rebase: it did not diverge.\n" in ran.err


def test_a_stream_that_is_nowhere(cli: Cli, other: Path) -> None:
    """Is said, and exit 1 where all else is in: it may be a slip."""
    cli.ok("pull", "--rebase")
    ran = cli("pull", "--rebase", "--stream", "task-AUHT-001")
    assert ran.code == 1
    assert "Warning: there is no stream 'task-AUHT-001', here or there.\n" in ran.err


def test_streams_are_those_of_a_rebase(cli: Cli, other: Path) -> None:
    """Without it the command line makes no sense, and nothing is fetched."""
    ran = cli("pull", "--stream", STREAM)
    assert ran.code == 2
    assert ran.err == "Error: --stream says which streams to rebase\nHint: Add --rebase.\n"


def test_two_contents_stay_apart(cli: Cli, other: Path) -> None:
    """The reason stands in the row; the rebase is not named again, as it would change nothing."""
    data = ("--id", "twin", "--data")
    cli.ok("append", STREAM, "Noted", *data, "1")
    cli.ok("append", STREAM, "Noted", *data, "2", "--store", other)
    cli.ok("push", "--store", other)
    ran = cli("pull", "--rebase")
    assert ran.code == 3
    assert "event id 'twin'" in str(rows(ran)[STREAM]["why"])
    assert rows(ran)["session-1"]["state"] == "rebased"
    assert "--rebase" not in ran.err
    assert cli("compare", "--stream", STREAM, "-f", "json").json["twins"]


def test_from_a_place_that_is_no_remote(cli: Cli, other: Path) -> None:
    """There is nowhere to push to, so that is not the next step."""
    assert "Next" not in cli.ok("pull", other, "--rebase").err


@pytest.mark.parametrize("columns", ["50", "80", "120"])
def test_the_plan_fits_the_terminal(cli: Cli, other: Path, columns: str) -> None:
    """The table is no wider, however long a name is; the counts of replayed events go last."""
    cli.environ["COLUMNS"] = columns
    long = "task-" + "long-" * 20
    for store in (cli.default_store, other):
        cli.ok("append", long, "Noted", "--store", store, "--data", json.dumps(str(store)))
    ran = cli.ok("pull", other, "--rebase", "--dry-run", terminal=True)
    assert all(len(line) <= int(columns) for line in ran.lines)
    assert "3..4" not in ran.out
    assert ("Dropped" in ran.out) == (int(columns) >= 80)


def test_status_and_push_name_the_rebase(cli: Cli, other: Path) -> None:
    """Wherever histories are said to have diverged, this is the next step."""
    for line in (["push"], ["pull"], ["compare"], ["status"]):
        assert "`sc-events pull hub --rebase` puts " in cli(*line).err, line
