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

from gitstore.backends.git.packfiles import DELTAS, FANOUT_END, PackFile, packs_in, remove
from gitstore.backends.git.packs import PackBuilder

_FACTOR = 10
_MOST_OBJECTS = 4_999
_MOST_BYTES = 8 << 20
_MOST_AT_ONCE = 4 * _MOST_BYTES


class _Unmergeable(Exception):
    """A pack that is damaged, has deltas, or has gone meanwhile."""


class _Entry(NamedTuple):
    object_hex: str
    offset: int
    checksum: int


def merge_small_packs(packs: Path) -> None:
    """Merge tiers that are full; needs the flush lock and the maintain lock.

    Beside ``git gc`` and readers. Durable before the old packs go. Where one of them cannot be
    merged, all stay as they are.
    """
    tiers: dict[int, list[PackFile]] = defaultdict(list)
    for pack in packs_in(packs):
        if 0 < pack.count <= _MOST_OBJECTS and pack.size <= _MOST_BYTES:
            tiers[len(str(pack.count))].append(pack)
    for full in (tier for tier in tiers.values() if len(tier) >= _FACTOR):
        indexes = [pack.index for pack in full if not pack.has_deltas()]
        if len(indexes) >= _FACTOR:
            with contextlib.suppress(_Unmergeable):
                _merge(packs, indexes)


def _merge(packs: Path, indexes: list[Path]) -> None:
    """Merge as many as fit into memory; the next flush goes on with the others."""
    merged = PackBuilder()
    done = []
    for index in indexes:
        for object_hex, entry, checksum in _entries(index):
            merged.add_entry(object_hex, entry, checksum)
        done.append(index)
        if merged.size > _MOST_AT_ONCE:
            break
    keep = merged.write(packs)
    remove(packs, [index for index in done if index.stem != keep.stem])
    keep.unlink(missing_ok=True)


def _entries(index: Path) -> Iterator[tuple[str, bytes, int]]:
    """Id, bytes and CRC-32 of each of a pack's entries."""
    try:
        table = index.read_bytes()
        pack = index.with_suffix(".pack").read_bytes()
        entries = sorted(_listed(table), key=lambda entry: entry.offset)
        ends = [entry.offset for entry in entries[1:]] + [len(pack) - 20]
        for entry, end in zip(entries, ends, strict=True):
            content = pack[entry.offset : end]
            damaged = zlib.crc32(content) != entry.checksum
            if damaged or (content[0] >> 4) & 7 in DELTAS:
                raise _Unmergeable
            yield entry.object_hex, content, entry.checksum
    except (OSError, struct.error, ValueError, IndexError) as error:  # of a damaged index
        raise _Unmergeable from error


def _listed(table: bytes) -> Iterator[_Entry]:
    """What a pack index, version 2, lists (gitformat-pack(5)); offsets of 31 bits only."""
    (count,) = struct.unpack_from(">I", table, FANOUT_END - 4)
    ids, checksums = FANOUT_END, FANOUT_END + 20 * count
    numbers = struct.unpack_from(f">{2 * count}I", table, checksums)
    for at in range(count):
        object_hex = table[ids + 20 * at : ids + 20 * at + 20].hex()
        yield _Entry(object_hex, numbers[count + at], numbers[at])
