"""Many small packs into few: every flush makes one, and each costs every later read.

Packs are kept in tiers by their number of objects, a factor of ten apart; ten packs of a tier
become one of the next, up to some 50,000 objects, which bounds the memory this takes. Each object
is copied once a tier, as it is; packs with deltas, which are git's own, are left to git.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gitstore.backends.git.packs import PackBuilder

_FACTOR = 10
_MOST_OBJECTS = 4_999
_MOST_BYTES = 8 << 20
_MAGIC = b"\xfftOc\0\0\0\2"
_FANOUT_END = 8 + 4 * 256
_DELTAS = (6, 7)


class _Unmergeable(Exception):
    """A pack that is damaged, has deltas, or has gone meanwhile."""


class _Entry(NamedTuple):
    object_hex: str
    offset: int
    checksum: int


def merge_small_packs(packs: Path) -> None:
    """Merge tiers that are full; needs the flush lock. Beside ``git gc`` and readers.

    Durable before the old packs go. Where one of them cannot be merged, all stay as they are.
    """
    tiers: dict[int, list[Path]] = defaultdict(list)
    for index in packs.glob("pack-*.idx"):
        count = _small_count(index)
        if count:
            tiers[len(str(count))].append(index)
    for full in (indexes for indexes in tiers.values() if len(indexes) >= _FACTOR):
        with contextlib.suppress(_Unmergeable):
            _merge(packs, full)


def _small_count(index: Path) -> int:
    """How many objects a pack has that may be merged, else 0."""
    pack = index.with_suffix(".pack")
    try:
        if index.with_suffix(".keep").exists() or pack.stat().st_size > _MOST_BYTES:
            return 0
        with index.open("rb") as file:
            start = file.read(_FANOUT_END)
    except FileNotFoundError:  # a `git gc` was faster
        return 0
    if not start.startswith(_MAGIC) or len(start) < _FANOUT_END:
        return 0
    count: int = struct.unpack(">I", start[-4:])[0]
    return count if count <= _MOST_OBJECTS else 0


def _merge(packs: Path, indexes: list[Path]) -> None:
    merged = PackBuilder()
    for index in indexes:
        for object_hex, entry, checksum in _entries(index):
            merged.add_entry(object_hex, entry, checksum)
        if merged.size > 4 * _MOST_BYTES:
            raise _Unmergeable
    keep = merged.write(packs)
    for index in indexes:
        if index.stem != keep.stem:
            # In git's order: without its index a pack is not looked for any more.
            for suffix in (".idx", ".rev", ".bitmap", ".pack"):
                index.with_suffix(suffix).unlink(missing_ok=True)
    keep.unlink(missing_ok=True)


def _entries(index: Path) -> Iterator[tuple[str, bytes, int]]:
    """Id, bytes and CRC-32 of each of a pack's entries."""
    try:
        table = index.read_bytes()
        pack = index.with_suffix(".pack").read_bytes()
    except OSError as error:
        raise _Unmergeable from error
    entries = sorted(_listed(table), key=lambda entry: entry.offset)
    ends = [entry.offset for entry in entries[1:]] + [len(pack) - 20]
    for entry, end in zip(entries, ends, strict=True):
        content = pack[entry.offset : end]
        damaged = zlib.crc32(content) != entry.checksum
        if damaged or (content[0] >> 4) & 7 in _DELTAS:
            raise _Unmergeable
        yield entry.object_hex, content, entry.checksum


def _listed(table: bytes) -> Iterator[_Entry]:
    """What a pack index, version 2, lists (gitformat-pack(5)); offsets of 31 bits only."""
    (count,) = struct.unpack_from(">I", table, _FANOUT_END - 4)
    ids, checksums = _FANOUT_END, _FANOUT_END + 20 * count
    numbers = struct.unpack_from(f">{2 * count}I", table, checksums)
    for at in range(count):
        object_hex = table[ids + 20 * at : ids + 20 * at + 20].hex()
        yield _Entry(object_hex, numbers[count + at], numbers[at])
