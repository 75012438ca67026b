"""Which event store is meant, and why."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gitstore_cli.env import Env
from gitstore_cli.failures import Failure

VARIABLE = "SCOPECRAFT_EVENTS_STORE"
"""The environment variable that names a store."""
CONFIG_KEY = "scopecraft.events"
"""The key of a project's git configuration that names its store."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store is (what ``open_store`` takes), and ``why`` there.

    ``is_default``: nobody named it, so it may be missing without that being a mistake.
    """

    where: str
    why: str
    is_default: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing at all at this place."""
        return self.where != "memory:" and not os.path.lexists(self.where)


def find_place(env: Env) -> Place:
    """The store that is meant: ``--store``, the environment, the project, or the default."""
    if env.store:
        return Place(_resolved(env.store, env, env.cwd), "--store")
    named = env.environ.get(VARIABLE)
    if named:
        return Place(_resolved(named, env, env.cwd), VARIABLE)
    configured = project_setting(env)
    if configured:
        return Place(configured, f"git config {CONFIG_KEY}")
    return Place(str(env.home / ".scopecraft" / "events.git"), "the default", is_default=True)


def project_setting(env: Env) -> str | None:
    """The store named by git's configuration in the current directory, ``None`` without one.

    A relative path starts at the top of the main repository, so that all worktrees of a project
    share one store.
    """
    text = git_answer(env, "config", "--type=path", "--get", CONFIG_KEY)
    if not text:
        return None
    if Path(text.removeprefix("git:")).is_absolute():
        return _resolved(text, env, env.cwd)
    top = main_repository(env)
    if top is None:
        raise Failure(
            f"git config {CONFIG_KEY} is {text!r}, relative to a repository, and there is none",
            hint="Give an absolute path, or one that begins with ~/.",
        )
    return _resolved(text, env, top)


def main_repository(env: Env) -> Path | None:
    """The top directory of the main repository around the current directory, or ``None``."""
    common = git_answer(env, "rev-parse", "--path-format=absolute", "--git-common-dir")
    if common is None:
        return None
    if os.path.basename(common) == ".git":  # noqa: PTH119 - text in, text out
        return Path(common).parent
    # A submodule's is inside its parent's; a bare repository has no other top than itself.
    return Path(git_answer(env, "rev-parse", "--show-toplevel") or common)


def project_store(env: Env, repository: Path) -> Path:
    """Where a project's own store lies unless it is told otherwise."""
    parts = (re.sub(r"[^a-zA-Z0-9-]", "_", part) for part in repository.parts[1:])
    return env.home / ".scopecraft" / "projects" / "-".join(parts).lower() / "events.git"


def git_answer(env: Env, *arguments: str) -> str | None:
    """What the user's git says in the current directory; ``None`` where it has no answer."""
    import subprocess

    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=env.cwd,
            env=dict(env.environ),
            capture_output=True,
            check=False,
        )
    except OSError:  # without git there is no project; opening the store will say so
        return None
    return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None


def _resolved(text: str, env: Env, base: Path) -> str:
    if text == "memory:":
        return text
    path = text.removeprefix("git:")
    if path == "~" or path.startswith("~/"):
        return str(env.home / path[2:])
    return os.path.normpath(base / Path(path).expanduser())
