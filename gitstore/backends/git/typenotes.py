"""The type index as bytes: its keys, its lines, its trees and its commit.

FORMAT.md, "The type index", is normative. Nothing here touches a file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gitstore.backends.git.commits import COMMITTER, GitObject
from gitstore.core.errors import InvalidEvent, StoreCorrupted
from gitstore.core.names import check_type, encode_name
from gitstore.core.timestamps import from_microseconds, parse_timestamp, to_microseconds

MOST_LINES = 1_000
"""Of one note: a note is written anew with each line it gets."""
_MINUTE = 60_000_000

_COMMIT = re.compile(
    rb"tree ([0-9a-f]{40})\n(?:parent [0-9a-f]{40}\n){0,2}author %b (\d{1,11}) \+0000\n"
    rb"committer %b \2 \+0000\n\n"
    rb"complete to position ([1-9][0-9]{0,18})\n\nFeed: ([0-9a-f]{40})\n"
    rb"(?:Joined: ([0-9a-f]{40})\n)?" % (re.escape(COMMITTER), re.escape(COMMITTER))
)
_LINE = re.compile(rb"([^ ]+) ((.+)@([1-9][0-9]{0,18})) ([0-9a-f]{40})")
_TIME = re.compile(rb"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.(?:\d{3}|\d{3}(?!000)\d{3})Z")
_MOST_VERSION = 2**63 - 1
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.([2-9]|[1-9][0-9]+))?", re.ASCII)
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)
_FAN_OUT = re.compile("[0-9A-Fa-f]{2}")
_IS_FAN_OUT = re.compile("[0-9a-f]{2}").fullmatch


class TypesCommit(NamedTuple):
    """What the commit of a type index says: complete to ``position``, which ``feed`` lists last.

    ``tree``, ``feed`` and ``joined``: 40 hex digits; ``date``: seconds since 1970. ``joined`` is
    the other store's index it took in last, ``None`` where it lists events of its own store only.
    """

    tree: str
    date: int
    position: int
    feed: str
    joined: str | None = None


class NoteLine(NamedTuple):
    """One event's line; ``time``: microseconds since 1970 UTC, ``commit``: 40 hex digits."""

    time: int
    stream: str
    version: int
    commit: str


class TreeEntry(NamedTuple):
    """An entry of a tree: ``mode`` as git writes it, ``id`` its 20 bytes."""

    mode: bytes
    id: bytes


Line = tuple[bytes, bytes, int, bytes]
"""A line in the order of its note: the time without its Z, stream, version; then its bytes."""


def encode_types(parents: Sequence[str], said: TypesCommit) -> GitObject:
    """The commit on ``refs/notes/types``; at most two parents."""
    above = "".join([f"parent {parent}\n" for parent in parents])
    who = f"{COMMITTER.decode()} {said.date} +0000"
    text = f"tree {said.tree}\n{above}author {who}\ncommitter {who}\n\n"
    text += f"complete to position {said.position}\n\nFeed: {said.feed}\n"
    if said.joined:
        text += f"Joined: {said.joined}\n"
    return GitObject.of("commit", text.encode())


def decode_types(content: bytes) -> TypesCommit | None:
    """What the commit says, ``None`` where it is not one of ours."""
    match = _COMMIT.fullmatch(content)
    if match is None:
        return None
    tree, seconds, position, feed, joined = match.groups()
    above = joined.decode() if joined else None
    return TypesCommit(tree.decode(), int(seconds), int(position), feed.decode(), above)


@functools.lru_cache(maxsize=1_024)
def folder_of(type_name: str) -> str:
    """The directory of a type: as in refs, but git takes two hex digits for its own fan-out."""
    name = encode_name(type_name)
    return f"%{ord(name[0]):02X}{name[1:]}" if _FAN_OUT.fullmatch(name) else name


def is_fan_out(name: str) -> bool:
    """Whether the tree's entry of this name holds notes; the others are types."""
    return _IS_FAN_OUT(name) is not None


def key_name(day: str, number: int) -> str:
    """The name of a day's ``number``-th key, from 1."""
    return day if number == 1 else f"{day}.{number}"


def parse_key(name: str) -> tuple[str, int] | None:
    """``(day, number)`` of a key's name, ``None`` for a name of another form."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2] or 1)) if match else None


def key_blob(type_name: str, name: str) -> GitObject:
    """The key itself: its content makes it an object of its own."""
    return GitObject.of("blob", f"{type_name} {name}\n".encode())


def split_key(content: bytes) -> tuple[str, str]:
    """``(type, name)`` of a key's content; ``StoreCorrupted`` where it is none."""
    try:
        type_name, _, name = content.decode().removesuffix("\n").partition(" ")
        check_type(type_name)
    except (InvalidEvent, UnicodeDecodeError) as error:
        raise StoreCorrupted(f"the type index has a key without a type: {error}") from error
    if content != key_blob(type_name, name).content or parse_key(name) is None:
        raise StoreCorrupted(f"the type index has a key that is none: {content!r:.120}")
    return type_name, name


