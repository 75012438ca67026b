"""Why a remote failed: git's many words turned into one cause and one piece of advice.

Nothing in here runs git. No message holds what a URL carries before its ``@``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gitstore.core.errors import EventStoreError

_userinfo = re.compile(r"((?:https?|ftps?)://)[^/@\s'\"]+@", re.IGNORECASE)
_password = re.compile(r"(://[^/@:\s'\"]*):[^/@\s'\"]*@")


class RemoteFailed(EventStoreError):
    """A remote could not be reached, refused, or broke off; nothing here was changed by that.

    ``remote``: its name or URL, without a password; ``cause``: why, in a few words; ``stderr``:
    all that git and the remote said.
    """

    hint = "Try it with plain `git ls-remote`, which shows all that git has to say."

    def __init__(self, remote: str, cause: str, stderr: str = "", *, hint: str | None = None):
        self.remote = remote
        self.cause = cause
        self.stderr = stderr
        super().__init__(f"remote {remote!r}: {cause}", hint=hint)


class RemoteSilent(RemoteFailed):
    """A remote said nothing for longer than it may, and was given up."""

    hint = "Try again, or with a longer --timeout; nothing was changed here."

    def __init__(self, remote: str, seconds: float, doing: str) -> None:
        super().__init__(remote, f"nothing was heard for {seconds:g} s while {doing}")
        self.args = (f"remote {remote!r} said nothing for {seconds:g} s while {doing}",)


def redact(text: str) -> str:
    """``text`` without the passwords and tokens that URLs in it carry."""
    return _password.sub(r"\1:***@", _userinfo.sub(r"\1***@", text))


class Complaint(NamedTuple):
    """A cause in a few words, and a sentence that says what to do."""

    cause: str
    hint: str


def explain(stderr: str) -> Complaint | None:
    """The cause behind what git said, ``None`` for one that is not known here."""
    for pattern, complaint in _KNOWN:
        if pattern.search(stderr):
            return complaint
    return None


def last_words(stderr: str) -> str:
    """The line of git's complaint that says most, redacted."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(("fatal: ", "error: ")):
            return redact(line.partition(": ")[2])
    return redact(lines[-1]) if lines else "git gave no reason"


def _known(*rows: tuple[str, str, str]) -> list[tuple[re.Pattern[str], Complaint]]:
    return [
        (re.compile(pattern, re.IGNORECASE), Complaint(cause, hint))
        for pattern, cause, hint in rows
    ]


_WHERE = "Check its URL with `sc-events remote`."
_KNOWN = _known(
    (
        r"detected dubious ownership",
        "its repository belongs to another user, so git does not touch it",
        "Let git trust it: `git config --global --add safe.directory PATH`.",
    ),
    (
        r"transport '[^']*' not allowed",
        "git does not allow this kind of URL",
        "Use a path, ssh, https or git; git's setting protocol.allow says what it allows.",
    ),
    (
        r"'remote-[^']*' is not a git command|unable to find remote helper",
        "git does not know this kind of URL",
        "Use a path, ssh, https or git.",
    ),
    (
        r"host key verification failed",
        "ssh does not trust the key of that host",
        "Connect once with plain `ssh` to accept the key.",
    ),
    (
        (
            r"could not resolve host|unable to look up|name or service not known"
            r"|nodename nor servname|temporary failure in name resolution"
        ),
        "there is no host of that name",
        f"{_WHERE[:-1]}, and that you are online.",
    ),
    (
        r"connection refused|couldn't connect to server|failed to connect to",
        "the connection was refused: nothing serves git at that address",
        "Start the server, or check the URL with `sc-events remote`.",
    ),
    (
        r"network is unreachable|no route to host|connection timed out|operation timed out",
        "it cannot be reached from here",
        "Check that you are online, and that the host is up.",
    ),
    (
        r"requested url returned error: 404|repository '[^']*' not found",
        "there is no git repository at that URL, or none that you may see",
        _WHERE,
    ),
    (
        r"requested url returned error: 403",
        "it refused access (HTTP 403)",
        "Check that your account may read it, and write to it if you push.",
    ),
    (
        (
            r"authentication failed|could not read (?:username|password)|permission denied \("
            r"|requested url returned error: 401|terminal prompts disabled"
        ),
        "it did not accept who you are",
        "Set up ssh or git's credentials for it; plain `git ls-remote` must work first.",
    ),
    (
        r"requested url returned error: (?:5\d\d)",
        "the server failed (HTTP 5xx)",
        "Try again later; the server's own log says why.",
    ),
    (
        r"service not enabled|access denied or repository not exported",
        "the server does not offer this for that repository",
        "It may be read only, or not there: `git daemon` needs --enable=receive-pack for a push.",
    ),
    (
        r"repository lacks these prerequisite commits",
        "the bundle builds on commits that are not here",
        "Pull first from where it was made, or have it made of the whole history.",
    ),
    (
        r"server does not allow request for unadvertised object|not our ref",
        "it changed while it was being fetched from",
        "Run the command again.",
    ),
    (
        r"permission denied|insufficient permission|unable to create temporary object directory",
        "permission was denied",
        "Check who may write there.",
    ),
    (
        r"no space left on device",
        "no space is left, there or here",
        "Make room, then run the command again; it goes on from where it stopped.",
    ),
    (
        (
            r"does not appear to be a git repository|does not look like a bundle"
            r"|not a git repository|repository '[^']*' does not exist|invalid gitfile format"
            r"|not valid: is this a git repo"
        ),
        "there is no git repository",
        f"{_WHERE[:-1]}; `git init --bare PATH` makes one.",
    ),
    (
        (
            r"hung up unexpectedly|early eof|unexpected disconnect|connection reset|broken pipe"
            r"|rpc failed|index-pack failed|invalid index-pack output|empty reply from server"
            r"|transfer closed|bytes of (?:body|length)|failed to report status|unexpected eof"
        ),
        "the connection broke off in the middle",
        "Run the command again; it goes on from where it stopped.",
    ),
)
