"""Git's transport: what a remote has, fetched from it, pushed to it, cloned.

Git itself connects, with the user's own configuration, ssh and credentials; the user's hooks are
kept out, as is whatever in the environment would lead git to another repository.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from gitstore.core.errors import EventStoreError
from gitstore.core.findings import Progress, silent
from gitstore.sync.complaints import explain, redacted
from gitstore.sync.listening import Heard, Silence, run_git

SILENCE = 300.0
"""Seconds without a sign of life after which a remote is given up."""

_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsync=all",
    "core.logAllRefUpdates=false",
    "advice.pushUpdateRejected=false",
)
_LOOK = ("ls-remote", "--")  # `--refs` would leave refs/feed out, which has one level only
_FETCH_SETTINGS = (
    "fetch.unpackLimit=1",
    "fetch.writeCommitGraph=false",
    # Every commit is checked before it is taken in; git would refuse all for one it dislikes.
    "fetch.fsckObjects=false",
    "transfer.fsckObjects=false",
)
_FETCH = (
    *("fetch", "--progress", "--refmap=", "--no-write-fetch-head", "--no-tags", "--no-prune"),
    *("--no-prune-tags", "--no-auto-maintenance", "--no-recurse-submodules", "--stdin"),
)
_PUSH = (
    *("push", "--porcelain", "--progress", "--no-verify", "--no-follow-tags", "--no-signed"),
    "--recurse-submodules=no",
)
# Not as git copies a path: it would share files with the source, and look at none of them.
_CLONE = ("clone", "--no-local", "--mirror", "--progress", "--template=", "--origin=origin")
_DIRECTION = {"Receiving objects": "from", "Writing objects": "to"}
_WAITS = {
    "asking for its refs": "Asking {} for its refs",
    "fetching": "Fetching from {}",
    "pushing": "Pushing to {}",
    "cloning": "Cloning {}",
}
_LONGEST = 32  # characters of a remote in what is told of progress
_HIDDEN = "deny updating a hidden ref"

Status = Literal["new", "updated", "same", "rejected"]
_STATUS: Mapping[str, Status] = {
    "*": "new", " ": "updated", "+": "updated", "=": "same", "!": "rejected",
}  # fmt: skip


_said_flush = re.compile(r"packet: .*< 0000$", re.MULTILINE).search


_remote_says = re.compile(r"^remote: +(\S.*?) *$", re.MULTILINE)
_is_id = re.compile(r"[0-9a-f]{40}").fullmatch


class RemoteFailed(EventStoreError):
    """A remote could not be reached, refused, or broke off; no ref here was moved by that.

    - ``remote``: its name or URL, without what a URL keeps secret.
    - ``cause``: why, in a few words.
    - ``stderr``: all that git and the remote said.
    - ``is_partial``: whether it is only that something it was asked for is not there, or no more,
      or damaged; the rest may be asked for without it.
    """

    def __init__(
        self, remote: str, cause: str, stderr: str = "", *, hint: str, is_partial: bool = False
    ) -> None:
        self.remote = remote
        self.cause = cause
        self.stderr = stderr
        self.is_partial = is_partial
        super().__init__(f"remote {remote!r}: {cause}", hint=hint)


class RemoteSilent(RemoteFailed):
    """Nothing was heard of a remote for longer than it may be silent."""

    def __init__(self, remote: str, seconds: float, doing: str) -> None:
        hint = "Try again, or with a longer --timeout."
        super().__init__(remote, f"it said nothing for {seconds:g} s while {doing}", hint=hint)


class PushedRef(NamedTuple):
    """What became of one ref that was pushed.

    ``name``: the remote's, in full; ``why``: where it was rejected, the reason, as git gives it.
    """

    name: str
    status: Status
    why: str = ""


class Transport:
    """One remote, as seen from one repository.

    - ``git_dir``: the repository whose configuration counts; ``None`` without one.
    - ``remote``: a configured name, a URL, or the absolute path of a repository or a bundle file.
    - ``timeout``: seconds of silence after which the remote is given up; 300 where ``None``.
      ``ValueError`` unless it is more than 0.
    - ``progress``: called now and then, such as with ``("Receiving objects from hub", 3, 10)``;
      first of all with what is waited for, such as ``("Fetching from hub", 0, 0)``.

    Every method raises ``RemoteFailed`` where the remote cannot be reached, refuses or breaks off,
    and ``RemoteSilent`` where nothing is heard of it. No process is left behind, whatever happens.
    """

    def __init__(
        self,
        git_dir: Path | None,
        remote: str,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout!r}")
        # Absolute, as every path given to git: it is run in there.
        self._git_dir = git_dir and git_dir.absolute()
        self._remote = remote
        self._timeout = SILENCE if timeout is None else timeout
        self._progress = progress or silent
        self._refs: dict[str, str] | None = None
        self.said: tuple[str, ...] = ()
        """What the remote had to say at the last push, such as in a hook; its last lines."""

    @property
    def name(self) -> str:
        """How the remote is called in messages: without what its URL keeps secret."""
        return redacted(self._remote)

    def refs(self) -> dict[str, str]:
        """The remote's refs: full name to object id (40 hex digits), without HEAD; empty if none.

        A tag is given as it is, not as what it points to.
        """
        heard = self._run("asking for its refs", [*_LOOK, self._remote])
        if not heard.answer:
            self._check_empty()
        lines = heard.answer.decode(errors="surrogateescape").split("\n")
        pairs = (line.split("\t", 1) for line in lines if line)
        self._refs = {name: object_id for object_id, name in pairs if _is_ref(name)}
        return dict(self._refs)

    def fetch(self, wanted: Iterable[str], into: Path) -> None:
        """Fetch what refs hold, with all it reaches; no ref of the repository moves.

        ``wanted``: ids of tips, full names, or patterns such as ``refs/streams/*``; names and
        patterns are those of the last call of ``refs``, and a pattern may match nothing. Objects
        come as a pack into the object directory ``into``, which need not hold what the repository
        has; what is cut short can leave a file ``pack/tmp_…`` there.
        """
        # Git looks through all refs for each name it is asked for: 10,000 take a minute, ids 0.7 s.
        ids = self._ids(wanted)
        if not ids:
            return
        assert self._git_dir is not None
        environment = _objects_into(into.absolute(), self._git_dir / "objects")
        with tempfile.TemporaryFile() as given:
            given.write("".join(f"{each}\n" for each in ids).encode())
            given.seek(0)
            command = [*_FETCH, "--", self._remote]
            self._run("fetching", command, _FETCH_SETTINGS, environment=environment, given=given)

    def _ids(self, wanted: Iterable[str]) -> list[str]:
        """The ids that names, patterns and ids stand for, each once."""
        found: dict[str, None] = {}
        for each in wanted:
            if _is_id(each):
                found[each] = None
                continue
            known = self.refs() if self._refs is None else self._refs
            before, star, _ = each.partition("*")
            if not star and each not in known:
                cause, hint, _ = explain("couldn't find remote ref")
                raise RemoteFailed(self.name, cause, each, hint=hint, is_partial=True)
            tips = [known[each]] if not star else _below(known, before)
            found.update(dict.fromkeys(tips))
        return list(found)

    def _check_empty(self) -> None:
        """Raise unless the remote says that it has no refs.

        Of an HTTP connection that breaks off early git makes an old kind of server without refs.
        """
        command = [*_LOOK, self._remote]
        heard = self._run("asking for its refs", command, environment={"GIT_TRACE_PACKET": "2"})
        if not _said_flush(heard.complaint):
            raise self._failed(Heard(heard.code, b"", ""))

    def push(self, refspecs: Sequence[str], view: Path | None = None) -> list[PushedRef]:
        """Push refs, never forced, and say what became of each.

        ``view``: the git directory to push from, if not the repository itself. That some refs, or
        all, are rejected is no error as long as the remote has said so; that they are hidden is.
        """
        command = [*_PUSH, "--", self._remote, *refspecs]
        # A view's configuration says nothing of a mirror, but the user's own might.
        settings = [] if "/" in self._remote else [f"remote.{self._remote}.mirror=false"]
        heard = self._run("pushing", command, settings, git_dir=view, may_fail=True)
        self.said = tuple(_remote_says.findall(redacted(heard.complaint)))
        pushed = _pushed(heard.answer.decode(errors="surrogateescape"), self.said)
        rejected = [ref for ref in pushed if ref.status == "rejected"]
        if any(_HIDDEN in ref.why for ref in rejected):
            raise RemoteFailed(
                self.name,
                "it is somebody's event store, which others do not push to",
                redacted(heard.complaint),
                hint="Push to a plain bare repository (`git init --bare PATH`), and pull from it "
                "there; or pull from this store.",
            )
        if heard.code and (not rejected or any(_is_lost(ref) for ref in rejected)):
            raise self._failed(heard)
        return pushed

    def clone(self, into: Path) -> None:
        """``git clone --mirror`` into a new directory, which is not there after a failure."""
        command = [*_CLONE, "--", self._remote, str(into.absolute())]
        heard = self._run("cloning", command, _FETCH_SETTINGS)
        if "cloned an empty repository" in heard.complaint:
            try:
                self._check_empty()
            except RemoteFailed:
                shutil.rmtree(into)
                raise

    def _run(
        self,
        doing: str,
        command: Sequence[str],
        settings: Sequence[str] = (),
        *,
        git_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        given: BinaryIO | None = None,
        may_fail: bool = False,
    ) -> Heard:
        repository = git_dir.absolute() if git_dir else self._git_dir
        where = [f"--git-dir={repository}"] if repository else []
        set_to = [part for setting in (*_SETTINGS, *settings) for part in ("-c", setting)]
        self._progress(_WAITS[doing].format(_brief(self.name)), 0, 0)
        try:
            heard = run_git(
                [*where, *set_to, *command],
                cwd=self._git_dir or Path("/"),  # where a relative URL begins
                environment=environment or {},
                given=given,
                timeout=self._timeout,
                tell=self._tell,
            )
        except Silence:
            raise RemoteSilent(self.name, self._timeout, doing) from None
        if heard.code and not may_fail:
            raise self._failed(heard)
        return heard

    def _tell(self, what: str, done: int, total: int, there: bool) -> None:
        direction = "at" if there else _DIRECTION.get(what)
        told = f"{what} {direction} {_brief(self.name)}" if direction else what
        self._progress(told, done, total)

    def _failed(self, heard: Heard) -> RemoteFailed:
        stderr = redacted(heard.complaint)
        cause, hint, is_partial = explain(stderr)
        return RemoteFailed(self.name, cause, stderr, hint=hint, is_partial=is_partial)


def _brief(name: str) -> str:
    """A remote's name as it is; of a URL or a path the end, so that a bar has room beside it."""
    parts = [part for part in name.rpartition("://")[2].split("/") if part] or [name]
    end = "/".join(parts[-2:])
    if len(end) > _LONGEST:
        end = parts[-1]
    return end if len(end) <= _LONGEST else f"…{end[1 - _LONGEST :]}"


def _is_ref(name: str) -> bool:
    """Not HEAD, and not what a tag points to."""
    return name.startswith("refs/") and not name.endswith("^{}")


def _below(refs: Mapping[str, str], prefix: str) -> list[str]:
    return [tip for name, tip in refs.items() if name.startswith(prefix)]


def _objects_into(into: Path, objects: Path) -> dict[str, str]:
    """The environment in which git writes to ``into`` and finds what is in ``objects`` too."""
    escaped = str(objects).replace("\\", "\\\\").replace('"', '\\"')
    return {
        "GIT_OBJECT_DIRECTORY": str(into),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{escaped}"',  # a path may hold a colon
    }


def _pushed(answer: str, said: Sequence[str]) -> list[PushedRef]:
    """The lines ``<flag> TAB <from>:<to> TAB <summary> (<reason>)`` of ``git push --porcelain``."""
    found = []
    for line in answer.split("\n"):  # a name may hold other ends of lines
        flag, *rest = line.split("\t")
        if len(rest) == 2 and flag in _STATUS:
            why = _reason(rest[1], said) if flag == "!" else ""
            found.append(PushedRef(rest[0].rpartition(":")[2], _STATUS[flag], why))
    return found


def _reason(summary: str, said: Sequence[str]) -> str:
    """``fetch first`` of ``[rejected] (fetch first)``; also what a hook said that stops all."""
    before, _, reason = summary.partition("(")
    reason = reason.removesuffix(")") or before.strip("[] ")
    if reason == "pre-receive hook declined" and said:
        return f"{reason}: {' '.join(said)}"
    return reason


def _is_lost(ref: PushedRef) -> bool:
    """Whether it was not for its own sake: the remote was gone, or could take nothing in."""
    return ref.why in {"remote failed to report status", "remote failure", "unpacker error"}