def line_of(time: int, stream: str, version: int, commit: bytes) -> Line:
    """The line of one event; ``time`` in microseconds, ``commit`` 20 bytes."""
    minutes, rest = divmod(time, _MINUTE)
    digits = f"{rest:08}"
    fraction = digits[2:5] if digits[5:] == "000" else digits[2:]
    when = f"{_minute_text(minutes)}:{digits[:2]}.{fraction}"
    text = f"{when}Z {stream}@{version} {commit.hex()}\n"
    return when.encode(), stream.encode(), version, text.encode()


@functools.lru_cache(maxsize=8_192)
def _minute_text(minutes: int) -> str:
    return from_microseconds(minutes * _MINUTE).isoformat()[:16]


def day_of(line: Line) -> str:
    """The UTC day of a line, ``2026-11-23``."""
    return line[0][:10].decode()


def encode_note(lines: Sequence[Line]) -> bytes:
    """The note of these lines, in their order: by time, stream, version, commit."""
    return b"".join([line[3] for line in sorted(lines)])


def split_note(content: bytes) -> list[Line]:
    """The lines of a note, to add to; ``StoreCorrupted`` where one is not in its form."""
    lines: list[Line] = []
    for text in content.split(b"\n")[:-1]:
        when, _, rest = text.partition(b" ")
        stream, _, version = rest[:-41].rpartition(b"@")
        if when[-1:] != b"Z" or not stream or not version.isdigit():
            raise _malformed(text)
        lines.append((when[:-1], stream, int(version), text + b"\n"))
    return lines


def check_note(content: bytes, day: str) -> list[Line]:
    """The lines of a note that somebody else wrote; ``StoreCorrupted`` unless all is in its form.

    That is: 1 to 1,000 lines, each of this day, in order, none twice.
    """
    lines: list[Line] = []
    for text in content.removesuffix(b"\n").split(b"\n"):
        match = _LINE.fullmatch(text)
        if match is None or not _is_moment(match[1], day) or int(match[4]) > _MOST_VERSION:
            raise _malformed(text)
        line = (match[1][:-1], match[3], int(match[4]), text + b"\n")
        if lines and line <= lines[-1]:
            raise StoreCorrupted(f"the type index has a note out of order, at {text!r:.120}")
        lines.append(line)
    if len(lines) > MOST_LINES or not content.endswith(b"\n"):
        raise StoreCorrupted(f"the type index has a note of {day} that is too long, or cut off")
    return lines


def _is_moment(when: bytes, day: str) -> bool:
    return when[:11] == day.encode() + b"T" and _TIME.fullmatch(when, 11) is not None


def decode_note(content: bytes) -> Iterator[NoteLine]:
    """The events a note lists; ``StoreCorrupted`` where a line is not in its form."""
    for text in content.split(b"\n")[:-1]:
        match = _LINE.fullmatch(text)
        if match is None:
            raise _malformed(text)
        when, _, stream, version, commit = match.groups()
        try:
            time = to_microseconds(parse_timestamp(when.decode()))
            yield NoteLine(time, stream.decode(), int(version), commit.decode())
        except (InvalidEvent, UnicodeDecodeError) as error:
            raise _malformed(text) from error


def _malformed(line: bytes) -> StoreCorrupted:
    return StoreCorrupted(f"the type index has a line that is not in its form: {line!r:.120}")


def decode_tree(content: bytes) -> dict[str, TreeEntry]:
    """A tree's entries by name; ``StoreCorrupted`` where it is none."""
    entries: dict[str, TreeEntry] = {}
    end = 0
    for match in _ENTRY.finditer(content):
        if match.start() != end:
            break
        end = match.end()
        mode, name, object_id = match.groups()
        entries[name.decode(errors="surrogateescape")] = TreeEntry(mode, object_id)
    if end != len(content):
        raise StoreCorrupted("the type index has a tree that is not in git's form")
    return entries


def encode_tree(entries: Mapping[str, TreeEntry]) -> GitObject:
    """The tree of these entries, in git's order: a directory's name counts with a ``/``."""
    parts = []
    for name, entry in entries.items():
        raw = name.encode(errors="surrogateescape")
        end = b"/" if entry.mode == b"40000" else b""
        parts.append((raw + end, b"%b %b\0%b" % (entry.mode, raw, entry.id)))
    return GitObject.of("tree", b"".join([part for _, part in sorted(parts)]))
