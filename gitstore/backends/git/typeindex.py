"""Keeping ``refs/notes/types``, the type index that any clone reads with plain git.

Derived, and never waited for by an append. What it holds is known from its own commit alone: it
says up to which position it is complete and which feed commit that position ends. Where this is no
commit of ours, or of another feed, all of it is made anew: as a child of what is there if it lists
all that is listed there, so that others still fetch it as a fast-forward, else without a parent.
"""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from gitstore.backends.git import feed
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.gitcommand import ObjectReader
from gitstore.backends.git.indexlists import TypedRow
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.typemerging import careful, check_foreign, lines_to_add
from gitstore.backends.git.typenotes import (
    TypesCommit,
    day_of,
    decode_types,
    encode_types,
    line_of,
)
from gitstore.backends.git.typetree import NotesTree, Read
from gitstore.backends.git.typewriting import AT_ONCE, Batch, TypesWriter
from gitstore.core.errors import StoreCorrupted
from gitstore.core.timestamps import to_microseconds

_LOG = logging.getLogger("gitstore.types")
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


class Goal(NamedTuple):
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
            _bring_to(parts, reader, base, tip)


def rebuild(parts: Parts) -> None:
    """Make the type index anew, whatever it says of itself; the flush lock is held."""
    through, tip = parts.index.state()
    with ObjectReader(parts.layout.root) as reader:
        goal = goal_of(parts, reader.read, tip, None)[0] if through else None
        if goal is not None:
            _make_anew(parts, reader, _base(parts, reader.read), goal)


def begin(parts: Parts, rows: Iterable[TypedRow], goal: Callable[[], Goal]) -> None:
    """Make the type index of a store that has none, of all its events; the flush lock is held.

    ``goal`` is asked when all rows were taken.
    """
    with ObjectReader(parts.layout.root) as reader:
        base = _base(parts, reader.read)
        with TypesWriter(parts, base.tip, NotesTree(reader.read)) as writer:
            last = writer.write(_batched(rows))
            writer.finish(last, _commit_of(parts, [], goal(), None))


def _bring_to(parts: Parts, reader: ObjectReader, base: _Base, feed_tip: str) -> None:
    goal, said = goal_of(parts, reader.read, feed_tip, base.said)
    if goal is None:
        return
    if said is not None:
        if goal.position == said.position:
            return
        try:
            _go_on(parts, reader.read, base, said, goal)
        except StoreCorrupted as error:
            _LOG.warning("the type index is damaged (%s); it is made anew", error)
        else:
            return
    elif base.tip is not None:
        _LOG.warning("%s is not what this store wrote; it is made anew", TYPES)
    _make_anew(parts, reader, base, goal)


def _go_on(parts: Parts, read: Read, base: _Base, said: TypesCommit, goal: Goal) -> None:
    """Add what is missing to what is there."""
    tree = NotesTree(read, said.tree)
    batches = _batches(parts, said.position, goal.position)
    if said.joined:  # others may have listed what has come here since
        batches = (_without_listed(tree, batch) for batch in batches)
    parents = [base.parent] if base.parent else []
    with TypesWriter(parts, base.tip, tree) as writer:
        last = writer.write(batches)
        writer.finish(last, _commit_of(parts, parents, goal, said.joined))


def _make_anew(parts: Parts, reader: ObjectReader, base: _Base, goal: Goal) -> None:
    """From the first event on; on top of what is there, where it lists all of that too."""
    tree = NotesTree(reader.read)
    batches = _batches(parts, 0, goal.position)
    with TypesWriter(parts, base.tip, tree) as writer:
        if base.said is None:
            last, joined, parents = writer.write(batches), None, list[str]()
        else:
            writer.write_all(batches)
            last, joined, parents = _take_over(parts, reader, base, tree, writer)
        writer.finish(last, _commit_of(parts, parents, goal, joined))


def _take_over(
    parts: Parts, reader: ObjectReader, base: _Base, tree: NotesTree, writer: TypesWriter
) -> tuple[Batch, str | None, list[str]]:
    """What the index there lists of other stores: the last batch of it, its commit, the parents.

    An index of this store alone lists nothing else: then whatever it has besides is wrong.
    """
    said = base.said
    assert said is not None
    assert base.parent is not None
    try:
        there = NotesTree(careful(reader), said.tree)
        check_foreign(careful(reader), there, tree, parts.objects)
        more = lines_to_add(careful(reader), there, tree)
        first = next(more, {})
        if not first:
            return {}, None, [base.parent]
        if _may_list_others(parts, reader.read, said):
            return writer.write(itertools.chain([first], more)), base.parent, [base.parent]
    except StoreCorrupted as error:
        _LOG.warning("the type index that was there is not in order: %s", error)
    return {}, None, []


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
    late = abs(now(parts) - said.date) >= _LATE_SECONDS
    return missing > 0 and (late or missing * _LATE_SHARE >= said.position)


def goal_of(
    parts: Parts, read: Read, feed_tip: str, said: TypesCommit | None
) -> tuple[Goal | None, TypesCommit | None]:
    """The newest feed commit whose events are all in git, and ``said`` if that is of this feed."""
    waiting = parts.journal.page(0, None, 1, backwards=False)[2]
    stuck = waiting[0].position if waiting else _NO_END
    goal: Goal | None = None
    at: str | None = feed_tip
    while at is not None:
        span = feed.span_of(read(at, "commit"))
        if goal is None and 0 < span.last < stuck:
            goal = Goal(at, span.last)
        if said is not None:
            if at == said.feed:
                return goal, said if span.last == said.position else None
            if 0 < span.first <= said.position:
                said = None
        if said is None and goal is not None:
            break
        at = span.parent
    return goal, None


def now(parts: Parts) -> int:
    """Seconds since 1970, by the store's clock."""
    return max(to_microseconds(parts.stamper.clock()) // 1_000_000, 0)


def _may_list_others(parts: Parts, read: Read, said: TypesCommit) -> bool:
    """Whether another store had a part in it: it says so, or its feed commit is not of our feed."""
    at: str | None = parts.index.state()[1]
    while not said.joined and at is not None and at != said.feed:
        at = feed.span_of(read(at, "commit")).parent
    return said.joined is not None or at is None


def _commit_of(
    parts: Parts, parents: Sequence[str], goal: Goal, joined: str | None
) -> Callable[[str], GitObject]:
    def commit(root: str) -> GitObject:
        said = TypesCommit(root, now(parts), goal.position, goal.feed, joined)
        return encode_types(parents, said)

    return commit


def _without_listed(tree: NotesTree, batch: Batch) -> Batch:
    left = {day: tree.lacking(*day, lines) for day, lines in batch.items()}
    return {day: lines for day, lines in left.items() if lines}


def _batches(parts: Parts, after: int, to: int) -> Iterator[Batch]:
    """The lines of events with ``after < position <= to``."""
    return _batched(_rows(parts, after, to))


def _batched(rows: Iterable[TypedRow]) -> Iterator[Batch]:
    left = iter(rows)
    while some := list(itertools.islice(left, AT_ONCE)):
        batch: Batch = defaultdict(list)
        for _, time, type_name, stream, version, commit in some:
            line = line_of(time, stream, version, commit)
            batch[type_name, day_of(line)].append(line)
        yield batch


def _rows(parts: Parts, after: int, to: int) -> Iterator[TypedRow]:
    while page := parts.index.typed(after, to, _PAGE):
        yield from page
        after = page[-1][0]
