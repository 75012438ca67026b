"""Keeping ``refs/notes/types``, the type index that any clone reads with plain git.

Derived, and never waited for by an append. What it holds is known from its own commit alone: it
says up to which position it is complete and which feed commit that position ends. Where this is no
commit of ours, or of another feed, all of it is made anew, as a child of what is there, so that
others still fetch it as a fast-forward.
"""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from gitstore.backends.git import feed
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.gitcommand import ObjectReader
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexlists import TypedRow
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.typenotes import (
    MOST_LINES,
    Line,
    TypesCommit,
    day_of,
    decode_types,
    encode_types,
    folder_of,
    key_blob,
    key_name,
    line_of,
)
from gitstore.backends.git.typetree import NotesTree, Read
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.timestamps import to_microseconds

_LOG = logging.getLogger("gitstore.types")
_AT_ONCE = 15_000
"""Events in memory at a time: some 8 MB."""
_PAGE = 2_000
_LATE_SECONDS = 60
_LATE_SHARE = 100
"""Due is what is older than a minute, or more than one in so many of what is listed."""
_NO_END = 2**63


class _Base(NamedTuple):
    """Where the ref stands: ``tip``, the commit there if it can be read, and what it says."""

    tip: str | None
    parent: str | None
    said: TypesCommit | None


class _Goal(NamedTuple):
    """How far the index is to go: the last position of a feed commit."""

    feed: str
    position: int


def update(parts: Parts, *, only_if_due: bool = False) -> None:
    """Bring the type index up to the feed, or make it anew; the flush lock is held.

    ``only_if_due``: not where little is missing and that little is young, so that a command that
    appends one event to a large store does not pay for it. Raises ``StoreUnavailable`` where the
    ref cannot be moved.
    """
    through, tip = parts.index.state()
    with ObjectReader(parts.layout.root) as reader:
        base = _base(parts, reader.read)
        if through and not (only_if_due and not _is_due(parts, base.said, through)):
            _bring_to(parts, reader.read, base, tip)


def rebuild(parts: Parts) -> None:
    """Make the type index anew, whatever it says of itself; the flush lock is held."""
    through, tip = parts.index.state()
    with ObjectReader(parts.layout.root) as reader:
        goal = _goal(parts, reader.read, tip, None)[0] if through else None
        if goal is not None:
            _Update(parts, _base(parts, reader.read), NotesTree(reader.read)).run(0, goal)


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
        elif _goal(parts, parts.objects.read, parts.index.state()[1], said)[1] is not None:
            yield from _Check(parts, said).run()
    except IndexDamaged:
        raise
    except StoreCorrupted as error:
        yield f"the type index cannot be read: {error}"


def _bring_to(parts: Parts, read: Read, base: _Base, feed_tip: str) -> None:
    goal, said = _goal(parts, read, feed_tip, base.said)
    if goal is None:
        return
    if said is not None:
        if goal.position == said.position:
            return
        try:
            _Update(parts, base, NotesTree(read, said.tree)).run(said.position, goal)
        except StoreCorrupted as error:
            _LOG.warning("the type index is damaged (%s); it is made anew", error)
        else:
            return
    elif base.tip is not None:
        _LOG.warning("%s is not what this store wrote; it is made anew", TYPES)
    _Update(parts, base, NotesTree(read)).run(0, goal)


def _base(parts: Parts, read: Read) -> _Base:
    try:
        tip = parts.refs.read(TYPES)
    except StoreCorrupted as error:
        _LOG.warning("%s; it is made anew", error)
        (parts.layout.root / TYPES).unlink(missing_ok=True)
        tip = parts.refs.read(TYPES)
    if tip is None:
        return _Base(None, None, None)
    try:
        content = read(tip, "commit")
    except StoreCorrupted:
        return _Base(tip, None, None)
    return _Base(tip, tip, decode_types(content))


def _is_due(parts: Parts, said: TypesCommit | None, through: int) -> bool:
    if said is None or said.position > through:
        return True
    missing = through - said.position
    late = abs(_now(parts) - said.date) >= _LATE_SECONDS
    return missing > 0 and (late or missing * _LATE_SHARE >= said.position)


def _goal(
    parts: Parts, read: Read, feed_tip: str, said: TypesCommit | None
) -> tuple[_Goal | None, TypesCommit | None]:
    """The newest feed commit whose events are all in git, and ``said`` if that is of this feed."""
    waiting = parts.journal.page(0, None, 1, backwards=False)[2]
    stuck = waiting[0].position if waiting else _NO_END
    goal: _Goal | None = None
    at: str | None = feed_tip
    while at is not None:
        span = feed.span_of(read(at, "commit"))
        if goal is None and 0 < span.last < stuck:
            goal = _Goal(at, span.last)
        if said is not None:
            if at == said.feed:
                return goal, said if span.last == said.position else None
            if 0 < span.first <= said.position:
                said = None
        if said is None and goal is not None:
            break
        at = span.parent
    return goal, None


def _now(parts: Parts) -> int:
    return max(to_microseconds(parts.stamper.clock()) // 1_000_000, 0)


class _Update:
    """One move of the ref: packs of at most 15,000 events each, the last with trees and commit."""

    def __init__(self, parts: Parts, base: _Base, tree: NotesTree) -> None:
        self._parts = parts
        self._base = base
        self._tree = tree
        self._commit = ""

    def run(self, after: int, goal: _Goal) -> None:
        """Add the events with ``after < position <= goal.position``."""
        keeps = []
        rows = self._rows(after, goal.position)
        try:
            while not self._commit:
                keeps.append(self._parts.objects.add(self._objects(rows, goal)))
            self._move()
        finally:
            for keep in keeps:
                keep.unlink(missing_ok=True)

    def _objects(self, rows: Iterator[TypedRow], goal: _Goal) -> Iterator[GitObject]:
        """What goes into the next pack."""
        taken = yield from self._blobs(itertools.islice(rows, _AT_ONCE))
        if taken < _AT_ONCE:
            yield from self._top(goal)

    def _rows(self, after: int, to: int) -> Iterator[TypedRow]:
        while page := self._parts.index.typed(after, to, _PAGE):
            yield from page
            after = page[-1][0]

    def _blobs(self, rows: Iterator[TypedRow]) -> Generator[GitObject, None, int]:
        """The keys and notes of some events; returns how many events."""
        days: dict[tuple[str, str], list[Line]] = defaultdict(list)
        taken = 0
        for _, time, type_name, stream, version, commit in rows:
            line = line_of(time, stream, version, commit)
            days[type_name, day_of(line)].append(line)
            taken += 1
        for (type_name, day), lines in days.items():
            yield from self._tree.add(type_name, day, lines)
        return taken

    def _top(self, goal: _Goal) -> Iterator[GitObject]:
        root = None
        for root in self._tree.changed():
            yield root
        assert root is not None  # there is always a root
        said = TypesCommit(root.id, _now(self._parts), goal.position, goal.feed)
        commit = encode_types(self._base.parent, said)
        self._commit = commit.id
        yield commit

    def _move(self) -> None:
        olds = frozenset({self._base.tip})
        for failure in self._parts.refs.move([RefUpdate(TYPES, self._commit, olds)]):
            raise StoreUnavailable(
                f"{TYPES} could not be moved: {failure.why}",
                hint="It is derived: the next flush, or `index_types()`, tries again.",
            )


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
