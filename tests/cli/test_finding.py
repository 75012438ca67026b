"""Which store is meant, and why; and what happens when it is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def git(where: Path, *arguments: str) -> str:
    """Run git there."""
    done = subprocess.run(
        ["git", "-C", str(where), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(cli: Cli) -> Path:
    """A git project around the current directory, with a commit and a second worktree."""
    git(cli.cwd, "init", "-q")
    who = ("-c", "user.name=n", "-c", "user.email=e@x")
    git(cli.cwd, *who, "commit", "-q", "--allow-empty", "-m", "first")
    git(cli.cwd, "worktree", "add", "-q", str(cli.cwd.parent / "second"))
    return cli.cwd


def chosen(cli: Cli, *args: object) -> tuple[str, str]:
    """The store a command uses, and why."""
    status = cli.ok("status", *args, "-f", "json").json
    return status["store"], status["why"]


def make(cli: Cli, where: object) -> Path:
    """A store there."""
    return Path(cli.ok("init", "--store", where).out.strip())


def test_first_the_option_then_the_environment_then_the_project_then_the_home(
    cli: Cli, project: Path
) -> None:
    """Each goes before the next; status says which it was."""
    cli.ok("append", "a", "T")
    assert chosen(cli) == (str(cli.default_store), "the default")
    by_config = make(cli, "by-config.git")
    git(project, "config", "scopecraft.events", str(by_config))
    assert chosen(cli) == (str(by_config), "git config scopecraft.events")
    by_environment = make(cli, "by-environment.git")
    cli.environ["SCOPECRAFT_EVENTS_STORE"] = str(by_environment)
    assert chosen(cli) == (str(by_environment), "SCOPECRAFT_EVENTS_STORE")
    by_option = make(cli, "by-option.git")
    assert chosen(cli, "--store", by_option) == (str(by_option), "--store")


def test_the_option_may_stand_before_or_after_the_command(cli: Cli) -> None:
    """After it wins over before it."""
    one, two = make(cli, "one.git"), make(cli, "two.git")
    for args, expected in (
        (["--store", one, "status"], one),
        (["status", "--store", one], one),
        (["--store", one, "status", "--store", two], two),
    ):
        assert cli.ok(*args, "-f", "json").json["store"] == str(expected)


@pytest.mark.parametrize("form", ["{0}", "git:{0}", "here.git", "./sub/../here.git", "~/x.git"])
def test_forms_of_a_place(cli: Cli, form: str) -> None:
    """Absolute, relative to the current directory, below the home, with or without ``git:``."""
    expected = cli.home / "x.git" if form.startswith("~") else cli.cwd / "here.git"
    text = form.format(cli.cwd / "here.git")
    make(cli, text)
    assert (expected / "HEAD").exists()
    assert chosen(cli, "--store", text)[0] == str(expected)


def test_an_empty_variable_names_nothing(cli: Cli) -> None:
    """As with most variables."""
    cli.environ["SCOPECRAFT_EVENTS_STORE"] = ""
    cli.ok("append", "a", "T")
    assert cli.default_store.exists()


def test_a_relative_setting_begins_at_the_top_of_the_main_repository(
    cli: Cli, project: Path
) -> None:
    """From a subdirectory and from another worktree too: they share one store."""
    git(project, "config", "scopecraft.events", ".scopecraft/events.git")
    (project / "deep" / "er").mkdir(parents=True)
    for where in (project / "deep" / "er", project.parent / "second", project):
        cli.cwd = where
        cli.ok("append", "a", "T")
    assert chosen(cli)[0] == str(project / ".scopecraft" / "events.git")
    assert len(cli.ok("list").lines) == 3


def test_a_setting_below_the_home(cli: Cli, project: Path) -> None:
    """Git expands the tilde."""
    git(project, "config", "scopecraft.events", "~/project.git")
    cli.ok("append", "a", "T")
    assert (cli.home / "project.git").exists()


def test_a_missing_default_store_has_no_events_yet(cli: Cli) -> None:
    """Exit 0, nothing on stdout, how to begin on stderr, and no store is made."""
    for command in ("list", "streams", "status"):
        for terminal in (True, False):
            ran = cli.ok(command, terminal=terminal)
            assert ran.out == ""
            assert "No events yet" in ran.err
            assert "sc-events append" in ran.err
    assert cli.ok("list", "-f", "json").out == "[]\n"
    assert not cli.default_store.parent.exists()


def test_one_event_of_a_missing_default_store_is_not_there(cli: Cli) -> None:
    """Who asks for one in particular gets exit 1."""
    for command in (["show", "x"], ["log", "x"]):
        ran = cli(*command)
        assert (ran.code, ran.out) == (1, "")
        assert "no events yet" in ran.err


@pytest.mark.parametrize("named", ["option", "environment", "config"])
@pytest.mark.parametrize("command", [["list"], ["status"], ["show", "x"], ["log", "x"], ["follow"]])
def test_a_missing_store_that_was_named_is_an_error(
    cli: Cli, project: Path, named: str, command: list[str]
) -> None:
    """However it was named: a typing mistake must not look like an empty history."""
    args: list[object] = [*command]
    if named == "option":
        args += ["--store", "typo.git"]
    elif named == "environment":
        cli.environ["SCOPECRAFT_EVENTS_STORE"] = "typo.git"
    else:
        git(project, "config", "scopecraft.events", "typo.git")
    ran = cli(*args)
    assert (ran.code, ran.out) == (1, "")
    assert "no event store at" in ran.err
    assert "typo.git" in ran.err
    assert "Hint: " in ran.err
    assert not (cli.cwd / "typo.git").exists()


def test_something_else_at_the_place_is_not_taken_for_a_store(cli: Cli) -> None:
    """Neither read nor overwritten."""
    (cli.cwd / "file").write_text("x")
    (cli.cwd / "folder").mkdir()
    for where in ("file", "folder", "."):
        for command in (["list"], ["append", "a", "T"]):
            ran = cli(*command, "--store", where)
            assert ran.code == 1, where
            assert ran.err.startswith("Error: "), where
    assert (cli.cwd / "file").read_text() == "x"
    assert not list((cli.cwd / "folder").iterdir())


def test_init_makes_a_store_once(cli: Cli) -> None:
    """It prints the path; on a terminal also what to do next."""
    assert cli.ok("init").out == f"{cli.default_store}\n"
    again = cli.ok("init", terminal=True)
    assert again.out == f"The event store is there already: {cli.default_store}\n"
    assert "sc-events append" in again.err
    assert "✓ Created the event store" in cli.ok("init", "--store", "b.git", terminal=True).out


def test_init_names_its_store_in_the_next_steps_where_needed(cli: Cli) -> None:
    """What it proposes works as it stands."""
    assert "--store" not in cli.ok("init", terminal=True).err
    assert f"--store {cli.cwd / 'b.git'}" in cli.ok("init", "--store", "b.git", terminal=True).err


def test_init_of_a_project_is_for_all_its_worktrees(cli: Cli, project: Path) -> None:
    """One store below the home, named after the main repository, remembered in git's config."""
    cli.cwd = project.parent / "second"
    where = Path(cli.ok("init", "--project").out.strip())
    encoded = "-".join(
        "".join(c if c.isalnum() or c == "-" else "_" for c in part) for part in project.parts[1:]
    ).lower()
    assert where == cli.home / ".scopecraft" / "projects" / encoded / "events.git"
    assert git(project, "config", "scopecraft.events") == str(where)
    for directory in (project, project.parent / "second"):
        cli.cwd = directory
        assert chosen(cli) == (str(where), "git config scopecraft.events")
    assert cli.ok("init", "--project").out == f"{where}\n"


