"""An event as the bytes of a git commit, and back. FORMAT.md, "Event commits", is normative.

A commit's bytes depend on the event and on its parent, and on nothing else: no clock, no git
configuration, no environment. So equal histories have equal ids on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import InvalidEvent, StoreCorrupted, UnsupportedFormat
from gitstore.core.idempotence import MAX_METADATA
from gitstore.core.names import check_event_id, check_stream_id, check_type
from gitstore.core.timestamps import (
    format_microseconds,
    parse_timestamp,
    to_microseconds,
)

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
SPILL_OVER = 8_192
"""Canonical data of more bytes than this lies in a blob, not in the message."""
MOST_BYTES = 1 << 18
"""Of an event commit: the limits of data and metadata, which author and trailers repeat, make 210
KiB at most."""
COMMITTER = b"scopecraft <events@scopecraft.invalid>"
_COMMITTER = COMMITTER.decode()
# Git has no dates before 1970, and `commit-graph verify` fails from 2**34 on.
MAX_DATE = 2**34 - 1

_TRAILERS = (
    ("userId", "User-Id"),
    ("correlationId", "Correlation-Id"),
    ("causationId", "Causation-Id"),
)
_NAMES = dict(_TRAILERS)
_KEYS = {name.encode(): key for key, name in _TRAILERS}
_KNOWN = frozenset({b"Event-Id", b"Event-Time", b"Event-Metadata", b"Event-Origin", *_KEYS})
_PLAIN = re.compile(r"[!#-~](?:[ -~]*[!-~])?").fullmatch
_CRUD = " .,:;<>\"\\'"
_NOT_IN_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f<>]+")
_NOT_IN_ADDRESS = re.compile(r"[^A-Za-z0-9._+-]+")
_TRAILER_NAME = re.compile(rb"([A-Za-z0-9-]+): ").match
# Digits are bounded: int() itself refuses over 4,300 of them.
_SPILL = re.compile(rb"data\.json (\d{1,18}) bytes sha256:([0-9a-f]{64})").fullmatch
_ORIGIN = re.compile(rb"Event-Origin: ([0-9a-f]{40})").fullmatch
_HEADERS = re.compile(
    rb"tree ([0-9a-f]{40})\n(?:parent ([0-9a-f]{40})\n)?"
    rb"author [^\n]* \d+ \+0000\ncommitter [^\n]* (\d{1,11}) \+0000\n\n"
)
_MICROSECONDS = 1_000_000


class MalformedCommit(StoreCorrupted):
    """A commit that is no event in this format: nobody's append made it."""

    hint = "It was made by other means than an append; verify() names the stream it is on."


class EventCommit(NamedTuple):
    """What an event commit says; the event's parts, and its place in the chain.

    ``time``: microseconds since 1970 UTC; ``date``: the committer date, seconds; ``parent``: 40 hex
    digits, ``None`` for version 1; ``data``: canonical bytes, ``None`` where they lie in the tree's
    blob, whose ``digest`` (SHA-256) and ``size`` the message gives; ``origin``: of an event that a
    rebase replayed, the commit by which it was first recorded.
    """

    stream_id: str
    type: str
    version: int
    time: int
    event_id: str
    metadata: Mapping[str, JSON]
    parent: str | None
    date: int
    tree: str = EMPTY_TREE
    data: bytes | None = None
    size: int = 0
    digest: str = ""
    origin: str | None = None


class GitObject(NamedTuple):
    """An object for git: ``kind`` is ``commit``, ``tree`` or ``blob``; ``id`` 40 hex digits."""

    kind: str
    id: str
    content: bytes

    @classmethod
    def of(cls, kind: str, content: bytes) -> GitObject:
        """The object of this content."""
        return cls(kind, object_id(kind.encode(), content), content)


def object_id(kind: bytes, content: bytes) -> str:
    """Git's name for an object: SHA-1 over its kind, its size and its content."""
    return hashlib.sha1(b"%b %d\0%b" % (kind, len(content), content)).hexdigest()  # noqa: S324


def committer_date(time: int, parent_date: int) -> int:
    """The committer date of an event at ``time`` (microseconds) on a parent of that date."""
    return max(_git_date(time), parent_date)


