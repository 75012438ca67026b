"""The one module that runs git, so that nobody's environment or configuration reaches a store."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

from gitstore.core.errors import EventStoreError, StoreCorrupted, StoreUnavailable

MINIMUM = (2, 36)

# `git rev-parse --local-env-vars`, with what else moves a repository or its objects.
_LOCAL_VARIABLES = frozenset(
    [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_CEILING_DIRECTORIES",
        "GIT_DEFAULT_HASH",
        "GIT_DEFAULT_REF_FORMAT",
        "GIT_REF_FORMAT",
        "GIT_TEMPLATE_DIR",
        "GIT_QUARANTINE_PATH",
    ]
)
_PLUMBING = (
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.logAllRefUpdates=false",
    "-c",
    "core.fsync=all",
)


class GitFailed(EventStoreError):
    """A git command failed. ``command``, ``code``, ``stderr`` and ``stdout`` say how."""

    hint = "Read git's own message above; `sc-events verify` says whether anything is damaged."

    def __init__(self, command: Sequence[str], code: int, stderr: str, stdout: str = "") -> None:
        self.command = tuple(command)
        self.code = code
        self.stderr = stderr
        self.stdout = stdout
        super().__init__(f"git {command[0]} failed ({code}): {stderr.strip()}")


def clean_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would lead git to another repository, object or identity."""
    given = os.environ if environment is None else environment
    kept = {
        key: value
        for key, value in given.items()
        if key not in _LOCAL_VARIABLES and not re.match(r"GIT_CONFIG_(KEY|VALUE)_\d", key)
    }
    kept["GIT_NO_REPLACE_OBJECTS"] = "1"
    return kept


class Git:
    """Runs git's plumbing on one repository, with the user's hooks and reflogs kept out."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        ends: Collection[int] = (0,),
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Standard output of ``git <arguments>``; ``GitFailed`` unless it ends as expected.

        ``environment``: variables added to those that are let through.
        """
        done = _run(self.command(*arguments), stdin, environment)
        if done.returncode not in ends:
            said, complained = (
                text.decode(errors="replace") for text in (done.stdout, done.stderr)
            )
            raise GitFailed(arguments, done.returncode, complained, said)
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``git <arguments>``, for who runs it otherwise."""
        return ["git", f"--git-dir={self._root}", *_PLUMBING, *arguments]


class ObjectReader:
    """Reads objects through one ``git cat-file``, where libgit2 is not worth loading.

    A context manager; not safe for threads.
    """

    def __init__(self, root: Path) -> None:
        self._command = Git(root).command("cat-file", "--batch-command")
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.communicate()  # closes its standard input, which ends it
            self._child = None

    def read(self, object_hex: str, kind: str = "commit") -> bytes:
        """The content of an object; ``StoreCorrupted`` where it is missing or of another kind."""
        found, content = self._ask("contents", object_hex, kind)
        if found != kind:
            raise StoreCorrupted(f"{object_hex} is a {found}, not a {kind}")
        return content

    def read_at_most(self, size: int, object_hex: str, kind: str) -> bytes:
        """The same, for an object of others; ``StoreCorrupted`` where it has more bytes."""
        found, said = self._ask("info", object_hex, kind)
        if found == kind and int(said) > size:
            raise StoreCorrupted(f"{kind} {object_hex} has {int(said)} bytes, more than {size}")
        return self.read(object_hex, kind)

    def _ask(self, how: str, object_hex: str, kind: str) -> tuple[str, bytes]:
        """What it is, and its content (or, to ``info``, its size in digits)."""
        child = self._child = self._child or _start(self._command)
        assert child.stdin is not None
        assert child.stdout is not None
        answer: list[bytes] = []
        content = b""
        try:
            child.stdin.write(f"{how} {object_hex}\n".encode())
            child.stdin.flush()
            answer = child.stdout.readline().split()
            if len(answer) == 3 and how == "contents":
                content = child.stdout.read(int(answer[2]) + 1)[:-1]
        except BrokenPipeError:
            pass
        if not answer:  # git gives up on an object it finds damaged
            self.__exit__()
        if len(answer) != 3 or (how == "contents" and len(content) != int(answer[2])):
            raise StoreCorrupted(f"{kind} {object_hex} is missing or cannot be read")
        return answer[1].decode(), content if how == "contents" else answer[2]


def init_bare(path: Path) -> None:
    """``git init --bare``, deaf to templates, default hashes and default ref formats."""
    command = ["git", *_PLUMBING, "init", "--quiet", "--bare", "--template="]
    command += ["--initial-branch=main", "--object-format=sha1", "--shared=0600", str(path)]
    done = _run(command, b"")
    if done.returncode:
        raise GitFailed(["init"], done.returncode, done.stderr.decode(errors="replace"))


def check_version() -> tuple[int, ...]:
    """Git's version; ``StoreUnavailable`` without git or with one older than 2.36."""
    text = _run(["git", "version"], b"").stdout.decode(errors="replace")
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    version = tuple(int(part) for part in match.groups(default="0")) if match else (0,)
    if version < MINIMUM:
        raise StoreUnavailable(
            f"git {'.'.join(map(str, version))} is too old", hint="Install git 2.36 or newer."
        )
    return version


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
    except FileNotFoundError:
        raise _no_git() from None


def _run(
    command: Sequence[str], stdin: bytes, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    variables = {**clean_environment(), **(environment or {})}
    try:
        return subprocess.run(command, input=stdin, capture_output=True, env=variables, check=False)
    except FileNotFoundError:
        raise _no_git() from None


def _no_git() -> StoreUnavailable:
    return StoreUnavailable("git is not installed", hint="Install git 2.36 or newer.")