def test_init_of_a_project_with_a_store_of_its_own(cli: Cli, project: Path) -> None:
    """--store is remembered as an absolute path; a second init keeps it."""
    cli.ok("init", "--project", "--store", "mine.git")
    assert git(project, "config", "scopecraft.events") == str(project / "mine.git")
    assert cli.ok("init", "--project").out == f"{project / 'mine.git'}\n"


def test_init_of_a_project_warns_of_what_goes_before_it(cli: Cli, project: Path) -> None:
    """The environment variable would win."""
    cli.environ["SCOPECRAFT_EVENTS_STORE"] = str(cli.cwd / "other.git")
    assert "SCOPECRAFT_EVENTS_STORE" in cli.ok("init", "--project").err


def test_init_of_a_project_needs_one(cli: Cli) -> None:
    """Outside a repository: a failure, and nothing is made."""
    ran = cli("init", "--project")
    assert ran.code == 1
    assert "in no git repository" in ran.err
    assert not (cli.home / ".scopecraft").exists()


def test_a_relative_setting_without_a_repository_is_an_error(cli: Cli) -> None:
    """Of the user's own configuration: there is nothing it could be relative to."""
    (cli.home / ".gitconfig").write_text("[scopecraft]\n\tevents = some.git\n")
    cli.environ["GIT_CONFIG_GLOBAL"] = str(cli.home / ".gitconfig")
    ran = cli("list")
    assert ran.code == 1
    assert "absolute path" in ran.err


def test_a_submodule_is_a_project_of_its_own(cli: Cli, project: Path) -> None:
    """Its top is its own work tree, although its git directory lies in the parent's."""
    allow = ("-c", "protocol.file.allow=always")
    git(project, *allow, "submodule", "--quiet", "add", str(project), "sub")
    git(project / "sub", "config", "scopecraft.events", "s.git")
    cli.cwd = project / "sub"
    cli.ok("append", "a", "T")
    assert (project / "sub" / "s.git").exists()
