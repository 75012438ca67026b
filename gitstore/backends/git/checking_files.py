"""The files of the repository: that git can open it, and that objects are what they are called."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import FORMAT, StoreLayout
from gitstore.backends.git.packs import TEMPORARY
from gitstore.core.findings import Finding, Progress

HEAD = f"ref: {FORMAT}\n".encode()
"""What the file HEAD holds."""
_CHUNK = 1 << 20
_LOOSE = re.compile(r"[0-9a-f]{38}").fullmatch
_FOLDER = re.compile(r"[0-9a-f]{2}").fullmatch


def check_frame(layout: StoreLayout) -> Iterator[Finding]:
    """HEAD leads to the format, and git itself can open the repository."""
    try:
        head = (layout.root / "HEAD").read_bytes()
    except OSError as error:
        yield Finding("format", f"HEAD cannot be read: {error.strerror}", "HEAD", repairable=True)
        return
    if head.rstrip(b"\n") != HEAD.rstrip(b"\n"):
        message = f"HEAD does not lead to {FORMAT}: {head[:60]!r}"
        yield Finding("format", message, "HEAD", repairable=True)
        return
    is_clone = layout.elsewhere is not None or not layout.local.is_dir()
    for folder in (layout.objects, layout.packs, layout.root / "refs", layout.stream_refs):
        if not folder.is_dir() and not (is_clone and folder == layout.stream_refs):
            message = f"the directory {folder.relative_to(layout.root)} is missing"
            yield Finding("format", message, repairable=True)
            return
    try:
        said = Git(layout.root).run("rev-parse", "--is-bare-repository", "--show-object-format")
    except GitFailed as error:
        message = f"git cannot open the repository: {error.stderr.strip()}"
        yield Finding("format", message, repairable=True)
        return
    if said != b"true\nsha1\n":
        yield Finding("format", f"config does not say bare and sha1, but {said!r}", repairable=True)


def check_objects(layout: StoreLayout, progress: Progress) -> Iterator[Finding]:
    """Every object hashes to its name, in every pack and loose; every index fits its pack."""
    packs = sorted(layout.packs.glob("pack-*.pack"))
    for done, pack in enumerate(packs):
        progress("Checking packs", done, len(packs))
        yield from _look_twice(pack, pack_fault(layout, pack))
    for index in layout.packs.glob("pack-*.idx"):
        if not index.with_suffix(".pack").exists():
            yield from _look_twice(index, "its pack is missing")
    for path in derived_files(layout):
        yield from _look_twice(path, trailer_fault(path))
    for path in loose_files(layout):
        yield from _look_twice(path, loose_fault(path))


def pack_fault(layout: StoreLayout, pack: Path) -> str | None:
    """What is wrong with a pack or its index, ``None`` where nothing is, or where it has gone."""
    index = pack.with_suffix(".idx")
    if not index.exists():
        is_being_written = index.with_name(f"{index.name}{TEMPORARY}").exists()
        return "its index is missing" if pack.exists() and not is_being_written else None
    if fault := trailer_fault(index):
        return f"its index is damaged: {fault}"
    try:
        Git(layout.root).run("index-pack", "--verify", str(pack))
    except GitFailed as error:
        return error.stderr.strip() if pack.exists() and index.exists() else None
    return None


def trailer_fault(path: Path) -> str | None:
    """Whether a file does not end with the SHA-1 of what stands before; ``None``: it does."""
    digest = hashlib.sha1(usedforsecurity=False)
    tail = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                chunk = tail + chunk
                tail = chunk[-20:]
                digest.update(chunk[:-20])
    except FileNotFoundError:  # merged with others, or repacked
        return None
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None if digest.digest() == tail else "it does not end with the SHA-1 of its bytes"


def derived_files(layout: StoreLayout) -> Iterator[Path]:
    """What git made from packs to be faster; each ends with the SHA-1 of what stands before."""
    for pattern in ("*.rev", "*.bitmap", "multi-pack-index"):
        yield from layout.packs.glob(pattern)
    for pattern in ("commit-graph", "commit-graphs/*.graph"):
        yield from (layout.objects / "info").glob(pattern)


def loose_files(layout: StoreLayout) -> Iterator[Path]:
    """The files of loose objects."""
    for folder in sorted(layout.objects.iterdir()):
        if _FOLDER(folder.name) and folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if _LOOSE(path.name))


def loose_fault(path: Path) -> str | None:
    """What is wrong with a loose object, ``None`` where nothing is, or where it has gone."""
    try:
        reader = zlib.decompressobj()
        content = reader.decompress(path.read_bytes())
        whole = reader.eof and not reader.unused_data
    except FileNotFoundError:
        return None
    except (OSError, zlib.error) as error:
        return f"it cannot be read: {error}"
    name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    same = whole and name == path.parent.name + path.name
    return None if same else "its content is not that of its name"


def _look_twice(path: Path, fault: str | None) -> Iterator[Finding]:
    """A finding, unless the file has gone: whoever asks for its objects sees what is missing."""
    if fault is not None and path.exists():
        yield Finding("objects", f"{path.name}: {fault}", repairable=True)
