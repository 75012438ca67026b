"""``sc-events compare``, and the remotes in ``sc-events status``."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitstore import DomainEvent
from tests.backends.git.witness import git, reopen
from tests.cli.conftest import Cli


@pytest.fixture
def both(history: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two stores with one beginning: each has something of its own, and one stream forked."""
    a, b = tmp_path / "a.git", tmp_path / "b.git"
    for store, by in ((a, "laptop"), (b, "desk")):
        shutil.copytree(history, store)
        with reopen(store) as opened:
            opened.append(DomainEvent("task-AUTH-001", "TaskNoted", {"by": by}, id=by))
            opened.append(DomainEvent(f"only-{by}", "Noted", id=f"only-{by}"))
    return a, b


def test_the_streams(cli: Cli, both: tuple[Path, Path]) -> None:
    """Exit 3; a line a stream in a pipe; the sum of it on stderr."""
    a, b = both
    ran = cli("compare", "--store", a, b)
    assert ran.code == 3
    streams = {line["stream"]: line for line in ran.jsonl}
    assert list(streams["task-AUTH-001"]) == ["stream", "state", "ahead", "behind", "fork", "same"]
    assert streams["only-desk"]["state"] == "only-there"
    assert streams["only-laptop"]["state"] == "only-here"
    forked = streams["task-AUTH-001"]
    assert (forked["state"], forked["ahead"], forked["behind"]) == ("diverged", 1, 1)
    total = len(streams)
    assert ran.err == (
        f"{total} streams compared with {b}: 1 diverged, {total - 3} identical, "
        "1 only here, 1 only there\n"
        f"Hint: `sc-events pull {b} --rebase` puts 1 event of yours after theirs.\n"
    )


def test_json_is_that_of_the_design(cli: Cli, both: tuple[Path, Path]) -> None:
    """Streams and summary, nothing else; the summary counts what is left out, too."""
    a, b = both
    whole = cli("compare", "--store", a, b, "-f", "json").json
    assert set(whole) == {"streams", "summary"}
    some = cli("compare", "--store", a, b, "-f", "json", "--only-different").json
    assert [one["state"] for one in some["streams"]] == ["only-there", "only-here", "diverged"]
    assert some["summary"] == whole["summary"]
    assert whole["summary"]["identical"] == len(whole["streams"]) - 3


def test_equal_stores(cli: Cli, history: Path, tmp_path: Path) -> None:
    """Exit 0, and with --only-different nothing on stdout."""
    shutil.copytree(history, tmp_path / "copy.git")
    ran = cli.ok("compare", "--store", history, tmp_path / "copy.git", "--only-different")
    assert ran.out == ""
    assert "identical" in ran.err


def test_both_sides_of_a_stream(cli: Cli, both: tuple[Path, Path]) -> None:
    """In each form: where it forked, what each side has, and ids with two contents."""
    a, b = both
    with reopen(a) as opened:
        opened.append(DomainEvent("task-AUTH-001", "Noted", {"n": 1}, id="twin"))
    with reopen(b) as opened:
        opened.append(DomainEvent("task-AUTH-001", "Noted", {"n": 2}, id="twin"))
    line = ("compare", "--store", a, b, "--stream", "task-AUTH-001")
    ran = cli(*line, "-f", "json")
    assert ran.code == 3
    assert list(ran.json) == [
        "stream", "state", "ahead", "behind", "fork", "same", "versions", "twins",
    ]  # fmt: skip
    first, second = ran.json["versions"]
    assert (first["ours"]["id"], first["theirs"]["id"]) == ("laptop", "desk")
    assert first["version"] + 1 == second["version"] == ran.json["fork"] + 2
    assert "position" not in first["theirs"]
    (twins,) = ran.json["twins"]
    assert twins["eventId"] == "twin"
    assert {"field": "data.n", "ours": 1, "theirs": 2} in twins["fields"]
    assert cli(*line, "-f", "jsonl").jsonl[1:] == [first, second, twins]
    assert cli(*line, "-f", "minimal").lines[0].split("\t")[1:] == [
        "TaskNoted", "laptop", "TaskNoted", "desk",
    ]  # fmt: skip


