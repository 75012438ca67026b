"""``sc-events remote``: what it shows is in ``golden/``; here is what it does."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, run_program
from tests.sync.servers import bare, git, refs


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is called laptop."""
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")


def test_add_makes_the_store(cli: Cli) -> None:
    """A machine can begin with what others have recorded."""
    cli.ok("remote", "add", "hub", bare(cli.cwd / "hub.git"))
    assert cli.ok("remote").jsonl == [
        {"name": "hub", "url": str(cli.cwd / "hub.git"), "machine": "laptop"}
    ]
    assert refs(cli.default_store, "refs/streams") == {}


def test_a_path_starts_where_the_user_is(cli: Cli) -> None:
    """And is shown, and stored, absolute."""
    bare(cli.cwd / "hub.git")
    cli.ok("remote", "add", "hub", "hub.git")
    assert git(cli.default_store, "config", "remote.hub.url") == f"{cli.cwd}/hub.git\n"


def test_plain_git_pushes_what_the_command_prepared(cli: Cli) -> None:
    """In the store, with the remote's name and nothing else."""
    cli.ok("append", "task-1", "TaskOpened")
    cli.ok("remote", "add", "hub", bare(cli.cwd / "hub.git"))
    git(cli.default_store, "push", "hub")
    assert set(refs(cli.cwd / "hub.git")) >= {"refs/heads/main", "refs/streams/task-1"}


def test_a_name_that_does_not_fit_makes_no_store(cli: Cli) -> None:
    """Nothing is there afterwards that was not before."""
    assert cli("remote", "add", "team/hub", "hub.git").code == 1
    assert not cli.default_store.exists()


@pytest.mark.parametrize("before", [True, False])
def test_the_store_can_be_named_at_each_place(cli: Cli, *, before: bool) -> None:
    """After ``remote`` and after what follows it, as everywhere."""
    option = ("--store", "other.git")
    words = ("add", "hub", "ssh://hub.example/x.git")
    cli.ok("remote", *(option if before else ()), *words, *(() if before else option))
    assert not cli.default_store.exists()
    assert [remote["name"] for remote in cli.ok("remote", *option).jsonl] == ["hub"]


def test_no_output_holds_a_password(cli: Cli) -> None:
    """Neither an answer nor an error, in any format, on a terminal or off it."""
    url = "https://ada:s3cret@hub.example/x.git"
    said = [cli("remote", "add", "hub", url, terminal=True), cli("remote", "add", "hub", "/else")]
    said += [cli("remote", "-f", form) for form in ("table", "json", "jsonl", "minimal")]
    said += [cli("remote", "add", "hub", url, terminal=True), cli("remote", "remove", "hub")]
    assert "https://***@hub.example/x.git" in said[0].out
    assert not any("s3cret" in ran.out + ran.err for ran in said)


def test_what_git_would_take_for_an_option_is_no_url(cli: Cli) -> None:
    """Nor a name."""
    ran = cli("remote", "add", "hub", "--", "--upload-pack=touch x")
    assert ran.code == 1
    assert "is no URL" in ran.err
    assert cli("remote", "add", "--", "-x", "/srv/x.git").code == 1


def test_a_remote_can_be_moved(cli: Cli) -> None:
    """To a path, from where the user is, and without a word in a pipe."""
    cli.ok("remote", "add", "hub", "ssh://hub.example/x.git")
    bare(cli.cwd / "hub.git")
    assert cli.ok("remote", "set-url", "hub", "hub.git").out == ""
    assert [remote["url"] for remote in cli.ok("remote", "list").jsonl] == [f"{cli.cwd}/hub.git"]
    assert cli("remote", "set-url", "stick", "hub.git").code == 1


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "minimal"])
def test_without_remotes_there_is_a_hint(cli: Cli, form: str) -> None:
    """On stderr, with a store and without one, by either name."""
    said = "No remotes. Add one with `sc-events remote add NAME URL`.\n"
    assert cli.ok("remote", "-f", form).err == said
    cli.ok("init")
    assert cli.ok("remote", "list", "-f", form).err == said


def test_the_name_of_the_machine_is_changed_for_all_remotes(cli: Cli) -> None:
    """From the next push on."""
    for name in ("hub", "stick"):
        cli.ok("remote", "add", name, f"/srv/{name}.git")
    assert cli.ok("remote", "machine", "tower").out == "tower\n"
    assert {remote["machine"] for remote in cli.ok("remote").jsonl} == {"tower"}
    for name in ("hub", "stick"):
        pushed = git(cli.default_store, "config", "--get-all", f"remote.{name}.push")
        assert "refs/feed:refs/feeds/tower" in pushed


def test_it_is_a_program_too(cli: Cli, home: Path) -> None:
    """With pipes, and GitPython is not loaded for it."""
    bare(cli.cwd / "hub.git")
    made = run_program("remote", "add", "hub", "hub.git", cwd=cli.cwd)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    listed = run_program("remote", cwd=cli.cwd, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert json.loads(listed.stdout)["url"] == str(cli.cwd / "hub.git")
    assert "git.cmd" not in listed.stderr


def test_a_store_that_cannot_be_written_says_so(cli: Cli) -> None:
    """In words of git, which names the file."""
    cli.ok("append", "task-1", "TaskOpened")
    (cli.default_store / "config.lock").touch()
    ran = cli("remote", "add", "hub", "/srv/x.git")
    assert ran.code == 1
    assert "config" in ran.err


def test_help_of_each_command_has_an_explanation() -> None:
    """Also of those below it."""
    for command in ("add", "list", "machine", "remove", "set-url"):
        shown = run_program("remote", command, "--help")
        assert shown.returncode == 0
        assert "--store PATH" in shown.stdout