def encode_commit(event: EventCommit, data: bytes) -> list[GitObject]:
    """The objects of one event, its commit last; blob and tree before it where data is spilled.

    ``data``: the event's canonical data; ``event.tree``, ``size`` and ``digest`` are not looked at.
    """
    objects: list[GitObject] = []
    tree, line = EMPTY_TREE, data
    if len(data) > SPILL_OVER:
        blob = GitObject.of("blob", data)
        entry = b"100644 data.json\0" + bytes.fromhex(blob.id)
        objects += [blob, GitObject.of("tree", entry)]
        tree, line = objects[-1].id, spill_line(data)
    objects.append(GitObject.of("commit", _commit_bytes(event, tree, line)))
    return objects


def spill_line(data: bytes) -> bytes:
    """What the message says in place of data that lies in a blob."""
    return b"data.json %d bytes sha256:%b" % (len(data), hashlib.sha256(data).hexdigest().encode())


def decode_commit(content: bytes) -> EventCommit:
    """The event of a commit's content.

    Raises ``MalformedCommit`` for what is no event commit, ``UnsupportedFormat`` for a trailer of
    a newer version. Does not prove the bytes canonical: encode again and compare ids for that.
    """
    headers = _HEADERS.match(content)
    if headers is None:
        raise MalformedCommit("the commit's headers are not those of an event")
    subject, blank, rest = content[headers.end() :].partition(b"\n\n")
    line, blank_too, trailers = rest.partition(b"\n\n")
    if not (blank and blank_too and trailers.endswith(b"\n")) or b"\n" in subject or b"\n" in line:
        raise MalformedCommit("the commit's message is not that of an event")
    tree, parent, date = headers.groups()
    try:
        type_name, stream_id, version = _parse_subject(subject.decode())
        event_id, time, metadata, origin = _parse_trailers(trailers[:-1].split(b"\n"))
    except (UnicodeDecodeError, ValueError) as error:
        raise MalformedCommit(f"the commit's message is not that of an event: {error}") from None
    spill = _SPILL(line) if tree.decode() != EMPTY_TREE else None
    if spill is None and tree.decode() != EMPTY_TREE:
        raise MalformedCommit("the commit has a tree, but its message names no data.json")
    return EventCommit(
        stream_id,
        type_name,
        version,
        time,
        event_id,
        metadata,
        parent.decode() if parent else None,
        int(date),
        tree.decode(),
        None if spill else line,
        int(spill[1]) if spill else 0,
        spill[2].decode() if spill else "",
        origin,
    )


def check_canonical(commit_id: str, event: EventCommit, data: bytes) -> bytes:
    """Raise ``MalformedCommit`` unless encoding ``event`` with ``data`` gives ``commit_id``.

    It knows the commit alone; ``check_follows`` holds it against its parent. Gives the canonical
    bytes of the metadata.
    """
    try:
        check_stream_id(event.stream_id)
        check_type(event.type)
        check_event_id(event.event_id)
        metadata = _check_limits(event)
        canonical.read_canonical(data)
        same = encode_commit(event, data)[-1].id == commit_id
        if event.parent is None or event.date < _git_date(event.time):
            check_follows(event, 0)
    except InvalidEvent as error:
        raise MalformedCommit(f"commit {commit_id} is no event: {error}") from None
    if not same:
        raise MalformedCommit(f"commit {commit_id} is not in canonical form")
    return metadata


def check_follows(event: EventCommit, parent_date: int) -> None:
    """Raise ``MalformedCommit`` unless the committer date is what a parent of that date gives."""
    if event.date != committer_date(event.time, parent_date):
        place = f"{event.stream_id}@{event.version}"
        raise MalformedCommit(f"the committer date of {place} is not that of its time and parent")


def _check_limits(event: EventCommit) -> bytes:
    """Raise ``InvalidEvent`` over a limit; gives the canonical bytes of the metadata."""
    if event.version >= 2**63:
        raise InvalidEvent(f"version {event.version} is over 2**63 - 1")
    # Read from JSON and texts; what is nested too deeply, encoding the trailers refuses.
    metadata = canonical.encode_own(event.metadata)
    if len(metadata) > MAX_METADATA:
        raise InvalidEvent(f"its metadata has more than {MAX_METADATA} bytes")
    return metadata


