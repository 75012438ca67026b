"""Which event store is meant, and why."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gitstore_cli.env import Env
from gitstore_cli.failures import Failure, Usage

if TYPE_CHECKING:
    from gitstore.backends.addresses import Address

VARIABLE = "SCOPECRAFT_EVENTS_STORE"
"""The environment variable that names a store."""
CONFIG_KEY = "scopecraft.events"
"""The key of a project's git configuration that names its store."""


@dataclass(frozen=True, slots=True)
class Place:
    """The ``address`` of a store, and ``why`` it is this one.

    ``is_default``: nobody named it, so it may be missing without that being a mistake.
    """

    address: Address
    why: str
    is_default: bool = False

    @property
    def where(self) -> str:
        """The address as ``open_store`` and ``--store`` take it."""
        return str(self.address)

    @property
    def is_git(self) -> bool:
        """Whether the store is, or would be, one of git."""
        return self.address.kind == "git"

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing at all at this place."""
        return self.address.kind != "memory" and not os.path.lexists(self.address.path)


def find_place(env: Env) -> Place:
    """The store that is meant: ``--store``, the environment, the project, or the default."""
    if env.store:
        return named_place(env, env.store, "--store")
    named = env.environ.get(VARIABLE)
    if named:
        return named_place(env, named, VARIABLE)
    return project_setting(env) or Place(_address(env, None), "the default", is_default=True)


def named_place(env: Env, text: str, why: str, base: Path | None = None) -> Place:
    """The store that ``text`` names; a relative path starts at ``base``, the current directory."""
    return Place(_address(env, text, base), why)


def project_setting(env: Env) -> Place | None:
    """The store named by git's configuration in the current directory, ``None`` without one.

    A relative path starts at the top of the main repository, so that all worktrees of a project
    share one store.
    """
    text = git_answer(env, "config", "--type=path", "--get", CONFIG_KEY)
    if not text:
        return None
    why = f"git config {CONFIG_KEY}"
    _, _, path = text.rpartition(":")
    if path.startswith(("/", "~")) or not path:
        return named_place(env, text, why)
    top = main_repository(env)
    if top is None:
        raise Failure(
            f"{why} is {text!r}, relative to a repository, and there is none",
            hint="Give an absolute path, or one that begins with ~/.",
        )
    return named_place(env, text, why, top)


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


def _address(env: Env, text: str | None, base: Path | None = None) -> Address:
    from gitstore.backends.addresses import parse_address

    try:
        return parse_address(text, base=base or env.cwd, home=env.home)
    except ValueError as error:
        raise Usage(str(error), hint="A path with a colon in it: ./PATH.") from None
