"""``log``: git log itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gitstore
from tests.cli.conftest import Cli, run_program


def test_it_is_git_log_of_one_stream(history: Path) -> None:
    """The newest first; subjects and data as git shows them."""
    done = run_program("log", "task-AUTH-001", "--store", history)
    assert done.returncode == 0
    subjects = [
        line.strip() for line in done.stdout.splitlines() if "@" in line and "<" not in line
    ]
    assert subjects == [
        "TaskStatusChanged task-AUTH-001@3",
        "TaskStatusChanged task-AUTH-001@2",
        "TaskCreated task-AUTH-001@1",
    ]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["--oneline"], 3),
        (["-2", "--oneline"], 2),
        (["-n", "1", "--oneline"], 1),
        (["--format=%s", "--grep=Created"], 1),
        (["--format=%s", "--reverse", "--author=bob"], 1),
    ],
)
def test_options_go_to_git(history: Path, options: list[str], lines: int) -> None:
    """Whatever they are, before or after --store."""
    for args in ([*options, "--store", history], ["--store", history, *options]):
        assert len(run_program("log", "task-AUTH-001", *args).stdout.splitlines()) == lines


def test_the_stores_own_format(history: Path) -> None:
    """``--format=event`` is configured in the store."""
    assert (
        '{"title":"Sign in"}'
        in run_program("log", "task-AUTH-001", "--format=event", "--store", history).stdout
    )


def test_any_name_of_a_stream(history: Path) -> None:
    """Encoded as the ref is; git's own syntax in a name means nothing."""
    done = run_program("log", "worktree-feature/auth", "--format=%s", "--store", history)
    assert done.stdout == "WorktreeCreated worktree-feature/auth@1\n"
    for name in ("task-AUTH-001~1", "task-AUTH-001..", "HEAD"):
        assert run_program("log", name, "--store", history).returncode == 1


def test_an_unknown_stream_is_a_failure(history: Path) -> None:
    """With a hint at those there are."""
    done = run_program("log", "nope", "--store", history)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no stream 'nope'" in done.stderr
    assert "sc-events streams" in done.stderr


def test_what_is_wrong_in_gits_eyes_is_gits_to_say(history: Path) -> None:
    """Its own message and exit code."""
    done = run_program("log", "task-AUTH-001", "--no-such-option", "--store", history)
    assert done.returncode == 128
    assert "no-such-option" in done.stderr


def test_inside_a_hook_it_is_still_the_stores_log(history: Path, tmp_path: Path) -> None:
    """The variables git sets for hooks lead elsewhere."""
    elsewhere = {
        "GIT_DIR": str(tmp_path / "other.git"),
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "objects"),
        "GIT_NAMESPACE": "n",
        "GIT_INDEX_FILE": str(tmp_path / "index"),
    }
    done = run_program("log", "session-1", "--format=%s", "--store", history, env=elsewhere)
    assert done.stdout == "SessionStarted session-1@1\n"


def test_the_users_pager_and_configuration_count(history: Path, tmp_path: Path) -> None:
    """It is for people: aliases of formats, colours and pager are theirs."""
    config = tmp_path / "config"
    config.write_text("[format]\n\tpretty = format:mine %s\n")
    done = run_program("log", "session-1", "--store", history,
                       env={"GIT_CONFIG_GLOBAL": str(config)})  # fmt: skip
    assert done.stdout.strip() == "mine SessionStarted session-1@1"


def test_what_was_not_in_git_yet_is_brought_there(cli: Cli) -> None:
    """A writer that is still running, or was killed, left events in the journal."""
    cli.ok("append", "a", "T")
    with gitstore.open_store(cli.default_store) as store:
        store._background.stop()  # type: ignore[attr-defined]  # as if it had been killed
        store.append(gitstore.DomainEvent("a", "Left"))
        done = run_program("log", "a", "--format=%s", cwd=cli.cwd)
    assert done.stdout == "Left a@2\nT a@1\n"


def test_the_home_is_where_the_default_store_is(cli: Cli) -> None:
    """As for every other command."""
    cli.ok("append", "a", "T")
    assert Path(os.environ["HOME"]) == cli.home
    assert run_program("log", "a", "--format=%s", cwd=cli.cwd).stdout == "T a@1\n"