def _commit_bytes(event: EventCommit, tree: str, line: bytes) -> bytes:
    user = event.metadata.get("userId")
    author = _identity(user) if isinstance(user, str) else _COMMITTER
    parent = f"parent {event.parent}\n" if event.parent else ""
    head = (
        f"tree {tree}\n{parent}author {author} {_git_date(event.time)} +0000\n"
        f"committer {_COMMITTER} {event.date} +0000\n\n"
        f"{event.type} {event.stream_id}@{event.version}\n\n"
    )
    tail = (
        f"\n\nEvent-Id: {event.event_id}\n"
        f"Event-Time: {format_microseconds(event.time)}\n"
        f"{_metadata_trailers(event.metadata)}"
    )
    if event.origin:
        tail += f"Event-Origin: {event.origin}\n"
    return head.encode() + line + tail.encode()


def _metadata_trailers(metadata: Mapping[str, JSON]) -> str:
    lines = []
    for key, name in _TRAILERS:
        value = metadata.get(key)
        if _fits_trailer(value):
            lines.append(_trailer(name, value))
    if len(lines) < len(metadata):
        rest = {k: v for k, v in metadata.items() if k not in _NAMES or not _fits_trailer(v)}
        lines.append(f"Event-Metadata: {canonical.encode(rest, 'metadata').decode()}\n")
    return "".join(lines)


@functools.lru_cache(maxsize=1_024)
def _trailer(name: str, value: str) -> str:
    plain = value if _PLAIN(value) else canonical.encode(value).decode()
    return f"{name}: {plain}\n"


def _fits_trailer(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or len(value) > 255:
        return False
    return value.isascii() or len(value.encode()) <= 255


@functools.lru_cache(maxsize=1_024)
def _identity(user: str) -> str:
    """The author of a user's event: the user id without what git does not allow in a name."""
    name = _NOT_IN_NAME.sub("", user).strip(_CRUD)
    if not name:
        return _COMMITTER
    address = _NOT_IN_ADDRESS.sub("-", name).strip("-.") or "user"
    return f"{name} <{address}@scopecraft.invalid>"


def _git_date(time: int) -> int:
    date = time // _MICROSECONDS
    return date if 0 <= date <= MAX_DATE else min(max(date, 0), MAX_DATE)


def _parse_subject(subject: str) -> tuple[str, str, int]:
    type_name, _, place = subject.partition(" ")
    stream_id, _, version = place.rpartition("@")
    if not (type_name and stream_id and re.fullmatch(r"[1-9][0-9]{0,18}", version)):
        raise ValueError("its subject is not `<type> <stream>@<version>`")
    return type_name, stream_id, int(version)


def _parse_trailers(lines: list[bytes]) -> tuple[str, int, dict[str, JSON], str | None]:
    origin = _ORIGIN(lines[-1])
    if origin:
        lines = lines[:-1]
    two = len(lines) >= 2
    if not (two and lines[0].startswith(b"Event-Id: ") and lines[1].startswith(b"Event-Time: ")):
        _refuse_newer(lines)
        raise ValueError("it does not begin its trailers with Event-Id and Event-Time")
    event_id = lines[0][10:].decode()
    try:
        time = to_microseconds(parse_timestamp(lines[1][12:].decode()))
        metadata: dict[str, JSON] = {}
        for line in lines[2:]:
            name, _, value = line.partition(b": ")
            if name in _KEYS:
                quoted = value.startswith(b'"')
                metadata[_KEYS[name]] = canonical.decode(value) if quoted else value.decode()
            elif name == b"Event-Metadata":
                rest = canonical.decode(value)
                if not isinstance(rest, dict):
                    raise ValueError("its Event-Metadata is no object")
                metadata.update(rest)
            else:
                _refuse_newer(lines)
                raise ValueError(f"it has a line out of place: {line.decode(errors='replace')!r}")
    except InvalidEvent as error:
        raise ValueError(str(error)) from None
    return event_id, time, metadata, origin[1].decode() if origin else None


def _refuse_newer(lines: list[bytes]) -> None:
    """Raise ``UnsupportedFormat`` where a line is a trailer that this version does not know."""
    for line in lines:
        match = _TRAILER_NAME(line)
        if match and match[1] not in _KNOWN:
            raise UnsupportedFormat(
                f"the commit has a trailer {match[1].decode()!r} that this version does not know"
            )
