"""Remotes: what the store's git configuration says of them, so that plain git does as we do.

``git push NAME`` and ``git fetch NAME`` move the same refs as ``sc-events push`` and ``pull``, but
for the checks. What a remote has is tracked below ``refs/remotes/NAME/``; no fetch moves a stream
of ours. Everything here is written by ``git config``, one value at a time, the URL last: what was
killed in between is completed when it is called again.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.layout import (
    CHECKPOINTS,
    FEED,
    FEEDS,
    FORMAT,
    QUARANTINE,
    STREAMS,
    TYPES,
    tracked,
)
from gitstore.core.errors import EventStoreError
from gitstore.core.names import encode_name
from gitstore.sync.complaints import redacted

_MACHINE = "gitstore.machine"
_MAX_NAME = 100
_FETCHED = (f"{STREAMS}*", f"{FORMAT}*", f"{TYPES}*", f"{FEEDS}*", f"{CHECKPOINTS}*")
"""Patterns, because git takes it for an error that a single ref is not there."""
_is_reserved = re.compile(r"outside(?:-\d+)?").fullmatch  # names of the quarantine of our own
_is_url = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/\s]+:").match

Change = Literal["added", "completed", "unchanged"]


class RemoteRefused(EventStoreError):
    """A remote cannot be what was asked for, or is not there; nothing was changed."""


def unknown(name: str, known: Iterable[str]) -> RemoteRefused:
    """The error of a remote that is not there; it says which are."""
    there = ", ".join(known)
    none = "There are none; `sc-events remote add NAME URL` adds one."
    return RemoteRefused(
        f"there is no remote {name!r}", hint=f"There are: {there}." if there else none
    )


def urls(root: str | Path) -> dict[str, str]:
    """The remotes of the store at ``root``, sorted by name, each with its first URL.

    The URLs are git's, with the passwords that are in them; ``complaints.redacted`` takes them out.
    """
    found: dict[str, str] = {}
    said = Git(Path(root)).run(
        "config", "--local", "-z", "--get-regexp", r"^remote\..*\.url$", ends=(0, 1)
    )
    for entry in os.fsdecode(said).split("\0")[:-1]:
        key, _, url = entry.partition("\n")
        found.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
    return dict(sorted(found.items()))


def check_name(name: str, what: str = "remote") -> None:
    """``RemoteRefused`` unless ``name`` can stand in refs, as that of a remote or a machine."""
    fits = name.isascii() and name.isprintable() and encode_name(name) == name
    if name and fits and len(name) <= _MAX_NAME and not _is_reserved(name):
        return
    hint = "Use letters, digits, - and _, such as hub or laptop-2."
    if _is_reserved(name):
        hint = "That stands for what plain git moved in the store itself; choose another."
    raise RemoteRefused(f"{name!r} cannot be the name of a {what}", hint=hint)


def resolved(url: str, folder: Path) -> str:
    """``url`` as git understands it from anywhere: a path, which starts in ``folder``, absolute.

    As for git, what is there is a path, and so is what has neither a scheme nor ``host:``.
    """
    if not url or url.startswith("-") or (_is_url(url) and not os.path.lexists(folder / url)):
        return url
    return os.path.normpath(folder / url)


def add(root: str | Path, name: str, url: str) -> Change:
    """Give the store at ``root`` the remote ``name`` at ``url``, a URL or the path of a repository.

    A path is stored absolute. Also tells the store this machine's name, if it knows none. A remote
    that is there with this URL gets what it lacks. Raises ``RemoteRefused`` for a name that is
    taken or does not fit, and for a URL that git would not take for one, or that is this store.
    """
    check_name(name)
    root, url = Path(root), resolved(url, Path.cwd())
    _check_url(root, url)
    with FileLock(root / "HEAD").held():
        known = urls(root).get(name)
        if known not in {None, url}:
            raise RemoteRefused(
                f"remote {name!r} is {redacted(known or '')} already",
                hint=f"Choose another name, or move it: `sc-events remote set-url {name} URL`.",
            )
        config = _Config(root)
        here = machine(root)
        config.set(_MACHINE, here)
        changed = [config.set(*setting) for setting in _settings(name, url, here)]
        if not any(changed):
            return "unchanged"
        return "added" if known is None else "completed"


def set_url(root: str | Path, name: str, url: str) -> bool:
    """Let the remote ``name`` be at ``url`` from now on; whether it was not.

    The same path or URL as ``add`` takes. What was fetched of the remote stays. Raises
    ``RemoteRefused`` where there is no such remote, and for a URL that ``add`` refuses.
    """
    root, url = Path(root), resolved(url, Path.cwd())
    _check_url(root, url)
    with FileLock(root / "HEAD").held():
        known = urls(root)
        if name not in known:
            raise unknown(name, known)
        return _Config(root).set(f"remote.{name}.url", url)


def remove(root: str | Path, name: str) -> int:
    """Take a remote away with all refs that came from it; gives how many these were.

    No stream of ours is among them. Raises ``RemoteRefused`` where there is no such remote.
    """
    root = Path(root)
    git = Git(root)
    with FileLock(root / "HEAD").held():
        known = urls(root)
        if name not in known:
            raise unknown(name, known)
        where = (tracked(name), f"{QUARANTINE}{name}/")
        listed = git.run("for-each-ref", "--format=delete %(refname) %(objectname)", *where)
        git.run("update-ref", "--stdin", stdin=listed)
        git.run("config", "--local", "--remove-section", f"remote.{name}")
    return len(listed.splitlines())


def machine(root: str | Path) -> str:
    """What this machine is called at its remotes: ``gitstore.machine``, else after its host.

    ``RemoteRefused`` where that setting of git's, the store's or the user's, does not fit.
    """
    said = Git(Path(root)).run("config", "--get", _MACHINE, ends=(0, 1))
    name = os.fsdecode(said).removesuffix("\n")
    if name:
        check_name(name, "machine")
    return name or _host()


def set_machine(root: str | Path, name: str) -> None:
    """Call this machine ``name`` from the next push on, at all remotes.

    ``RemoteRefused`` for a name that does not fit.
    """
    check_name(name, "machine")
    root = Path(root)
    with FileLock(root / "HEAD").held():
        config = _Config(root)
        config.set(_MACHINE, name)
        for remote, url in urls(root).items():
            for setting in _settings(remote, url, name):
                config.set(*setting)


def _settings(name: str, url: str, here: str) -> list[tuple[str, ...]]:
    """Keys of git's configuration with all values each has; the URL, which makes a remote, last."""
    fetched = [f"+{pattern}:{tracked(name, pattern)}" for pattern in _FETCHED]
    same = [f"{pattern}*:{pattern}*" for pattern in (STREAMS, TYPES, CHECKPOINTS)]
    pushed = (FORMAT, *same, f"{FEED}:{FEEDS}{here}")
    return [
        (f"remote.{name}.fetch", *fetched),
        (f"remote.{name}.push", *pushed),
        (f"remote.{name}.tagOpt", "--no-tags"),
        (f"remote.{name}.url", url),
    ]


