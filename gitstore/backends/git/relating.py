"""How two histories of one stream relate: ours, and the one that ends at a foreign tip.

A commit names all that came before it, so two histories that have one commit in common are equal up
to it; and an event's version is its commit's depth, so it is looked for at one place only. Equal
tips are not read, and of theirs only what lies above the fork is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from gitstore.backends.git.commits import EventCommit, decode_commit
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import NO_HEAD, head_of
from gitstore.core.errors import StoreCorrupted
from gitstore.core.names import encode_name

State = Literal["identical", "ahead", "behind", "diverged", "only-here", "only-there"]
"""How our history of a stream stands to theirs."""

Reader = Callable[[str], bytes]
"""Gives the content of a commit by its id, as ``Objects.read`` does."""


class Relation(NamedTuple):
    """How our history of one stream stands to theirs.

    ``fork``: the last version that both have, 0 for none. ``ahead`` and ``behind``: how many events
    after it only we have, and only they: ours ends at version ``fork + ahead``, theirs at
    ``fork + behind``.
    """

    state: State
    ahead: int
    behind: int
    fork: int

    @classmethod
    def of(cls, ours: int, theirs: int, fork: int) -> Relation:
        """The relation of histories that end at these versions (0: not there)."""
        return cls(_state(ours, theirs, fork), ours - fork, theirs - fork, fork)


def relate(parts: Parts, stream: str, theirs: str | None, read: Reader) -> Relation:
    """How our ``stream``, with what waits in the journal, stands to the history up to ``theirs``.

    ``theirs``: a commit id, ``None`` where they have no such stream. ``read`` gives their commits,
    and those of ours that they have. What is appended meanwhile is left out.

    Raises ``StoreCorrupted`` where theirs is no history of this stream, and ``UnsupportedFormat``
    where a newer version wrote it: the sentence names the commit. That is all that is checked of
    it: whether it may be adopted is another question.
    """
    head = head_of_stream(parts, stream)
    if theirs is None:
        return Relation.of(head.version, 0, 0)
    if theirs == head.commit.hex():
        return Relation.of(head.version, head.version, head.version)
    tip = read_commit(stream, theirs, read)
    if head.version == 0:
        return Relation.of(0, tip.version, 0)
    return Relation.of(head.version, tip.version, _fork(parts, stream, head, theirs, tip, read))


def head_of_stream(parts: Parts, stream: str) -> StreamHead:
    """Where our stream ends, flushed or not; ``NO_HEAD`` for one that is not there."""
    # The journal first: what leaves it meanwhile is in the index by then.
    waiting = parts.journal.stream_page(stream, 0, 2**63 - 1, 1, backwards=True)
    return head_of(waiting[0]) if waiting else parts.index.head(stream) or NO_HEAD


def read_tip(name: str, tip: str, read: Reader) -> EventCommit:
    """The event at ``tip`` of the stream whose ref is ``name`` (``refs/streams/…``).

    Raises ``StoreCorrupted`` where the commit is no event, or one of a stream with another ref.
    """
    event = _decoded(tip, read)
    if STREAMS + encode_name(event.stream_id) != name:
        raise StoreCorrupted(f"commit {tip} is of stream {event.stream_id!r}, not of this ref's")
    return event


def read_commit(stream: str, commit: str, read: Reader) -> EventCommit:
    """The event of a commit of ``stream``; ``StoreCorrupted`` where it is of another or of none."""
    event = _decoded(commit, read)
    if event.stream_id != stream:
        raise StoreCorrupted(f"commit {commit} is of stream {event.stream_id!r}, not {stream!r}")
    if (event.version == 1) != (event.parent is None):
        of = "no parent" if event.parent is None else "a parent"
        raise StoreCorrupted(f"commit {commit} has {of}, and version {event.version}")
    return event


def _decoded(commit: str, read: Reader) -> EventCommit:
    try:
        return decode_commit(read(commit))
    except StoreCorrupted as error:
        if commit in str(error):
            raise
        raise StoreCorrupted(f"commit {commit} is no event: {error}") from error


def _fork(
    parts: Parts, stream: str, head: StreamHead, theirs: str, tip: EventCommit, read: Reader
) -> int:
    """The version of the last commit that both have, going down theirs; 0 where there is none."""

    def is_ours(version: int, commit: str) -> bool:
        return version <= head.version and commit_at(parts, stream, version) == commit

    if is_ours(tip.version, theirs):
        return tip.version
    event = tip
    while event.parent is not None:
        version = event.version - 1
        if is_ours(version, event.parent):
            return version
        event = _read_parent(stream, event.parent, version, read)
    return 0


def _read_parent(stream: str, commit: str, version: int, read: Reader) -> EventCommit:
    event = read_commit(stream, commit, read)
    if event.version != version:
        raise StoreCorrupted(
            f"commit {commit} has version {event.version}, and {version + 1} comes after it"
        )
    return event


def commit_at(parts: Parts, stream: str, version: int) -> str | None:
    """The commit of our ``stream@version``, flushed or not; ``None`` where there is none."""
    waiting = parts.journal.stream_page(stream, version - 1, version, 1, backwards=False)
    found = waiting[0].commit_id if waiting else parts.index.commit_at(stream, version)
    return found.hex() if found else None


def _state(ours: int, theirs: int, fork: int) -> State:
    if ours == theirs == fork:
        return "identical"
    if theirs == 0:
        return "only-here"
    if ours == 0:
        return "only-there"
    if theirs == fork:
        return "ahead"
    return "behind" if ours == fork else "diverged"
