"""Packs as files: which of them may be put together, what they list, and how they come and go.

A pack is taken away only once another lists all it lists, and stands there under a ``.keep``: a
``git gc`` that began meanwhile must not take the new one for its own while we remove the old.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.disk.files import sync_directory, write_new
from gitstore.backends.git.layout import OBJECT_MODE

MAGIC = b"\xfftOc\0\0\0\2"
FANOUT_END = 8 + 4 * 256
DELTAS = (6, 7)
"""The types of an entry that is a delta: by offset, and by the base's id."""
KEPT = (".keep", ".promisor", ".mtimes")
"""Beside a pack: it is not ours to touch. The last marks git's packs of unreachable objects."""

_SUFFIXES = (".pack", ".rev", ".idx")
_MARK = b"gitstore maintain\n"
_SAMPLE = 64
_LARGE_OFFSET = 2**31


@dataclass(frozen=True, slots=True)
class PackFile:
    """A pack: the path of its ``.idx``, how many objects it has, and the bytes of its ``.pack``.

    ``made``: when, in seconds since 1970.
    """

    index: Path
    count: int
    size: int
    made: float

    def ids(self) -> bytes:
        """The 20 bytes of every object's id, sorted, one after the other."""
        table = self.index.read_bytes()
        return table[FANOUT_END : FANOUT_END + 20 * self.count]

    def has_deltas(self) -> bool:
        """Whether git has looked for deltas in it, to go by entries from all over the pack.

        ``False`` where it cannot be read: whoever copies from it finds that out.
        """
        try:
            with self.index.open("rb") as table, self.index.with_suffix(".pack").open("rb") as pack:
                step = max(1, self.count // _SAMPLE)
                return any(
                    self._kind(table.fileno(), pack.fileno(), number) in DELTAS
                    for number in range(0, self.count, step)
                )
        except (OSError, struct.error, IndexError):
            return False

    def _kind(self, table: int, pack: int, number: int) -> int:
        """The type of an entry, by its number among the sorted ids; 0 in packs beyond 2 GB."""
        place = FANOUT_END + 24 * self.count + 4 * number
        (at,) = struct.unpack(">I", os.pread(table, 4, place))
        return (os.pread(pack, 1, at)[0] >> 4) & 7 if at < _LARGE_OFFSET else 0


def packs_in(folder: Path) -> Iterator[PackFile]:
    """The packs that may be put together with others, in no order.

    Not those that somebody keeps, nor those whose index is damaged or of another version.
    """
    names = {entry.name for entry in os.scandir(folder)}
    for name in names:
        stem = name.removesuffix(".idx")
        if stem == name or not stem.startswith("pack-"):
            continue
        if any(stem + suffix in names for suffix in KEPT):
            continue
        index = folder / name
        try:
            found = index.with_suffix(".pack").stat()
            with index.open("rb") as file:
                start = file.read(FANOUT_END)
        except FileNotFoundError:  # a `git gc` was faster
            continue
        if start.startswith(MAGIC) and len(start) == FANOUT_END:
            yield PackFile(index, struct.unpack(">I", start[-4:])[0], found.st_size, found.st_mtime)


def lists_all(new: Sequence[bytes], old: Sequence[bytes]) -> bool:
    """Whether the tables of ids ``new`` together hold every id of the tables ``old``."""
    # By first byte, so that not all ids are held at once.
    for first in range(256):
        held = {one for table in new for one in _beginning(table, first)}
        if any(one not in held for table in old for one in _beginning(table, first)):
            return False
    return True


def _beginning(table: bytes, first: int) -> Iterator[bytes]:
    """The ids of a sorted table that begin with a byte."""
    for at in range(20 * _lower(table, first), 20 * _lower(table, first + 1), 20):
        yield table[at : at + 20]


def _lower(table: bytes, first: int) -> int:
    low, high = 0, len(table) // 20
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if table[20 * middle] < first else (low, middle)
    return low


def bring_in(folder: Path, packs: Path, mark: bytes = _MARK) -> list[Path]:
    """Move the packs of ``folder`` among the store's, durable; gives their ``.keep`` files.

    ``mark``: what those files hold, so that they are known again after a crash.
    """
    keeps = []
    for made in sorted(folder.glob("pack-*.pack")):
        keep = packs / made.with_suffix(".keep").name
        if _keep(keep, mark, made.with_suffix(".mark")):
            keeps.append(keep)
        for suffix in _SUFFIXES:  # the index last: without it a pack is not looked at
            part = made.with_suffix(suffix)
            if part.exists():
                part.chmod(OBJECT_MODE)
                part.replace(packs / part.name)
    sync_directory(packs)
    return keeps


def _keep(keep: Path, mark: bytes, aside: Path) -> bool:
    """Make a ``.keep``; ``False`` where there is one: another process brings in the same pack.

    Written aside first: one that was cut short would belong to nobody for ever.
    """
    aside.unlink(missing_ok=True)
    write_new(aside, mark)
    try:
        os.link(aside, keep)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        with contextlib.suppress(FileExistsError):
            write_new(keep, mark)
            return True
        return False
    finally:
        aside.unlink()
    return True


def finish_bringing_in(folder: Path, packs: Path) -> None:
    """Move what belongs to a pack whose ``bring_in`` was cut short, when it alone had moved."""
    for index in folder.glob("pack-*.idx"):
        if not index.with_suffix(".pack").exists() and (packs / f"{index.stem}.pack").exists():
            for part in (index.with_suffix(".rev"), index):
                if part.exists():
                    part.chmod(OBJECT_MODE)
                    part.replace(packs / part.name)


def clear_marks(packs: Path) -> None:
    """Remove the ``.keep`` files of a ``bring_in`` that was cut short."""
    for keep in packs.glob("pack-*.keep"):
        with contextlib.suppress(FileNotFoundError):  # of a flush that has ended
            if keep.read_bytes() == _MARK:
                keep.unlink()


def remove(packs: Path, indexes: Iterable[Path]) -> None:
    """Remove packs, in git's order: without its index a pack is not looked for any more."""
    _drop_multi_pack_index(packs)
    for index in indexes:
        for suffix in (".idx", ".rev", ".bitmap", ".pack"):
            index.with_suffix(suffix).unlink(missing_ok=True)
    _drop_multi_pack_index(packs)  # one that was written meanwhile names them too


def _drop_multi_pack_index(packs: Path) -> None:
    """The user's ``multi-pack-index`` names packs that go; it is derived, and git does the same."""
    for path in packs.glob("multi-pack-index*"):
        if path.is_file():
            path.unlink(missing_ok=True)
