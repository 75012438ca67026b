"""Remotes made with raw git plumbing, honest and forged, and what is pulled from them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gitstore.backends.git.commits import EventCommit, GitObject, committer_date, encode_commit
from gitstore.backends.git.gitcommand import init_bare
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.layout import tracked
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.takingin import Adoption
from gitstore.core.findings import Progress
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds
from tests.backends.git.witness import git

START = to_microseconds(datetime(2026, 11, 23, 8, tzinfo=UTC))
SECOND = 1_000_000
STREAMS = "refs/streams/"


class Forge:
    """A bare repository that holds whatever it is told to."""

    def __init__(self, path: Path) -> None:
        init_bare(path)
        self.path = path
        self._count = 0

    def put(self, content: bytes, kind: str = "commit") -> str:
        """Write an object, however malformed."""
        return self._git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=content)

    def content(self, name: str) -> bytes:
        """What an object holds."""
        command = ["git", f"--git-dir={self.path}", "cat-file", "commit", name]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def event(
        self,
        stream: str,
        version: int = 1,
        parent: str | None = None,
        *,
        event_id: str | None = None,
        data: bytes = b"{}",
        second: int | None = None,
        type_name: str = "Noted",
    ) -> str:
        """Write an event's objects as this format has them; gives its commit."""
        self._count += 1
        time = START + (self._count if second is None else second) * SECOND
        above = self._date(parent) if parent else 0
        name = event_id or f"{stream[:50]}-{self._count}"
        event = EventCommit(
            stream, type_name, version, time, name, {}, parent, committer_date(time, above)
        )
        commit = ""
        for item in [GitObject.of("tree", b""), *encode_commit(event, data)]:
            commit = self.put(item.content, item.kind)
        return commit

    def chain(
        self, stream: str, count: int = 3, parent: str | None = None, version: int = 0
    ) -> str:
        """Write ``count`` events after ``parent``, which has that version; gives the last."""
        for number in range(version + 1, version + count + 1):
            parent = self.event(stream, number, parent)
        assert parent is not None
        return parent

    def stream(self, stream: str, count: int = 3) -> str:
        """A sound stream under its ref."""
        return self.ref(STREAMS + encode_name(stream), self.chain(stream, count))

    def ref(self, name: str, commit: str) -> str:
        """Put a ref there, whatever git thinks of its target; gives the commit."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{commit}\n")
        return commit

    def refs(self) -> dict[str, str]:
        """Its stream refs, by full name."""
        folder = self.path / "refs" / "streams"
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {
            os.fspath(path.relative_to(self.path)): path.read_text().strip()
            for path in sorted(files)
        }

    def _date(self, commit: str) -> int:
        return int(self._git("log", "-1", "--format=%ct", commit))

    def _git(self, *arguments: str, stdin: bytes = b"") -> str:
        command = ["git", f"--git-dir={self.path}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()


class Peer:
    """Another machine's store, as a remote."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refs(self) -> dict[str, str]:
        """Its stream refs, by full name."""
        lines = git(self.path, "for-each-ref", "--format=%(refname) %(objectname)", STREAMS)
        return dict(line.split(" ") for line in lines.splitlines())


def fetch(remote: Path, incoming: Incoming) -> None:
    """Bring every object of a repository in, also those that git would refuse to walk."""
    here = ["git", f"--git-dir={remote}"]
    listing = [*here, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]
    names = subprocess.run(listing, capture_output=True, check=True).stdout
    pack = os.fspath(incoming.path / "pack" / "pack")
    subprocess.run(
        [*here, "pack-objects", "-q", "--window=0", pack],
        input=names,
        capture_output=True,
        check=True,
    )


def pull(
    store: GitEventStore,
    remote: Forge | Peer,
    source: str = "origin",
    *,
    tips: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    track: bool = False,
) -> Adoption:
    """Fetch and adopt what a remote has, as a pull does."""
    exchange = store.exchange
    refs = remote.refs() if tips is None else tips
    with exchange.incoming() as incoming:
        fetch(remote.path, incoming)
        if track:
            incoming.keep()
            exchange.track({tracked(source, name): tip for name, tip in refs.items()})
        return exchange.adopt(refs, source, incoming, progress)
