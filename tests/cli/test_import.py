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


def layout(cli: Cli, name: str = "events") -> Path:
    """A layout of two lines, made by hand: no index."""
    for day, text in (("2026-01-02", line("a", 1, "x")), ("2026-01-03", line("a", 2, "z"))):
        folder = cli.cwd / name / day
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text(text)
    return cli.cwd / name


def test_layouts_files_and_standard_input_mix(cli: Cli, file: Path) -> None:
    """In one import; what stands in several is one event."""
    layout(cli)
    more = line("a", 3, "w").encode()
    ran = cli.ok("import", "events/", "history.jsonl", "-", stdin=more)
    assert ran.json == {"imported": 4, "known": 0, "duplicates": 2, "streams": 2, "leftOut": []}


def test_a_bad_line_of_a_layout_is_named_as_it_was_given(cli: Cli) -> None:
    """With the directory's name, day and file."""
    with (layout(cli) / "2026-01-03/a.jsonl").open("a") as end:
        end.write("{torn")
    ran = cli("import", "events/")
    assert ran.code == 1
    assert ran.err.startswith("Error: events/2026-01-03/a.jsonl:2: no JSON")
    assert cli("import", "events", "--keep-going").json["imported"] == 2


def test_a_link_in_a_layout_is_refused(cli: Cli, file: Path) -> None:
    """Exit 1, named, with a hint."""
    (layout(cli) / "2026-01-03/b.jsonl").symlink_to(file)
    ran = cli("import", "events")
    assert ran.code == 1
    assert ran.err == (
        f"Error: {cli.cwd}/events/2026-01-03/b.jsonl is a link\n"
        "Hint: Links are never followed here; put what it names in its place, or remove it.\n"
    )


def test_a_directory_without_a_layout_is_a_usage_error(cli: Cli) -> None:
    """With what would do."""
    (cli.cwd / "empty").mkdir()
    ran = cli("import", "empty")
    assert (ran.code, ran.out) == (2, "")
    assert "Hint: Name the files in it, or a directory with folders such as" in ran.err


CLOUDEVENT = (
    b'{"specversion":"1.0","id":"1","source":"/s","type":"com.example.made","subject":"thing-7"}\n'
)


def test_cloudevents_of_others_are_imported(cli: Cli) -> None:
    """The form of the answer may be said too."""
    ran = cli.ok("import", "-", "-f", "cloudevents", "-f", "minimal", stdin=CLOUDEVENT)
    assert ran.out == "Imported 1 event into 1 stream; 0 already recorded\n"
    assert cli.ok("list").jsonl[0]["metadata"] == {"source": "/s"}
    again = cli.ok("import", "-", "--format", "cloudevents", stdin=CLOUDEVENT)
    assert again.json["known"] == 1


def test_the_wrong_form_is_hinted_at(cli: Cli) -> None:
    """In both directions."""
    ran = cli("import", "-", stdin=CLOUDEVENT)
    assert ran.code == 1
    assert "Hint: It looks like a CloudEvent: say so with `--format cloudevents`." in ran.err
    ran = cli("import", "-", "-f", "cloudevents", stdin=GOOD.encode())
    assert ran.code == 1
    assert "Hint: Leave out `--format cloudevents`" in ran.err


def test_a_cloudevent_without_subject_is_named(cli: Cli) -> None:
    """By its line, with what to do."""
    given = CLOUDEVENT + CLOUDEVENT.replace(b',"subject":"thing-7"', b"")
    ran = cli("import", "-", "-f", "cloudevents", stdin=given)
    assert ran.code == 1
    assert ran.err.startswith("Error: standard input:2: the CloudEvent has no subject")
    assert "Hint: Give each event the id" in ran.err
