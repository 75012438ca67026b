"""``import``: what the command adds to the library's import: files, formats, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import gitstore
from tests.cli.conftest import Cli, program, run_program


def line(stream: str, version: int, event_id: str, **more: Any) -> str:
    """One line of a file."""
    return json.dumps(
        {"id": event_id, "streamId": stream, "type": "T", "version": version,
         "timestamp": "2026-01-02T03:04:05.000Z", "data": None, "metadata": {}, **more}
    ) + "\n"  # fmt: skip


GOOD = line("a", 1, "x") + line("b", 1, "y") + line("a", 2, "z")


@pytest.fixture
def file(cli: Cli) -> Path:
    """A file of three events in two streams."""
    path = cli.cwd / "history.jsonl"
    path.write_text(GOOD)
    return path


def test_the_summary_is_the_answer(cli: Cli, file: Path) -> None:
    """A sentence for people, one object for programs; a second time nothing is new."""
    ran = cli.ok("import", file, terminal=True)
    assert ran.out == "Imported 3 events into 2 streams; 0 already recorded\n"
    assert cli.ok("import", file, terminal=True).out == "0 new, 3 already recorded\n"
    assert cli.ok("import", file).jsonl == [
        {"imported": 0, "known": 3, "duplicates": 0, "streams": 0, "leftOut": []}
    ]
    assert cli.ok("import", file, "-f", "json").out.startswith('{\n  "imported"')
    assert cli.ok("import", file, "-f", "minimal").out == "0 new, 3 already recorded\n"


def test_one_is_no_plural(cli: Cli) -> None:
    """Nor are two lines of the same event two events."""
    ran = cli.ok("import", "-", stdin=line("a", 1, "x").encode() * 2, terminal=True)
    assert ran.out == "Imported 1 event into 1 stream; 0 already recorded, 1 line given twice\n"


def test_files_and_standard_input_are_one_input(cli: Cli, file: Path) -> None:
    """In the order given; the current directory counts."""
    ran = cli.ok("import", "history.jsonl", "-", stdin=line("a", 3, "w").encode())
    assert ran.json["imported"] == 4


def test_a_pipe_can_be_imported(cli: Cli, file: Path) -> None:
    """A real one, which can be read only once; and a named one, as <(…) makes it."""
    done = run_program("import", "-", input=GOOD)
    assert json.loads(done.stdout)["imported"] == 3
    shell = f"'{program()[0]}' -m gitstore_cli import <(cat '{file}')"
    again = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["known"] == 3


def test_a_bad_line_is_named_and_nothing_recorded(cli: Cli) -> None:
    """Exit 1; not even the store is made."""
    ran = cli("import", "-", stdin=(GOOD + "{oops\n").encode())
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: standard input:4: no JSON")
    assert not cli.default_store.exists()


def test_keep_going_lists_what_it_left_out(cli: Cli) -> None:
    """On stderr for people, in the answer for programs; exit 1 says that something is missing."""
    given = (line("a", 1, "x") + "{oops\n" + line("a", 3, "z")).encode()
    ran = cli("import", "-", "--keep-going", stdin=given)
    assert ran.code == 1
    assert [out["line"] for out in ran.json["leftOut"]] == [2, 3]
    assert ran.err.splitlines()[1] == (
        "Left out: standard input:3: a@3 comes after a@1 (standard input:1), "
        "so version 2 is missing"
    )
    ran = cli("import", "-", "--keep-going", "-f", "minimal", stdin=given)
    assert (ran.code, ran.out) == (1, "0 new, 1 already recorded, 2 lines left out\n")


def test_wrong_numbers_hint_at_renumber(cli: Cli) -> None:
    """Which then appends in file order."""
    given = (line("a", 1, "x") + line("a", 3, "z")).encode()
    ran = cli("import", "-", stdin=given)
    assert ran.code == 1
    assert "(standard input:1)" in ran.err
    assert "--renumber" in ran.err
    cli.ok("import", "-", "--renumber", stdin=given)
    assert cli.ok("list", "--last", 1).jsonl[0]["metadata"] == {"originalVersion": 3}


def test_another_history_is_a_disagreement(cli: Cli) -> None:
    """Exit 3, with the file's line."""
    cli.ok("append", "a", "T")
    ran = cli("import", "-", stdin=GOOD.encode())
    assert ran.code == 3
    assert "standard input:1: a@1" in ran.err
    assert len(cli.ok("list").lines) == 1


def test_a_dry_run_changes_nothing(cli: Cli, file: Path) -> None:
    """It says what would be done, with or without a store, and finds what is wrong."""
    ran = cli.ok("import", file, "--dry-run", terminal=True)
    assert ran.out == "[DRY RUN] Would import 3 events into 2 streams; 0 already recorded\n"
    assert not cli.default_store.exists()
    cli.ok("append", "b", "T", "--id", "other")
    assert cli("import", file, "--dry-run").code == 3
    cli.ok("import", "-", "--dry-run", stdin=line("c", 1, "x").encode())
    assert cli.ok("import", "-", "--dry-run", stdin=b"").json["dryRun"] is True
    assert len(cli.ok("list").lines) == 1


@pytest.mark.parametrize("args", [[], ["missing.jsonl"], ["-", "-"], ["."]])
def test_what_cannot_be_read_is_a_usage_error(cli: Cli, args: list[str]) -> None:
    """Exit 2: no file, no such file, standard input twice, a directory."""
    assert cli("import", *args).code == 2


def test_an_unreadable_file_is_a_failure(cli: Cli, tmp_path: Path) -> None:
    """Exit 1 with the system's reason."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "f").touch(mode=0o000)
    ran = cli("import", tmp_path / "f")
    assert (ran.code, ran.err) == (1, f"Error: {tmp_path / 'f'}: Permission denied\n")


def test_an_import_is_in_git_when_the_command_ends(cli: Cli, file: Path) -> None:
    """Refs and all."""
    cli.ok("import", file)
    with gitstore.open_store(cli.default_store) as store:
        heads = {r.stream_id: r.commit for r in store.read_all()}
    for stream, commit in heads.items():
        ref = subprocess.run(
            ["git", f"--git-dir={cli.default_store}", "rev-parse", f"refs/streams/{stream}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ref.stdout.strip() == commit


def test_no_progress_bar_in_a_pipe(cli: Cli, file: Path) -> None:
    """Stderr stays empty where nobody watches."""
    assert cli.ok("import", file).err == ""
