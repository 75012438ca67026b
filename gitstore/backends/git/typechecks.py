"""Holding the type index against the events it should list."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from operator import itemgetter

from gitstore.backends.git.gitcommand import ObjectReader
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.typeindex import goal_of
from gitstore.backends.git.typemerging import LineCheck, careful, check_form, shares
from gitstore.backends.git.typenotes import (
    MOST_LINES,
    Line,
    TypesCommit,
    check_note,
    decode_types,
    folder_of,
    key_blob,
    key_name,
    line_of,
)
from gitstore.backends.git.typetree import NotesTree
from gitstore.core.errors import StoreCorrupted
from gitstore.core.timestamps import to_microseconds

_DAY = 86_400_000_000


def check_types(parts: Parts) -> Iterator[str]:
    """What is wrong with the type index, as sentences; the flush lock is held.

    That it is missing, behind or of another feed is not wrong: the next update sees to it.
    ``rebuild`` makes all else good. Raises ``IndexDamaged`` where ``index.db``, which it is held
    against, cannot be read.
    """
    try:
        tip = parts.refs.read(TYPES)
        if tip is None:
            return
        said = decode_types(parts.objects.read(tip))
        if said is None:
            yield f"{TYPES} is at {tip}, which is no type index"
        elif goal_of(parts, parts.objects.read, parts.index.state()[1], said)[1] is not None:
            check = _JoinedCheck if said.joined else _Check
            yield from check(parts, said).run()
    except IndexDamaged:
        raise
    except StoreCorrupted as error:
        yield f"the type index cannot be read: {error}"


def is_of_another_feed(parts: Parts) -> bool:
    """Whether the next update would make it anew, whatever is wrong with it; see ``check_types``.

    So it is where the feed had to be made anew: then nobody has looked at its parts.
    """
    try:
        tip = parts.refs.read(TYPES)
        said = None if tip is None else decode_types(parts.objects.read(tip))
    except StoreCorrupted:
        return False  # which is damage
    feed = parts.index.state()[1]
    return said is not None and goal_of(parts, parts.objects.read, feed, said)[1] is None


class _Check:
    """Holds what the type index lists against the events it should list, key by key."""

    def __init__(self, parts: Parts, said: TypesCommit) -> None:
        self._parts = parts
        self._read = parts.objects.read
        self._said = said
        self._tree = NotesTree(self._read, said.tree)
        self._fan_out: dict[str, int] = defaultdict(int)

    def run(self) -> Iterator[str]:
        """Types in the order of ``index.db``; what is left over in the tree comes last."""
        types = set()
        rows = self._parts.index.note_lines(self._said.position, MOST_LINES)
        for type_name, some in itertools.groupby(rows, key=itemgetter(0)):
            types.add(folder_of(type_name))
            yield from self._type(type_name, some)
        for name in self._tree.names():
            if name not in types and name not in self._fan_out:
                yield f"the type index has an entry that is no type's: {name}"
        for name, keys in self._fan_out.items():
            if len(self._tree.folder(name)) > keys:
                yield f"the type index has notes on objects that are no keys, in {name}"

    def _type(self, type_name: str, rows: Iterable[tuple[str, int, str]]) -> Iterator[str]:
        folder = folder_of(type_name)
        keys = self._tree.folder(folder)
        held = set()
        for (day, number), lines in itertools.groupby(rows, key=lambda row: (row[2][:10], row[1])):
            name = key_name(day, number + 1)
            held.add(name)
            key = key_blob(type_name, name).id
            self._fan_out[key[:2]] += 1
            entry = keys.get(name)
            if entry is None or entry.id.hex() != key:
                yield f"the type index has no key {folder}/{name}"
            else:
                wanted = "".join(line for _, _, line in lines).encode()
                yield from self._note(f"{folder}/{name}", key, wanted)
        for name in sorted(keys.keys() - held):
            yield f"the type index has a key for no event: {folder}/{name}"
        self._tree.forget(folder)

    def _note(self, where: str, key: str, wanted: bytes) -> Iterator[str]:
        note = self._tree.note(key)
        if note is None:
            yield f"the type index has no note for {where}"
            return
        try:
            self._read(key, "blob")
            found = self._read(note, "blob")
        except StoreCorrupted as error:
            yield f"the type index cannot be read at {where}: {error}"
            return
        if found != wanted:
            yield from _differences(where, wanted.split(b"\n"), found.split(b"\n"))


class _JoinedCheck:
    """The same where other stores' events are listed too, in any note of their day.

    Every event of ours up to the position must be listed once. Any other line must be in its form,
    and what it says of a commit that is here must be so. The lines of one day are in memory.
    """

    def __init__(self, parts: Parts, said: TypesCommit) -> None:
        self._parts = parts
        self._said = said
        self._lines = LineCheck(parts.objects)

    def run(self) -> Iterator[str]:
        """Types and days in their order; what no day of the tree has comes last."""
        unlisted = self._parts.index.count_to(self._said.position)
        with ObjectReader(self._parts.layout.root) as reader:
            read = careful(reader)
            tree, nothing = NotesTree(read, self._said.tree), NotesTree(read)
            check_form(read, tree, nothing)
            some = shares(read, tree, nothing, check_note)
            for (type_name, day), days in itertools.groupby(some, key=itemgetter(0)):
                wanted = self._wanted(type_name, day)
                unlisted -= len(wanted)
                yield from self._day(type_name, day, wanted, (lines for _, lines in days))
        if unlisted:
            yield f"the type index has no note for {unlisted} events"

    def _day(
        self, type_name: str, day: str, wanted: set[bytes], shares: Iterable[list[Line]]
    ) -> Iterator[str]:
        missing = set(wanted)
        for line in itertools.chain.from_iterable(shares):
            if line[3] in missing:
                missing.discard(line[3])
            elif line[3] in wanted:
                yield f"the type index has a line twice: {line[3]!r}"
            else:
                self._lines.run(type_name, line)
        if missing:
            where, first = f"{folder_of(type_name)}/{day}", min(missing).decode(errors="replace")
            yield f"the notes of {where} lack {len(missing)} lines, the first {first!r}"

    def _wanted(self, type_name: str, day: str) -> set[bytes]:
        start = to_microseconds(datetime.fromisoformat(day).replace(tzinfo=UTC))
        rows = self._parts.index.typed_between(type_name, start, start + _DAY, self._said.position)
        return {line_of(time, s, v, commit)[3] for _, time, _, s, v, commit in rows}


def _differences(where: str, wanted: list[bytes], found: list[bytes]) -> Iterator[str]:
    missing = sorted(set(wanted) - set(found))
    foreign = sorted(set(found) - set(wanted))
    for what, lines in (("lacks", missing), ("has", foreign)):
        if lines:
            first = lines[0].decode(errors="replace")
            why = "" if what == "lacks" else " of no event"
            yield f"the note of {where} {what} {len(lines)} lines{why}, the first {first!r}"
    if not missing and not foreign:
        yield f"the note of {where} is not in order, or has a line twice"
