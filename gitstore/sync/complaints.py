"""Why a remote failed: git's many words turned into one cause and one piece of advice.

Nothing in here runs git. No message holds what a URL carries before its ``@``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Up to the last @ before the host's end: a password may hold quotes, or an @ itself.
_userinfo = re.compile(r"((?:https?|ftps?)://)[^/\s]+@", re.IGNORECASE)
_password = re.compile(r"(://[^/@:\s]*):[^/\s]*@")


def redacted(text: str) -> str:
    """``text`` without the passwords and tokens that URLs in it carry."""
    return _password.sub(r"\1:***@", _userinfo.sub(r"\1***@", text))


class Complaint(NamedTuple):
    """A cause in a few words, and a sentence that says what to do.

    ``is_partial``: it is about some of what the remote was asked for, which it has not, no more, or
    damaged; it may give the rest.
    """

    cause: str
    hint: str
    is_partial: bool = False


def explain(stderr: str) -> Complaint:
    """The cause behind what git said; for one that is not known here, git's own words."""
    lines = [line.strip() for line in stderr.splitlines()]
    told = "\n".join(line for line in lines if line and not _says_nothing(line))
    if not told:
        return _BROKEN_OFF
    for pattern, complaint in _KNOWN:
        if pattern.search(told):
            return complaint
    blamed = _fatal.search(told)
    return Complaint(redacted(blamed[1] if blamed else told.splitlines()[-1]), _ASK_GIT)


_fatal = re.compile(r"^(?:fatal|error): (.*)", re.MULTILINE)
_says_nothing = re.compile(
    r"fatal: Could not read from remote repository\.|Please make sure you have the correct access"
    r"|and the repository exists\.|Cloning into "
).match
_ASK_GIT = "Try plain `git ls-remote` with its URL, which shows all that git has to say."
_BROKEN_OFF = Complaint(
    "the connection broke off in the middle",
    "Run the command again; what had come through by then is not lost.",
)
_NO_REPOSITORY = Complaint(
    "there is no git repository, or none that you may see",
    "Check its path or URL (`sc-events remote`); `git init --bare PATH` makes a repository.",
)
_NOT_KNOWN = Complaint(
    "it did not accept who you are",
    "Set up ssh or git's credentials for it; plain `git ls-remote` must work first.",
)
_CANNOT_REACH = Complaint(
    "it cannot be reached from here", "Check that you are online, and that the host is up."
)
_NO_HOST = Complaint(
    "there is no host of that name",
    "Check its URL with `sc-events remote`, and that you are online.",
)
_DAMAGED = Complaint(
    "it has not all that its refs stand for, or it is damaged",
    "Look there with `git fsck`.",
    is_partial=True,
)
_CAUSES = {
    r"detected dubious ownership": Complaint(
        "its repository belongs to another user, so git does not touch it",
        "Let git trust it: `git config --global --add safe.directory PATH`.",
    ),
    r"transport '[^']*' not allowed": Complaint(
        "git does not allow this kind of URL",
        "Use a path, ssh, https or git; git's setting protocol.allow says what it allows.",
    ),
    r"'remote-[^']*' is not a git command": Complaint(
        "git does not know this kind of URL", "Use a path, ssh, https or git."
    ),
    r"host key verification failed": Complaint(
        "ssh does not trust the key of that host",
        "Connect once with plain `ssh` to accept the key.",
    ),
    r"could not resolve host|unable to look up|name or service not known": _NO_HOST,
    r"nodename nor servname|temporary failure in name resolution": _NO_HOST,
    r"connection refused|couldn't connect to server|failed to connect to": Complaint(
        "the connection was refused: nothing serves git at that address",
        "Start the server, or check the URL with `sc-events remote`.",
    ),
    r"network is unreachable|no route to host|timed out": _CANNOT_REACH,
    r"returned error: 404|repository '[^']*' not found|repository not found": _NO_REPOSITORY,
    r"returned error: 403": Complaint(
        "it refused access (HTTP 403)",
        "Check that your account may read it, and write to it if you push.",
    ),
    r"authentication failed|could not read (?:username|password)": _NOT_KNOWN,
    r"permission denied \(|returned error: 401|terminal prompts disabled": _NOT_KNOWN,
    r"returned error: 5\d\d": Complaint(
        "the server failed (HTTP 5xx)", "Try again later; the server's own log says why."
    ),
    r"service not enabled|access denied or repository not exported": Complaint(
        "the server does not offer this for that repository",
        "It may be read only, or not there: `git daemon` needs --enable=receive-pack for a push.",
    ),
    r"repository lacks these prerequisite commits": Complaint(
        "the bundle builds on commits that are not here",
        "Pull first from where it was made, or have it made of the whole history.",
    ),
    r"request for unadvertised object|not our ref|couldn't find remote ref": Complaint(
        "it has changed since it was looked at", "Run the command again.", is_partial=True
    ),
    r"permission denied|insufficient permission|unable to create temporary": Complaint(
        "permission was denied", "Check who may write there."
    ),
    r"did not send all necessary objects": _DAMAGED,
    r"possible repository corruption on the remote side": _DAMAGED,
    r"exceeds maximum allowed size": Complaint(
        "it takes no push of that size", "Ask whoever runs it to raise receive.maxInputSize."
    ),
    r"no space left on device|quota exceeded": Complaint(
        "no space is left, there or here",
        "Make room, then run the command again; it goes on from where it stopped.",
    ),
    r"unpack failed": Complaint(
        "it could not take in what was sent",
        "Look there with `git fsck`, and for room on its disk.",
    ),
    r"does not appear to be a git repository|does not look like a bundle": _NO_REPOSITORY,
    r"not a git repository|repository '[^']*' does not exist": _NO_REPOSITORY,
    r"no such repository|invalid gitfile format|is this a git repo": _NO_REPOSITORY,
    r"cannot process '[^']*' and '[^']*' at the same time": _DAMAGED,
    r"file too large|write error|unable to write": Complaint(
        "what it sent could not be written here", "Make room on this disk, and run it again."
    ),
    r"hung up|early eof|unexpected (?:disconnect|eof)|connection reset|broken pipe": _BROKEN_OFF,
    r"rpc failed|index-pack (?:failed|output)|empty reply from server": _BROKEN_OFF,
    r"transfer closed|expected flush|failed to report status|protocol error": _BROKEN_OFF,
}
_KNOWN = [(re.compile(pattern, re.IGNORECASE), cause) for pattern, cause in _CAUSES.items()]
