"""The feed: the store's arrival order, one commit a flush. FORMAT.md, "The feed", is normative.

``1201 TaskStatusChanged task-AUTH-001@3 <commit>`` is the line of one event. Every position is
listed once; positions only rise, over all feed commits from the first to the tip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gitstore.backends.git.commits import COMMITTER, EMPTY_TREE, GitObject
from gitstore.backends.git.objects import Objects
from gitstore.core.errors import StoreCorrupted

_COMMIT = re.compile(
    rb"tree %b\n(?:parent ([0-9a-f]{40})\n)?author [^\n]*\ncommitter [^\n]* (\d{1,11}) \+0000\n\n"
    rb"([^\n]+)\n(?:\n(.*))?" % EMPTY_TREE.encode(),
    re.DOTALL,
)
_SPAN = re.compile(
    rb"tree [0-9a-f]{40}\n(?:parent ([0-9a-f]{40})\n)?author [^\n]*\n"
    rb"committer [^\n]* (\d{1,11}) \+0000\n\n"
    rb"(?:feed [^\n]+|[0-9]+ events?, ([1-9][0-9]{0,18})(?:\.\.([1-9][0-9]{0,18}))?)\n"
)
_LINE = re.compile(r"([1-9][0-9]{0,18}) (\S+) (.+)@([1-9][0-9]{0,18}) ([0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One event's line."""

    position: int
    type: str
    stream_id: str
    version: int
    commit: str


@dataclass(frozen=True, slots=True)
class FeedCommit:
    """One commit of the feed; one with a ``store_id`` lists nothing: there a store begins."""

    parent: str | None
    date: int
    entries: tuple[FeedEntry, ...]
    store_id: str | None = None


class FeedSpan(NamedTuple):
    """What the head of a feed commit says: the positions it lists, 0 where a store begins."""

    parent: str | None
    date: int
    first: int
    last: int


def encode_beginning(parent: str | None, date: int, store_id: str) -> GitObject:
    """The commit with which a store begins: the feed's first, or a copy's first of its own."""
    return _commit(parent, date, b"feed %b\n" % store_id.encode())


def encode_feed(parent: str, date: int, entries: Sequence[FeedEntry]) -> GitObject:
    """The commit that lists ``entries`` (at least one) after ``parent``."""
    lines = [line_of(e.position, e.type, e.stream_id, e.version, e.commit) for e in entries]
    return encode_lines(parent, date, entries[0].position, entries[-1].position, lines)


def encode_lines(parent: str, date: int, first: int, last: int, lines: Sequence[str]) -> GitObject:
    """The commit of lines that ``line_of`` made, for positions ``first`` to ``last``."""
    message = f"{_subject(len(lines), first, last)}\n\n{''.join(lines)}"
    return _commit(parent, date, message.encode())


def line_of(position: int, type_name: str, stream_id: str, version: int, commit: str) -> str:
    """The line of one event."""
    return f"{position} {type_name} {stream_id}@{version} {commit}\n"


def decode_feed(content: bytes) -> FeedCommit:
    """What a feed commit says; ``StoreCorrupted`` where it is none."""
    match = _COMMIT.fullmatch(content)
    if match is None:
        raise StoreCorrupted("the feed has a commit that is not in its form")
    parent, date, subject, body = match.groups()
    try:
        title, lines = subject.decode(), (body or b"").decode().split("\n")
    except UnicodeDecodeError as error:
        raise StoreCorrupted(f"the feed has a commit that is no UTF-8: {error}") from None
    if body is None and title.startswith("feed "):
        return FeedCommit(parent.decode() if parent else None, int(date), (), title[5:])
    if not parent or lines.pop() != "" or not lines:
        raise StoreCorrupted("the feed has a commit that is not in its form")
    entries = tuple(map(_parse_line, lines))
    if title != _subject(len(entries), entries[0].position, entries[-1].position):
        raise StoreCorrupted(f"the feed has a commit that does not list what it says: {title!r}")
    return FeedCommit(parent.decode(), int(date), entries)


def span_of(content: bytes) -> FeedSpan:
    """The positions of a feed commit, its lines unread; ``StoreCorrupted`` where it is none."""
    match = _SPAN.match(content)
    if match is None:
        raise StoreCorrupted("the feed has a commit that is not in its form")
    parent, date, first, last = match.groups()
    above = parent.decode() if parent else None
    return FeedSpan(above, int(date), int(first or 0), int(last or first or 0))


def read_back(objects: Objects, tip: str, until: str | None = None) -> Iterator[FeedCommit]:
    """The feed's commits from ``tip`` back to its first, or to ``until`` (exclusive)."""
    at: str | None = tip
    while at is not None and at != until:
        commit = decode_feed(objects.read(at))
        yield commit
        at = commit.parent


class Liveness:
    """Tells entries of live events from those that a rebase superseded.

    A line at a version that its stream had reached before supersedes what stood there and after it.
    So, from the feed's last line back, an event is live whose version is below all seen so far.
    """

    def __init__(self) -> None:
        self._lowest: dict[str, int] = {}

    def is_live(self, entry: FeedEntry) -> bool:
        """To be asked of every entry once, the last first."""
        lowest = self._lowest.get(entry.stream_id)
        if lowest is not None and entry.version >= lowest:
            return False
        self._lowest[entry.stream_id] = entry.version
        return True


def superseded_positions(objects: Objects, tip: str) -> set[int]:
    """The positions of all events that rebases superseded, up to the feed commit ``tip``."""
    live = Liveness()
    return {
        entry.position
        for commit in read_back(objects, tip)
        for entry in reversed(commit.entries)
        if not live.is_live(entry)
    }


def last_position(objects: Objects, tip: str) -> int:
    """The highest position the feed lists, 0 where it lists none."""
    listed = (commit.entries[-1].position for commit in read_back(objects, tip) if commit.entries)
    return next(listed, 0)


def commits_since(objects: Objects, tip: str, since: str | None) -> list[str] | None:
    """The ids of feed commits after ``since`` (exclusive) to ``tip``, oldest first.

    ``None`` where ``since`` is not below ``tip``; ``since=None``: all of them.
    """
    found: list[str] = []
    at: str | None = tip
    while at is not None and at != since:
        found.append(at)
        at = decode_feed(objects.read(at)).parent
    if at is None and since is not None:
        return None
    return found[::-1]


def _subject(count: int, first: int, last: int) -> str:
    return f"1 event, {first}" if count == 1 else f"{count} events, {first}..{last}"


def _commit(parent: str | None, date: int, message: bytes) -> GitObject:
    above = b"parent %b\n" % parent.encode() if parent else b""
    who = b"%b %d +0000" % (COMMITTER, date)
    return GitObject.of(
        "commit",
        b"tree %b\n%bauthor %b\ncommitter %b\n\n%b"
        % (EMPTY_TREE.encode(), above, who, who, message),
    )


def _parse_line(line: str) -> FeedEntry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise StoreCorrupted(f"the feed has a line that is not in its form: {line!r:.120}")
    position, type_name, stream_id, version, commit = match.groups()
    return FeedEntry(int(position), type_name, stream_id, int(version), commit)
