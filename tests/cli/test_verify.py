"""``sc-events verify``: its answers, its exit codes, and its way in to stores that do not open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.backends.git.witness import git
from tests.cli.conftest import Cli


@pytest.fixture
def store(history: Path, tmp_path: Path) -> Path:
    """A store of six events to break."""
    copy = tmp_path / "copy.git"
    shutil.copytree(history, copy)
    return copy


def break_pack_indexes(store: Path) -> None:
    """Cut every pack's index."""
    for path in (store / "objects" / "pack").glob("*.idx"):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-30])


def test_a_sound_store(cli: Cli, store: Path) -> None:
    """Exit 0, nothing on stdout, the sum of it on stderr; deep and repair too."""
    for more in ((), ("--deep",), ("--repair",)):
        ran = cli.ok("verify", "--store", store, *more)
        assert (ran.out, ran.err) == ("", "6 events in 4 streams: no damage\n")
    terminal = cli.ok("verify", "--store", store, terminal=True)
    assert (terminal.out, terminal.err) == ("", ran.err)
    assert cli.ok("verify", "--store", store, "-f", "json").json == {
        "ok": True,
        "events": 6,
        "streams": 4,
        "superseded": 0,
        "findings": [],
        "repaired": [],
    }


def test_damage_is_named_and_repaired(cli: Cli, store: Path) -> None:
    """Exit 1, a line each, and what to do; then exit 0, and what was repaired."""
    break_pack_indexes(store)
    ran = cli("verify", "--store", store)
    assert ran.code == 1
    assert ran.jsonl
    wanted = {"kind", "ref", "stream", "commit", "place", "message", "repairable", "repaired"}
    assert all(finding.keys() == wanted for finding in ran.jsonl)
    assert {finding["repaired"] for finding in ran.jsonl} == {False}
    assert "of damage\n" in ran.err
    assert ran.err.endswith("Hint: sc-events verify --repair\n")
    ran = cli.ok("verify", "--store", store, "--repair", "-f", "json")
    assert ran.json["ok"] is True
    assert ran.json["findings"] == []
    assert {"objects"} <= {finding["kind"] for finding in ran.json["repaired"]}
    assert "repaired, no damage" in ran.err
    assert cli.ok("verify", "--store", store).out == ""


@pytest.mark.parametrize("form", ["table", "minimal"])
def test_one_line_a_finding(cli: Cli, store: Path, form: str) -> None:
    """State, kind, where and what, for people and for cut."""
    break_pack_indexes(store)
    found = cli("verify", "--store", store, "-f", "json").json["findings"]
    lines = cli("verify", "--store", store, "-f", form).lines
    if form == "table":
        assert lines.pop(0).split() == ["State", "Kind", "Where", "What"]
    assert len(lines) == len(found)
    for line, finding in zip(lines, found, strict=True):
        assert line.startswith("damage")
        assert finding["kind"] in line
        assert finding["message"][:40] in line


def test_quarantine_is_a_note(cli: Cli, store: Path) -> None:
    """A foreign tip is shown, and is no damage."""
    tip = git(store, "rev-parse", "refs/heads/main").strip()
    git(store, "update-ref", "refs/streams/session-1", tip)
    ran = cli.ok("verify", "--store", store, "-f", "minimal")
    assert ran.lines[0].split("\t")[:2] == ["note", "quarantine"]
    assert "no damage" in ran.err
    assert "Note: 1 foreign tip in quarantine" in ran.err
    assert "Hint" not in ran.err


def test_hostile_names_do_not_reach_the_terminal(cli: Cli, store: Path) -> None:
    """A ref file with an escape sequence in it is named, made harmless."""
    (store / "refs" / "streams" / "task-AUTH-001").write_text("\x1b[31mred\u202e")
    for form in ("table", "minimal", "jsonl", "json"):
        ran = cli("verify", "--store", store, "-f", form)
        assert "\x1b" not in ran.out + ran.err
        assert "\u202e" not in ran.out + ran.err
    assert cli("verify", "--store", store, "--repair").code == 0


def test_a_store_that_does_not_open(cli: Cli, store: Path) -> None:
    """Verify says what it can see, and a repair makes it one that opens."""
    (store / "HEAD").unlink()
    ran = cli("verify", "--store", store, "-f", "minimal")
    assert ran.code == 1
    assert "HEAD" in ran.out
    assert "Hint: sc-events verify --repair" in ran.err
    assert cli.ok("verify", "--store", store, "--repair").jsonl[0]["repaired"] is True
    assert len(cli.ok("list", "--store", store).jsonl) == 6


def test_no_store_is_no_damage(cli: Cli, tmp_path: Path) -> None:
    """A missing default store has no events; one that was named is an error."""
    ran = cli.ok("verify")
    assert (ran.out, ran.err.startswith("No events yet")) == ("", True)
    assert cli.ok("verify", "-f", "json").json["ok"] is True
    assert not cli.default_store.exists()
    ran = cli("verify", "--store", tmp_path / "nowhere.git")
    assert ran.code == 1
    assert "no event store" in ran.err


def test_what_needs_commits_says_so_of_other_stores(cli: Cli) -> None:
    """Said in words, with what to do; all else is looked at in every store."""
    assert cli.ok("verify", "--store", "memory:").err == "0 events in 0 streams: no damage\n"
    ran = cli("verify", "--against", "hub", "--store", "memory:")
    assert ran.code == 1
    assert "--against proves git commits, and memory: has none" in ran.err
    assert "Hint: Name a git store" in ran.err