def test_a_rebased_event_is_recognised(cli: Cli, both: tuple[Path, Path]) -> None:
    """Counted in the list, marked on both sides of the stream, and no id with two contents."""
    a, b = both
    same = {"id": "same", "timestamp": datetime(2026, 11, 23, tzinfo=UTC)}
    for store in both:
        with reopen(store) as opened:
            if store == b:
                opened.append(DomainEvent("task-AUTH-001", "Noted", id="more"))
            opened.append(DomainEvent("task-AUTH-001", "Renamed", {"n": 1}, **same))
    streams = cli("compare", "--store", a, b, "-f", "json").json["streams"]
    assert {one["stream"]: one["same"] for one in streams if one["same"]} == {"task-AUTH-001": 1}
    ran = cli("compare", "--store", a, b, terminal=True)
    assert "diverged at version 3 (+2/+3, 1 the same)" in ran.out
    assert "puts 1 event of yours after theirs, and drops 1 that theirs has, too." in ran.err
    line = ("compare", "--store", a, b, "--stream", "task-AUTH-001")
    ran = cli(*line, "-f", "json")
    assert ran.json["twins"] == []
    marks = [[(p[s] or {}).get("sameAs") for s in ("ours", "theirs")] for p in ran.json["versions"]]
    assert marks == [[None, None], [6, None], [None, 5]]
    shown = cli(*line, terminal=True).out
    assert "the same as version 6 there" in shown
    assert "the same as version 5 here" in shown
    assert "two contents" not in shown


def test_all_of_ours_is_there_too(cli: Cli, both: tuple[Path, Path]) -> None:
    """Where ours was rebased there, a rebase here has only to drop it; the hint says so."""
    a, b = both
    event = DomainEvent(
        "new", "Noted", {"n": 1}, id="n-1", timestamp=datetime(2026, 11, 23, tzinfo=UTC)
    )
    for store in both:
        with reopen(store) as opened:
            if store == b:
                opened.append(DomainEvent("new", "Noted", id="n-0"))
            opened.append(event)
    err = cli("compare", "--store", a, b, "--stream", "new").err
    assert err.endswith(
        f"Hint: `sc-events pull {b} --rebase` drops 1 event of yours, which theirs has, too.\n"
    )


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_both_sides_fit_the_terminal(cli: Cli, both: tuple[Path, Path], columns: str) -> None:
    """No line is wider than the terminal, however long the data is."""
    a, b = both
    cli.environ["COLUMNS"] = columns
    with reopen(b) as opened:
        opened.append(DomainEvent("task-AUTH-001", "Noted", {"text": "ü日" * 90}))
    ran = cli("compare", "--store", a, b, "--stream", "task-AUTH-001", terminal=True)
    assert all(len(line) <= int(columns) for line in ran.lines)
    assert "laptop" in ran.out
    assert "desk" in ran.out


def test_no_such_stream(cli: Cli, both: tuple[Path, Path]) -> None:
    """Is a failure that says so."""
    ran = cli("compare", "--store", both[0], both[1], "--stream", "nope")
    assert ran.code == 1
    assert ran.err.startswith("Error: there is no stream 'nope', here or there\nHint: ")


def test_which_remote(cli: Cli, both: tuple[Path, Path]) -> None:
    """The only one, or origin; otherwise a usage error that names them."""
    a, b = both
    ran = cli("compare", "--store", a)
    assert (ran.code, "the store has no remote" in ran.err) == (2, True)
    cli.ok("remote", "add", "--store", a, "hub", b)
    assert (
        "compared with the refs of hub, which was never fetched: "
        in cli("compare", "--store", a).err
    )
    cli.ok("remote", "add", "--store", a, "zoo", b)
    ran = cli("compare", "--store", a)
    assert (ran.code, "Hint: Name one of: hub, zoo." in ran.err) == (2, True)
    cli.ok("remote", "add", "--store", a, "origin", b)
    assert "compared with the refs of origin" in cli("compare", "--store", a).err


