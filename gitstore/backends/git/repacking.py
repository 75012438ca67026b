"""Few packs of many, and small ones of large: what `git repack` does, holding on to every object.

Two kinds of packs: ours, as they are flushed, without deltas, and those in which git has looked for
deltas. Where the former hold more bytes than the latter, git looks for deltas in them, once; else
they are only copied together, as `git repack --geometric=2` does. So each event is compressed once
and copied a few times, however old the store grows.

The packs to put together are read as lists of ids and given to `git pack-objects`. Whatever they
list is kept, reachable or not, and they go only when the new pack lists all of it. Commits are
named by their stream, so that git looks for deltas within a stream: a third smaller, and less than
`git gc --aggressive` leaves, in a tenth of its time.

The new pack is made in an object database of its own, with the store's as its alternate: nothing
half done ever lies among the store's packs, and `git prune` does not delete it under our hands.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from gitstore.backends.disk.files import DIRECTORY_MODE
from gitstore.backends.git.gitchild import GitChild
from gitstore.backends.git.gitcommand import GitFailed
from gitstore.backends.git.packfiles import (
    PackFile,
    bring_in,
    clear_marks,
    finish_bringing_in,
    lists_all,
    packs_in,
    remove,
)
from gitstore.backends.git.parts import Parts
from gitstore.core.errors import StoreCorrupted

_FACTOR = 2
_AT_ONCE = 200_000
"""Objects in which deltas are looked for at once; bounds the memory that takes."""
_FEW = 100_000
"""Objects that are copied together at once in a process that has other things to do: 10 MB."""
_PAGE = 5_000
_ATTEMPTS = 3
_PACK = ("--delta-base-offset", "--index-version=2", "--no-reuse-delta", "--progress")
_SEARCH = (*_PACK, "--window=10", "--depth=10")
"""Chains of ten deltas cost 1 % of space against fifty, and read a third faster."""
_COPY = (*(option for option in _PACK if option != "--no-reuse-delta"), "--window=0")
_is_loose = re.compile(r"[0-9a-f]{38}").fullmatch


def loose_objects(objects: Path) -> Iterator[Path]:
    """The files of all loose objects."""
    for folder in objects.glob("[0-9a-f][0-9a-f]"):
        yield from (path for path in folder.iterdir() if _is_loose(path.name))


class Repacker:
    """Repacks one store; the maintain lock is held.

    ``search``: look for deltas; else some of what is there is copied together, which takes a second
    and 10 MB.
    """

    def __init__(self, parts: Parts, child: GitChild, *, search: bool) -> None:
        self._parts = parts
        self._child = child
        self._search = search
        self._packs = parts.layout.packs
        self._aside = parts.layout.repacking
        self._packs_used: Sequence[PackFile] = ()

    def run(self) -> None:
        """Pack loose objects, and put packs together where there are too many of a size."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._run()
            except (GitFailed, FileNotFoundError):
                # A `git gc` of the user's may have taken a pack that was being copied from.
                if attempt == _ATTEMPTS or all(pack.index.exists() for pack in self._packs_used):
                    raise
            else:
                return
            finally:
                self.clear()

    def clear(self) -> None:
        """Remove what a run that was cut short left; of a pack that is in place, all is kept."""
        finish_bringing_in(self._aside, self._packs)
        shutil.rmtree(self._aside, ignore_errors=True)
        clear_marks(self._packs)

    def _run(self) -> None:
        self.clear()
        plain, searched = self._sorted()
        loose = list(loose_objects(self._parts.layout.objects))
        if self._search and (_bytes(plain) > _bytes(searched) or not searched):
            for some in _batches(plain) or [[]]:
                self._combine(some, loose, search=True)
                loose = []
        else:
            self._combine(self._few(_to_combine(plain)), loose, search=False)
        self._combine(self._few(_to_combine(self._sorted()[1])), [], search=False)

    def _few(self, packs: Sequence[PackFile]) -> Sequence[PackFile]:
        """The smallest of these; all, for a process that has nothing else to do."""
        if self._search:
            return packs
        totals = itertools.accumulate(pack.count for pack in packs)
        return packs[: sum(total <= _FEW for total in totals)]

    def _sorted(self) -> tuple[list[PackFile], list[PackFile]]:
        """Packs without and with deltas, the smallest first."""
        plain: list[PackFile] = []
        searched: list[PackFile] = []
        for pack in sorted(packs_in(self._packs), key=lambda pack: (pack.count, pack.index)):
            (searched if pack.has_deltas() else plain).append(pack)
        return plain, searched

    def _combine(self, packs: Sequence[PackFile], loose: Sequence[Path], *, search: bool) -> None:
        """Make one pack of these packs and loose objects, and let them go."""
        if not loose and len(packs) < (1 if search else 2):
            return
        self._packs_used = packs
        tables = [pack.ids() for pack in packs]
        singles = [bytes.fromhex(path.parent.name + path.name) for path in loose]
        tables.append(b"".join(sorted(singles)))
        self._prepare()
        wanted = self._aside / "wanted"
        with wanted.open("w") as file:
            file.writelines(self._named(tables))
        options = [
            *(_SEARCH if search else _COPY),
            *(["--threads=1"] if self._child.gentle else []),
        ]
        self._child.run(
            *("pack-objects", *options, str(self._aside / "pack")),
            stdin=wanted,
            environment={"GIT_OBJECT_DIRECTORY": str(self._aside)},
        )
        self._replace(packs, tables, loose)

    def _replace(
        self, packs: Sequence[PackFile], tables: Sequence[bytes], loose: Sequence[Path]
    ) -> None:
        """Bring the new pack in; only then remove what it holds."""
        made = list(packs_in(self._aside))
        if not lists_all([pack.ids() for pack in made], tables):
            raise StoreCorrupted(
                "git left objects out of a new pack; the old packs are as they were"
            )
        keeps = bring_in(self._aside, self._packs)
        stays = {pack.index.name for pack in made}
        remove(self._packs, [pack.index for pack in packs if pack.index.name not in stays])
        for path in loose:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in loose}:
            with suppress(OSError):  # another object lies there
                folder.rmdir()
        for keep in keeps:
            keep.unlink(missing_ok=True)

    def _prepare(self) -> None:
        """An empty object database that finds the store's objects."""
        shutil.rmtree(self._aside, ignore_errors=True)
        (self._aside / "info").mkdir(DIRECTORY_MODE, parents=True)
        (self._aside / "info" / "alternates").write_text("../../objects\n")

    def _named(self, tables: Sequence[bytes]) -> Iterator[str]:
        """All ids, those of events in the order they came and with their streams' numbers.

        Git writes them in this order, so that events in a row are read from one place.
        """
        left = {table[at : at + 20] for table in tables for at in range(0, len(table), 20)}
        after = 0
        while rows := self._parts.index.commits(after, _PAGE):
            for _, stream, commit in rows:
                if commit in left:
                    left.discard(commit)
                    yield f"{commit.hex()} {_hint(stream)}\n"
            after = rows[-1][0]
        yield from (f"{one.hex()}\n" for one in sorted(left))


