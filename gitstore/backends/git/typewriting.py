"""Moving ``refs/notes/types``: notes in packs of bounded size, then trees and commit, then the ref.

A batch is written before the next but one is asked for, so that notes are read back from packs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.typenotes import Line
from gitstore.backends.git.typetree import NotesTree
from gitstore.core.errors import StoreUnavailable

AT_ONCE = 15_000
"""Events in memory at a time: some 8 MB."""

Batch = dict[tuple[str, str], list[Line]]
"""Lines to add, by type and day; some 15,000 of them."""


class TypesWriter:
    """One move of the ref from ``tip``. A context manager: what it wrote is kept from git's gc."""

    def __init__(self, parts: Parts, tip: str | None, tree: NotesTree) -> None:
        self._parts = parts
        self._tip = tip
        self._tree = tree
        self._keeps: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for keep in self._keeps:
            keep.unlink(missing_ok=True)

    def write(self, batches: Iterable[Batch]) -> Batch:
        """Write all batches but the last, which is given back, for ``finish``."""
        last: Batch = {}
        for batch in batches:
            if last:
                self._pack(self._notes(last))
            last = batch
        return last

    def write_all(self, batches: Iterable[Batch]) -> None:
        """Write all batches, so that the tree can be read."""
        last = self.write(batches)
        if last:
            self._pack(self._notes(last))

    def finish(self, last: Batch, commit_of: Callable[[str], GitObject]) -> str:
        """Write the last batch, the trees and the commit of their root, and move the ref there.

        Gives the commit. Raises ``StoreUnavailable`` where the ref has moved, or cannot be moved.
        """
        made: list[str] = []
        self._pack(self._top(last, commit_of, made))
        olds = frozenset({self._tip})
        for failure in self._parts.refs.move([RefUpdate(TYPES, made[-1], olds)]):
            raise StoreUnavailable(
                f"{TYPES} could not be moved: {failure.why}",
                hint="It is derived: the next flush, or `index_types()`, tries again.",
            )
        return made[-1]

    def _pack(self, objects: Iterable[GitObject]) -> None:
        self._keeps.append(self._parts.objects.add(objects))

    def _notes(self, batch: Batch) -> Iterator[GitObject]:
        for (type_name, day), lines in batch.items():
            yield from self._tree.add(type_name, day, lines)

    def _top(
        self, last: Batch, commit_of: Callable[[str], GitObject], made: list[str]
    ) -> Iterator[GitObject]:
        yield from self._notes(last)
        root = ""
        for tree in self._tree.changed():
            root = tree.id
            yield tree
        commit = commit_of(root)
        made.append(commit.id)
        yield commit
