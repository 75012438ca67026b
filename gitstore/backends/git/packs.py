"""Git packs and their indexes, version 2 (gitformat-pack(5)), written whole and durable."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.files import sync_directory, write_new
from gitstore.backends.git.layout import OBJECT_MODE

_KINDS = {"commit": 1, "tree": 2, "blob": 3}
# Most objects are 500 bytes. A 4 KiB window and little memory give the same size as zlib's
# defaults in a sixth of the time, most of which goes into allocating and clearing.
_LEVEL, _WINDOW_BITS, _MEMORY = 1, 12, 5
_LARGE_OFFSET = 2**31


def deflate(content: bytes) -> bytes:
    """``content`` as a zlib stream, as git keeps it."""
    if len(content) > 65_536:
        return zlib.compress(content, 1)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY)
    return packer.compress(content) + packer.flush()


class PackBuilder:
    """Collects objects in memory, each once, and writes them as one pack."""

    def __init__(self) -> None:
        self._parts: list[bytes] = [b""]  # the header's place
        self._entries: dict[str, tuple[int, int]] = {}  # id: (offset, crc32)
        self._size = 12

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def add(self, objects: Iterable[GitObject]) -> None:
        """Add objects; one that is there already is passed over."""
        for item in objects:
            if item.id in self._entries:
                continue
            header = _entry_header(_KINDS[item.kind], len(item.content))
            body = deflate(item.content)
            self._entries[item.id] = (self._size, zlib.crc32(body, zlib.crc32(header)))
            self._parts += (header, body)
            self._size += len(header) + len(body)

    def write(self, packs: Path) -> Path:
        """Write pack and index durably into ``packs`` and give the path of the ``.keep`` file.

        The ``.keep`` guards the pack against ``git gc`` until refs point into it; the caller takes
        it away then. Temporary names are git's own, so that its gc clears leftovers of a crash.
        """
        self._parts[0] = b"PACK" + struct.pack(">II", 2, len(self._entries))
        body = b"".join(self._parts)
        checksum = _sha1(body)
        name = f"pack-{checksum.hex()}"
        keep = packs / f"{name}.keep"
        try:
            keep.write_bytes(b"gitstore flush\n")
            self._write_pair(packs, name, body, checksum)
        except BaseException:
            keep.unlink(missing_ok=True)
            raise
        return keep

    def _write_pair(self, packs: Path, name: str, body: bytes, checksum: bytes) -> None:
        temporary = packs / f"tmp_pack_{checksum.hex()[:12]}"
        temporary_index = packs / f"tmp_idx_{checksum.hex()[:12]}"
        for path, content in (
            (temporary, body + checksum),
            (temporary_index, _index(self._entries, checksum)),
        ):
            path.unlink(missing_ok=True)
            write_new(path, content, OBJECT_MODE)
        # The index last: a pack without one is not looked at, an index without its pack is noise.
        temporary.replace(packs / f"{name}.pack")
        temporary_index.replace(packs / f"{name}.idx")
        sync_directory(packs)


def _entry_header(kind: int, size: int) -> bytes:
    """Type and size: 4 bits of size beside the type, then 7 a byte, least significant first."""
    byte = (kind << 4) | (size & 15)
    size >>= 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    header.append(byte)
    return bytes(header)


def _index(entries: dict[str, tuple[int, int]], checksum: bytes) -> bytes:
    ids = sorted(entries)
    names = [bytes.fromhex(name) for name in ids]
    offsets = [entries[name][0] for name in ids]
    large = [offset for offset in offsets if offset >= _LARGE_OFFSET]
    numbers = iter(range(len(large)))
    small = [o if o < _LARGE_OFFSET else _LARGE_OFFSET | next(numbers) for o in offsets]
    body = b"".join(
        (
            b"\xfftOc\0\0\0\2",
            _fanout(names),
            b"".join(names),
            struct.pack(f">{len(ids)}I", *(entries[name][1] for name in ids)),
            struct.pack(f">{len(ids)}I", *small),
            struct.pack(f">{len(large)}Q", *large),
            checksum,
        )
    )
    return body + _sha1(body)


def _fanout(names: Sequence[bytes]) -> bytes:
    counts = [0] * 256
    for name in names:
        counts[name[0]] += 1
    total = 0
    for first, count in enumerate(counts):
        total += count
        counts[first] = total
    return struct.pack(">256I", *counts)


def _sha1(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()
