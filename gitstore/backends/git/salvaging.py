"""Damaged files: what can be read of them is written again, then they are kept aside.

Always in this order: the new is durable before the old is moved. Nothing is ever deleted.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from gitstore.backends.disk.files import make_directory, sync_directory, write_new
from gitstore.backends.git.checking_files import (
    derived_files,
    loose_fault,
    loose_files,
    pack_fault,
    trailer_fault,
)
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import OBJECT_MODE, StoreLayout
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.packs import TEMPORARY, PackBuilder
from gitstore.core.errors import StoreCorrupted

_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_AT_ONCE = 16 << 20
_WINDOW = 1 << 16


def set_aside(layout: StoreLayout, path: Path) -> None:
    """Keep a damaged file in ``gitstore/salvage``, under its name and the time."""
    make_directory(layout.local)
    make_directory(layout.salvage)
    path.rename(layout.salvage / f"{path.name}-{time.time_ns()}")
    sync_directory(path.parent)
    sync_directory(layout.salvage)


def put(layout: StoreLayout, path: Path, content: bytes, suffix: str = TEMPORARY) -> None:
    """Write a file anew, durably; a copy of what stood there is kept aside."""
    aside = path.with_name(f"{path.name}{suffix}")
    aside.unlink(missing_ok=True)
    write_new(aside, content)
    if path.exists():
        make_directory(layout.local)
        make_directory(layout.salvage)
        write_new(layout.salvage / f"{path.name}-{time.time_ns()}", path.read_bytes())
        sync_directory(layout.salvage)
    aside.replace(path)
    sync_directory(path.parent)


def salvage_objects(layout: StoreLayout) -> None:
    """Make every pack, its index and loose object sound, or keep it aside; under the flush lock."""
    for pack in sorted(layout.packs.glob("pack-*.pack")):
        if pack_fault(layout, pack) is not None and not _index_again(layout, pack):
            _salvage_pack(layout, pack)
    for index in sorted(layout.packs.glob("pack-*.idx")):
        if not index.with_suffix(".pack").exists():
            set_aside(layout, index)
    for path in derived_files(layout):
        if trailer_fault(path) is not None:
            set_aside(layout, path)
    for path in list(loose_files(layout)):
        if loose_fault(path) is not None:
            set_aside(layout, path)


def write_objects(layout: StoreLayout, objects: Iterable[GitObject]) -> int:
    """Bring objects into new packs, durably, a few megabytes at once; how many they were."""
    builder, written = PackBuilder(), 0
    for item in objects:
        builder.add([item])
        if builder.size > _AT_ONCE:
            written += _write(layout, builder)
            builder = PackBuilder()
    return written + (_write(layout, builder) if len(builder) else 0)


def _write(layout: StoreLayout, builder: PackBuilder) -> int:
    # Most of it is held by refs already, and the rest soon: git leaves alone what is young.
    builder.write(layout.packs).unlink(missing_ok=True)
    return len(builder)


def _index_again(layout: StoreLayout, pack: Path) -> bool:
    """Make a pack's index anew; whether the pack itself was sound, so that this could be done."""
    index, aside = pack.with_suffix(".idx"), pack.with_suffix(f".idx{TEMPORARY}")
    aside.unlink(missing_ok=True)
    try:
        Git(layout.root).run("index-pack", "-o", str(aside), str(pack))
    except GitFailed:
        aside.unlink(missing_ok=True)
        return False
    aside.chmod(OBJECT_MODE)
    if index.exists():
        set_aside(layout, index)
    aside.replace(index)
    pack.with_suffix(f".rev{TEMPORARY}").unlink(missing_ok=True)
    sync_directory(layout.packs)
    return True


def _salvage_pack(layout: StoreLayout, pack: Path) -> None:
    objects = Objects(layout)
    try:
        write_objects(layout, _readable(objects, pack))
    finally:
        objects.close()
    # In git's order: without its index a pack is not looked for any more.
    for suffix in (".idx", ".rev", ".bitmap", ".keep", ".pack"):
        path = pack.with_suffix(suffix)
        if path.exists():
            set_aside(layout, path)


def _readable(objects: Objects, pack: Path) -> Iterator[GitObject]:
    """Every object of a damaged pack that still is what its index calls it, or is whole."""
    for name in listed(pack.with_suffix(".idx")):
        try:
            found = objects.read_any(name)
        except StoreCorrupted:
            continue
        if found is not None and found[0] in _KINDS.values():
            item = GitObject.of(*found)
            if item.id == name:
                yield item
    yield from _scanned(pack.read_bytes())


def listed(index: Path) -> Iterator[str]:
    """The ids in a pack's index, version 2, as far as it can be read (gitformat-pack(5))."""
    table = index.read_bytes() if index.exists() else b""
    if not table.startswith(b"\xfftOc\0\0\0\2") or len(table) < 1032:
        return
    ids = table[1032 : 1032 + 20 * int.from_bytes(table[1028:1032])]
    for at in range(0, len(ids) - 19, 20):
        yield ids[at : at + 20].hex()


def _scanned(content: bytes) -> Iterator[GitObject]:
    """The undeltified objects of a pack, found by their headers and sizes, without an index."""
    at = 12
    while at < len(content) - 20:
        found = _entry(content, at)
        if found is None:
            at += 1  # damage, or a delta: go on until something is whole again
        else:
            at, item = found
            yield item


def _entry(content: bytes, start: int) -> tuple[int, GitObject] | None:
    """The end and the object of the entry that begins here, ``None`` where none does."""
    byte = content[start]
    kind, size, shift, at = _KINDS.get((byte >> 4) & 7), byte & 15, 4, start + 1
    while byte & 0x80 and at < len(content):
        byte = content[at]
        size |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
    if kind not in ("commit", "tree", "blob") or size > 1 << 30:
        return None
    reader = zlib.decompressobj()
    body = bytearray()
    try:
        while not reader.eof and at < len(content) and len(body) <= size:
            chunk = content[at : at + _WINDOW]
            body += reader.decompress(chunk)
            at += len(chunk) - len(reader.unused_data)
    except zlib.error:
        return None
    if not reader.eof or len(body) != size:
        return None
    return at, GitObject.of(kind, bytes(body))