def test_a_fetch_tells_the_rest(cli: Cli, both: tuple[Path, Path]) -> None:
    """Without one, what the refs tell, and how to learn more; after it, when that was."""
    a, b = both
    cli.ok("remote", "add", "--store", a, "hub", b)
    ran = cli("compare", "--store", a, "hub", "--only-different")
    assert "behind-or-diverged" in {line["state"] for line in ran.jsonl}
    assert "Hint: Only a fetch can tell how far they differ: add --fetch" in ran.err
    ran = cli("compare", "--store", a, "--fetch")
    assert "1 diverged" in ran.err
    assert "Hint: Only a fetch" not in ran.err
    assert "hub as of the last fetch, 20" in cli("compare", "--store", a).err


def test_odd_refs_are_named(cli: Cli, history: Path, tmp_path: Path) -> None:
    """With exit 3, also where everything else is identical."""
    copy = tmp_path / "copy.git"
    shutil.copytree(history, copy)
    git(copy, "update-ref", "refs/streams/odd", "refs/heads/main")
    ran = cli("compare", "--store", history, copy, "--only-different")
    assert (ran.code, ran.out) == (3, "")
    assert "Note: refs/streams/odd, there, is no stream: commit " in ran.err
    ran = cli("compare", "--store", history, copy, "--stream", "odd")
    assert (ran.code, ran.out) == (3, "")


def test_nothing_yet(cli: Cli) -> None:
    """Without a store there is nothing to compare: nobody may take that for equal."""
    ran = cli("compare", "-f", "json")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no store yet" in ran.err


def test_status_shows_the_remotes(cli: Cli, both: tuple[Path, Path]) -> None:
    """Counts as of the last fetch, without what a URL keeps secret; odd refs are a note."""
    a, b = both
    cli.ok("remote", "add", "--store", a, "hub", b)
    cli.ok("remote", "add", "--store", a, "up", "https://ada:secret@example.org/e.git")
    hub, up = cli.ok("status", "--store", a, "-f", "json").json["remotes"]
    never = {"fetched": None, "ahead": None, "behind": None, "diverged": None}
    assert hub == {"name": "hub", "url": str(b), **never}
    assert up == {"name": "up", "url": "https://***@example.org/e.git", **never}
    cli("compare", "--store", a, "hub", "--fetch")
    (hub, _) = cli.ok("status", "--store", a, "-f", "json").json["remotes"]
    assert (hub["ahead"], hub["behind"], hub["diverged"]) == (1, 1, 1)
    shown = cli.ok("status", "--store", a, terminal=True)
    assert f"Remote     hub  {b}  1 ahead, 1 behind, 1 diverged, as of the last fetch" in shown.out
    assert "never fetched" in shown.out
    git(a, "update-ref", "refs/remotes/hub/streams/odd", "refs/heads/main")
    git(a, "symbolic-ref", "refs/remotes/hub/streams/odder", "refs/heads/main")
    notes = cli.ok("status", "--store", a, "-f", "json").json["notes"]
    assert [note.partition(" of remote hub is no ref of a stream: ")[0] for note in notes] == [
        "refs/streams/odder",
        "refs/streams/odd",
    ]


def test_status_starts_fast(cli: Cli, both: tuple[Path, Path]) -> None:
    """What nobody asked over the network needs no transport."""
    a, b = both
    cli.ok("remote", "add", "--store", a, "hub", b)
    sys.modules.pop("git", None)
    cli.ok("status", "--store", a)
    assert "git" not in sys.modules
