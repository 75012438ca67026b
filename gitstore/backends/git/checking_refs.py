"""Refs as they lie on disk, read without trust: what is no ref is named instead of raised."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gitstore.backends.git.commits import EMPTY_TREE
from gitstore.backends.git.layout import (
    CHECKPOINTS,
    FEED,
    FORMAT,
    QUARANTINE,
    STREAMS,
    SUPERSEDED,
    StoreLayout,
)
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.repository import check_format, format_objects
from gitstore.core.errors import EventStoreError
from gitstore.core.findings import Finding, Kind
from gitstore.core.names import encode_name

_ID = re.compile(rb"[0-9a-f]{40}").fullmatch
_PACKED = re.compile(rb"([0-9a-f]{40}) (refs/[^\0-\x20\x7f]+)").fullmatch
_SYMBOLIC = re.compile(rb"ref: refs/[^\0-\x20\x7f]+").fullmatch
_NUMBER = re.compile(r"[1-9][0-9]{0,17}").fullmatch
_PEELED = re.compile(rb"\^[0-9a-f]{40}").fullmatch


@dataclass(slots=True)
class RefsFound:
    """What lies under ``refs`` and in ``packed-refs``.

    ``ids``: every ref that can be read; ``odd``: files that hold none; ``packed``: the lines of
    ``packed-refs`` that can be read; ``packed_is_odd``: it has others; ``findings``: all of that.
    """

    ids: dict[str, str] = field(default_factory=dict)
    odd: list[Path] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)
    packed_is_odd: bool = False
    findings: list[Finding] = field(default_factory=list)

    def under(self, prefix: str) -> dict[str, str]:
        """The refs whose names begin so, and their ids."""
        return {name: at for name, at in self.ids.items() if name.startswith(prefix)}


def look_at_refs(layout: StoreLayout) -> RefsFound:
    """Read every ref; loose ones first, so that one that is being packed is seen once at least."""
    found = RefsFound()
    loose: dict[str, str] = {}
    for path in _files(layout.root / "refs"):
        name = os.fspath(path.relative_to(layout.root))
        content = _content_of(path)
        if content is None:
            continue
        if _ID(content.rstrip(b"\n")):
            loose[name] = content[:40].decode()
        elif _SYMBOLIC(content.rstrip(b"\n")) and not _is_ours(name):
            continue  # such as the HEAD of a remote, which git makes
        else:
            what = "is a symbolic ref" if content.startswith(b"ref:") else "holds no commit id"
            found.odd.append(path)
            found.findings.append(
                Finding(_kind_of(name), f"the ref {what}: {content[:60]!r}", name, repairable=True)
            )
    _look_at_packed(layout, found)
    found.ids |= loose
    return found


def check_format_ref(parts: Parts) -> Iterator[Finding]:
    """``refs/heads/main`` says a format we know, and all of it is there; the empty tree too."""
    try:
        check_format(parts.layout, parts.refs, parts.objects)
        missing = [item for item in format_objects() if not is_sound(parts.objects, item.id)]
    except (EventStoreError, OSError, ValueError) as error:
        yield Finding("format", str(error), FORMAT, repairable=True)
        return
    if parts.refs.read(FORMAT) == format_objects()[-1].id:
        for item in missing:
            yield Finding(
                "format", f"its {item.kind} {item.id} is missing", FORMAT, repairable=True
            )
    if not is_sound(parts.objects, EMPTY_TREE):
        yield Finding("format", f"the empty tree, {EMPTY_TREE}, is missing", repairable=True)


def check_other_refs(parts: Parts, found: RefsFound) -> Iterator[Finding]:
    """Quarantined tips are named; and no ref but a stream's or the feed may point nowhere."""
    for name, at in found.ids.items():
        if name.startswith(QUARANTINE):
            message = "a tip that others put on a ref, and that does not continue it"
            yield Finding("quarantine", message, ref=name, commit=at)
        if not name.startswith(STREAMS) and not is_sound(parts.objects, at):
            message = f"the ref is at {at}, which is missing or damaged"
            repairable = name in (FORMAT, FEED) or name.startswith((QUARANTINE, SUPERSEDED))
            yield Finding(_kind_of(name), message, name, commit=at, repairable=repairable)
        elif name.startswith(SUPERSEDED):
            yield from _superseded_faults(parts.objects, name, at)


def _superseded_faults(objects: Objects, name: str, at: str) -> Iterator[Finding]:
    """A tip that a rebase superseded is an event of the stream whose name its ref has."""
    leaf, _, number = name.removeprefix(SUPERSEDED).rpartition("/")
    try:
        stream = objects.read_event(at).stream_id
    except EventStoreError as error:
        yield Finding("stream", f"the ref keeps no event: {error}", name, commit=at)
        return
    if encode_name(stream) != leaf or not _NUMBER(number):
        message = f"a tip of {stream} is kept where none of that stream can be"
        yield Finding("stream", message, name, stream, at)


def is_sound(objects: Objects, object_hex: str) -> bool:
    """Whether an object is there and can be read."""
    try:
        return objects.read_any(object_hex) is not None
    except EventStoreError:
        return False


def _is_ours(name: str) -> bool:
    """Whether it is a ref that the store moves, and that must hold an id."""
    return name in (FEED, FORMAT) or name.startswith(
        (STREAMS, SUPERSEDED, QUARANTINE, CHECKPOINTS, "refs/notes/")
    )


def _kind_of(name: str) -> Kind:
    if name.startswith((STREAMS, SUPERSEDED)):
        return "stream"
    if name == FEED:
        return "feed"
    return "format" if name == FORMAT else "objects"


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if not name.endswith(".lock"):
                yield Path(place, name)


def _content_of(path: Path) -> bytes | None:
    """A file's first kilobyte; ``None`` where it has gone meanwhile."""
    try:
        with path.open("rb") as file:
            return file.read(1_024)
    except FileNotFoundError:
        return b"" if path.is_symlink() else None
    except OSError as error:
        return str(error).encode()


def _look_at_packed(layout: StoreLayout, found: RefsFound) -> None:
    try:
        content = layout.packed_refs.read_bytes()
    except FileNotFoundError:
        return
    lines = content.split(b"\n")
    bad = lines.pop()  # after the last line's end: nothing
    last = b""
    for line in lines:
        match = _PACKED(line)
        if match is not None and match[2] > last:
            last = match[2]
            found.ids[os.fsdecode(match[2])] = match[1].decode()
        elif not (_PEELED(line) or (line.startswith(b"# pack-refs with:") and not found.packed)):
            bad = bad or line or b"\n"
            if match is not None:  # out of order: git, which searches by halves, may miss it
                found.ids[os.fsdecode(match[2])] = match[1].decode()
            else:
                continue
        found.packed.append(line)
    if bad:
        found.packed_is_odd = True
        message = f"packed-refs has a line that is none: {bad[:80]!r}"
        found.findings.append(Finding("stream", message, repairable=True))