@lru_cache(maxsize=_PAGE)
def _hint(stream: int) -> str:
    """A name that git's hash of names tells from that of any other stream (up to 16 million).

    That hash shifts by two bits a character, so that other texts collide: digits to the base 4.
    """
    return "".join("0123"[(stream >> shift) & 3] for shift in range(22, -1, -2))


def _bytes(packs: Sequence[PackFile]) -> int:
    return sum(pack.size for pack in packs)


def _batches(packs: Sequence[PackFile]) -> list[list[PackFile]]:
    """Packs in runs of up to ``_AT_ONCE`` objects, in the order they were made."""
    batches: list[list[PackFile]] = []
    room = 0
    for pack in sorted(packs, key=lambda pack: pack.made):
        if pack.count > room:
            batches.append([])
            room = _AT_ONCE
        batches[-1].append(pack)
        room -= pack.count
    return batches


def _to_combine(packs: Sequence[PackFile]) -> Sequence[PackFile]:
    """Of packs by size, those that must become one, so that each is twice the one before it."""
    end = len(packs)
    while end > 1 and packs[end - 1].count >= _FACTOR * packs[end - 2].count:
        end -= 1
    if end <= 1:
        return []
    total = sum(pack.count for pack in packs[:end])
    while end < len(packs) and packs[end].count < _FACTOR * total:
        total += packs[end].count
        end += 1
    return packs[:end]
