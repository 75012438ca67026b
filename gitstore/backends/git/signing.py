"""Signatures on commits, made and checked by git itself, as its user has configured it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from gitstore.backends.git.commits import COMMITTER, GitObject
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.core.errors import EventStoreError

SignatureState = Literal["good", "bad", "unsigned", "unverifiable"]

_ALLOWED = "gpg.ssh.allowedSignersFile"
_HOW = (
    "Configure git to sign, such as with your ssh key: `git config --global gpg.format ssh` and "
    "`git config --global user.signingKey ~/.ssh/id_ed25519.pub`."
)
_MOST_WORDS = 400
_PUT = ("hash-object", "-w", "-t", "tree", "--stdin")
# Another encoding would be named in a header of its own.
_SIGN = ("-c", "i18n.commitEncoding=UTF-8", "commit-tree", "-S")
_LOOK = ("log", "-1", "-s", "--no-show-signature", "--no-mailmap", "--encoding=UTF-8")
_FIELDS = "--format=%G?%n%GS%n%GF"


class SigningFailed(EventStoreError):
    """Git could not sign; nothing was written. The message ends with git's own words."""

    hint = _HOW


class Signature(NamedTuple):
    """What git says of a commit's signature.

    - ``state``: ``good`` by a key that is known here; ``bad``: it is not of this content, or the
      key was revoked; ``unverifiable``: there is one, and no saying whose; ``unsigned``.
    - ``signer``: who it is by, and ``key``: the key's fingerprint, as far as that is known.
    - ``why``: what keeps it from being good, or from being told.
    """

    state: SignatureState
    signer: str = ""
    key: str = ""
    why: str = ""


def sign(root: Path, tree: GitObject, commit: GitObject) -> GitObject:
    """The same commit with a signature in its headers; nothing is written into the repository.

    ``tree``: the commit's, which need not be there yet. Git signs as its user has configured it,
    for the repository at ``root`` or for all. Raises ``SigningFailed``.
    """
    head, _, message = commit.content.partition(b"\n\n")
    parents = [line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent ")]
    date = head.rpartition(b"> ")[2].decode()
    above = [part for parent in parents for part in ("-p", parent)]
    with tempfile.TemporaryDirectory(prefix="gitstore-sign-") as aside:
        where = _objects_into(Path(aside), root / "objects") | _identity(date)
        git = Git(root)
        git.run(*_PUT, stdin=tree.content, environment=where)
        try:
            said = git.run(*_SIGN, tree.id, *above, stdin=message, environment=where)
        except GitFailed as error:
            raise SigningFailed(f"git could not sign: {_words(error)}") from error
        return GitObject.of(
            "commit", git.run("cat-file", "commit", said.decode().strip(), environment=where)
        )


def check_signature(root: Path, commit: str) -> Signature:
    """What git says of the signature of a commit of the repository at ``root``, which has one."""
    git = Git(root)
    try:
        said = git.run(*_LOOK, _FIELDS, commit).decode(errors="replace")
        git.run("verify-commit", commit)
        words = ""
    except GitFailed as error:
        if error.command[0] != "verify-commit":
            return Signature("unverifiable", why=_words(error))
        words = _words(error)
    grade, signer, key = [*said.split("\n"), "", ""][:3]
    if grade == "G":
        return Signature("good", signer, key) if not words else Signature("bad", signer, key, words)
    if grade in {"B", "R"}:
        return Signature("bad", signer, key, words or "git says that it is bad")
    return Signature("unverifiable", signer, key, _reason(git, key, words))


def _reason(git: Git, key: str, words: str) -> str:
    """Why nobody can say whose signature it is."""
    if key.startswith("SHA256:") or _ALLOWED.lower() in words.lower():
        allowed = git.run("config", "--get", _ALLOWED, ends=(0, 1)).decode(errors="replace").strip()
        return f"{allowed} has no such key" if allowed and key else f"{_ALLOWED} is not configured"
    return words or "its key is not trusted here"


def _words(error: GitFailed) -> str:
    """Git's complaint, in a line."""
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    return "; ".join(lines)[:_MOST_WORDS].rstrip(".") or f"it ended with {error.code}"


def _identity(date: str) -> dict[str, str]:
    """The constant identity, at ``date`` as it stands in a commit."""
    name, _, mail = COMMITTER.decode().rstrip(">").partition(" <")
    facts = {"NAME": name, "EMAIL": mail, "DATE": f"@{date}"}
    return {f"GIT_{who}_{key}": facts[key] for who in ("AUTHOR", "COMMITTER") for key in facts}


def _objects_into(into: Path, objects: Path) -> dict[str, str]:
    """The environment in which git writes to ``into`` and finds what is in ``objects`` too."""
    escaped = str(objects.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return {
        "GIT_OBJECT_DIRECTORY": str(into),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{escaped}"',  # a path may hold a colon
    }