class _Config:
    """The configuration of one repository."""

    def __init__(self, root: Path) -> None:
        self._git = Git(root)

    def set(self, key: str, *values: str) -> bool:
        """Give ``key`` these values and no others; whether it had not."""
        said = self._git.run("config", "--local", "-z", "--get-all", key, ends=(0, 1))
        if os.fsdecode(said).split("\0")[:-1] == list(values):
            return False
        self._git.run("config", "--local", "--replace-all", key, values[0])
        for value in values[1:]:
            self._git.run("config", "--local", "--add", key, value)
        return True


def _check_url(root: Path, url: str) -> None:
    if not url or url.startswith("-") or not url.isprintable():
        raise RemoteRefused(
            f"{redacted(url)!r} is no URL and no path",
            hint="Give a path, or a URL such as ssh://host/path/events.git.",
        )
    parts = urlsplit(url)
    path = Path(unquote(parts.path) if parts.scheme == "file" else url)
    if path.exists() and path.samefile(root):
        raise RemoteRefused(
            "a store cannot be a remote of itself",
            hint="Give the path of another repository; `git init --bare PATH` makes one.",
        )


def _host() -> str:
    """The host's own name, without its domain, as it can stand in a ref."""
    host = socket.gethostname().partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9_-]+", "-", host)[:_MAX_NAME].strip("-")
    return f"host-{name}" if _is_reserved(name) else name or "machine"
