"""Git packs and their indexes, version 2 (gitformat-pack(5)), written whole and durable."""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gitstore.backends.disk.files import sync_directory, write_new
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.layout import OBJECT_MODE

_KINDS = {"commit": 1, "tree": 2, "blob": 3}
# Most objects are 500 bytes. A 4 KiB window and little memory give the same size as zlib's
# defaults in a sixth of the time, most of which goes into allocating and clearing.
_LEVEL, _WINDOW_BITS, _MEMORY = 1, 12, 5
_LARGE_OFFSET = 2**31
_HEADER_SIZE = 12
KEEP_MARK = b"gitstore flush\n"
"""What our ``.keep`` files hold, to tell them from other people's."""
TEMPORARY = ".gitstore"
"""The suffix of a file that is being written."""


@functools.cache
def _compressor() -> Callable[[bytes, int], bytes] | None:
    """Intel's zlib for small objects where it is installed: the same size in half the time."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - 2 ms, which who only reads must not pay
    except ImportError:  # no wheel for this machine
        return None
    return isal_zlib.compress


def deflate(content: bytes) -> bytes:
    """``content`` as a zlib stream, as git keeps it."""
    if len(content) > 65_536:
        return zlib.compress(content, _LEVEL)
    fast = _compressor()
    if fast is not None:
        return fast(content, _LEVEL)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY)
    return packer.compress(content) + packer.flush()


class PackBuilder:
    """Collects objects in memory, each once, and writes them as one pack."""

    def __init__(self) -> None:
        self._body = bytearray(_HEADER_SIZE)
        self._entries: dict[str, tuple[int, int]] = {}  # id: (offset, crc32)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self._body)

    def add(self, objects: Iterable[GitObject]) -> None:
        """Add objects; one that is there already is passed over."""
        for item in objects:
            if item.id in self._entries:
                continue
            header = _entry_header(_KINDS[item.kind], len(item.content))
            entry = header + deflate(item.content)
            self._entries[item.id] = (len(self._body), zlib.crc32(entry))
            self._body += entry

    def add_entry(self, object_hex: str, entry: bytes, checksum: int) -> None:
        """Add an object as it stands in another pack, undeltified, with the CRC-32 of its entry."""
        if object_hex not in self._entries:
            self._entries[object_hex] = (len(self._body), checksum)
            self._body += entry

    def write(self, packs: Path) -> Path:
        """Write pack and index durably into ``packs`` and give the path of the ``.keep`` file.

        The ``.keep`` guards the pack against ``git gc`` until refs point into it.
        """
        struct.pack_into(">4sII", self._body, 0, b"PACK", 2, len(self._entries))
        checksum = _sha1(self._body)
        keep = packs / f"pack-{checksum.hex()}.keep"
        try:
            keep.write_bytes(KEEP_MARK)
            self._write_pair(keep, checksum)
        except BaseException:
            keep.unlink(missing_ok=True)
            raise
        return keep

    def _write_pair(self, keep: Path, checksum: bytes) -> None:
        # Not git's own temporary names: `git prune --expire=now` deletes those under our hands.
        asides = {suffix: keep.with_suffix(f"{suffix}{TEMPORARY}") for suffix in (".pack", ".idx")}
        for aside in asides.values():
            aside.unlink(missing_ok=True)
        self._body += checksum
        write_new(asides[".pack"], self._body, OBJECT_MODE)
        write_new(asides[".idx"], _index(self._entries, checksum), OBJECT_MODE)
        # The index last: a pack without one is not looked at, an index without its pack is noise.
        for suffix, aside in asides.items():
            aside.replace(keep.with_suffix(suffix))
        sync_directory(keep.parent)


def clear_leftovers(packs: Path) -> None:
    """Clear up what a crash left of packs that were being written; needs the flush lock.

    One whose pack has its name already is whole: its index gets its name too.
    """
    for aside in packs.glob(f"*{TEMPORARY}"):
        whole = aside.with_suffix("")
        if whole.suffix == ".idx" and whole.with_suffix(".pack").exists():
            aside.replace(whole)
        else:
            aside.unlink(missing_ok=True)
    for keep in packs.glob("pack-*.keep"):
        try:
            content = keep.read_bytes()
        except FileNotFoundError:  # of a maintenance that has ended
            continue
        # A crash may have cut it short; but then the pack was not there yet.
        unborn = KEEP_MARK.startswith(content) and not keep.with_suffix(".idx").exists()
        if content == KEEP_MARK or unborn:
            keep.unlink(missing_ok=True)


@functools.lru_cache(maxsize=4_096)
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


def _sha1(content: bytes | bytearray) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()
