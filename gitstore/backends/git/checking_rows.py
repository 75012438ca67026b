"""The fast look: feed, index and git against each other, each event encoded once.

Walks the feed from its first commit to its tip and takes from the index the rows that each commit
lists. A row, encoded on its stream's running head (where a rebase begins, on its fork), must give
the id that row and feed name, and git must have an object of that id: SHA-1 then says that feed,
index and git agree to the last byte, as far as git's objects are what they are called, which
``checking_files`` looks at. Nothing is decoded. Memory grows with the number of streams, of their
rebases and of feed commits (20 bytes each), not of events.

Holds no lock. The first thing that is not as it should be raises ``Doubt``: damage, or a writer
that was at work. Who holds the flush lock knows which.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from gitstore.backends.git import feed
from gitstore.backends.git.checking_rebases import BEFORE_ALL, Head, StreamEnds
from gitstore.backends.git.commits import (
    SPILL_OVER,
    EventCommit,
    committer_date,
    decode_commit,
    encode_commit,
)
from gitstore.backends.git.findings import doubt
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexschema import pack_id, unpack_id
from gitstore.backends.git.journalschema import JournalRow, JournalState
from gitstore.backends.git.layout import FEED, STREAMS, SUPERSEDED
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import objects_of
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import EventStoreError, InvalidEvent
from gitstore.core.findings import Progress
from gitstore.core.idempotence import MAX_METADATA
from gitstore.core.names import (
    category_of,
    check_event_id,
    check_stream_id,
    check_type,
    encode_name,
)

_PAGE = 1_000
ODDITIES = (AttributeError, TypeError, ValueError, LookupError, ArithmeticError)
"""What values of a wrong kind, which a damaged database may give, raise on their way."""


_NOTHING: Mapping[str, JSON] = {}


class RowWalk:
    """One look at a store; call ``go`` until nothing comes, then ``finish`` under the lock."""

    def __init__(self, parts: Parts, progress: Progress) -> None:
        self._parts = parts
        self._progress = progress
        self._has = parts.objects.lists
        self._ends = StreamEnds(parts)
        self._tip: str | None = None
        self._position = 0
        self._store_id: str | None = None
        self.lines = 0
        """Places of events held against git so far, as they are now and as they were."""
        self._names = functools.cache(self._checked_name)
        self._types = functools.lru_cache(10_000)(self._checked_type)

    @property
    def streams(self) -> int:
        """Streams met so far."""
        return len(self._ends.heads)

    @property
    def superseded(self) -> int:
        """How many of the lines rebases have superseded."""
        return self._ends.superseded

    def go(self) -> int:
        """Walk to where the feed ends now; gives how many lines that were."""
        before = self.lines
        with _doubting():
            state, (through, tip) = self._parts.journal.state(), self._parts.index.state()
            waiting = self._waiting(state)
            for commit in self._commits_to(tip):
                self._feed_commit(commit, waiting, through)
                self._tip = commit
        return self.lines - before

    def finish(self, refs: dict[str, str]) -> None:
        """Hold the ends against each other; the flush lock is held, and ``go`` gives nothing more.

        ``refs``: every ref under ``refs/streams/`` and ``refs/superseded/``, and the feed's.
        """
        with _doubting():
            self._index_ends()
            tips = self._pending()
            self._states(refs.pop(FEED, None))
            kept = [name for name in refs if name.startswith(SUPERSEDED)]
            self._ends.check_refs({name: refs.pop(name) for name in kept})
            for name, head in self._ends.heads.items():
                tips.setdefault(STREAMS + encode_name(name), set()).add(head.commit)
            for ref, allowed in tips.items():
                tip = refs.pop(ref, None)
                if tip not in allowed:
                    at = f"at {tip}" if tip else "missing"
                    raise doubt("stream", f"the ref is {at}", ref=ref, commit=tip, repairable=True)
            for ref, tip in refs.items():
                raise doubt("stream", "a ref that is no stream's", ref=ref, commit=tip)

    # The feed

    def _commits_to(self, tip: str) -> Iterator[str]:
        """The feed's commits after those walked, oldest first; 20 bytes each meanwhile."""
        chain = bytearray()
        at: str | None = tip
        while at != self._tip:
            if at is None:
                raise doubt("feed", "the feed was exchanged", ref=FEED)
            chain += bytes.fromhex(at)
            at = feed.span_of(self._parts.objects.read(at)).parent
        for end in range(len(chain), 0, -20):
            yield chain[end - 20 : end].hex()

    def _feed_commit(self, commit: str, waiting: dict[int, JournalRow], through: int) -> None:
        content = self._parts.objects.read(commit)
        parent, date, _, last = feed.span_of(content)
        if not last:
            self._store_id = feed.decode_feed(content).store_id
            assert self._store_id is not None  # a commit that lists nothing names one
            if feed.encode_beginning(parent, date, self._store_id).id != commit:
                message = "a commit of the feed is not in its form"
                raise doubt("feed", message, ref=FEED, commit=commit)
            return
        assert parent is not None  # the first lists nothing
        lines: list[str] = []
        first = self._position + 1
        for position, line in self._lines(last, waiting):
            if not lines:
                first = position
            lines.append(line)
            self.lines += 1
            if not self.lines % _PAGE:
                self._progress("Verifying", self.lines, through)
        if feed.encode_lines(parent, date, first, last, lines).id != commit:
            raise doubt(
                "feed",
                f"a commit of the feed does not list {first}..{last} as the index has them",
                ref=FEED,
                commit=commit,
            )
        self._position = last

    def _lines(self, last: int, waiting: dict[int, JournalRow]) -> Iterator[tuple[int, str]]:
        """The feed's lines of the positions up to ``last``, as index and journal give them."""
        held = sorted(p for p in waiting if self._position < p <= last)
        for row in self._rows(last):
            while held and held[0] < row[0]:
                yield _line_of(waiting[held.pop(0)])
            yield row[0], self._row(*row)
        for position in held:
            yield _line_of(waiting[position])

    def _rows(self, last: int) -> Iterator[tuple[Any, ...]]:
        after = self._position
        while after < last:
            page = self._parts.index.raw_page(after, last, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _waiting(self, state: JournalState) -> dict[int, JournalRow]:
        """Rows that the feed lists and whose streams' refs could not be moved."""
        return {
            row.position: row
            for row in self._parts.journal.pending(1 << 40)
            if row.position <= state.listed and not self._is_indexed(row)
        }

    def _is_indexed(self, row: JournalRow) -> bool:
        """Whether a flush was cut short before the row could leave the journal."""
        page = self._parts.index.raw_page(row.position - 1, row.position, 1)
        return bool(page) and page[0][6] == row.commit_id

    # A row

    def _row(
        self,
        position: int,
        stream: int,
        version: int,
        kind: int,
        time: int,
        packed: bytes | str,
        commit_id: bytes,
        user: str | None,
        no_user: int,
        correlation: str | None,
        no_correlation: int,
        data: bytes | None,
        metadata: bytes | None,
        origin: bytes | None,
        *_superseded: object,
    ) -> str:
        """Hold a row of the index against git and its stream; its line in the feed."""
        name, type_name, commit = self._names(stream), self._types(kind), commit_id.hex()
        head = self._ends.before(name, stream, position, version)
        about = _NOTHING if metadata == b"{}" else self._metadata(commit, metadata)
        given = about.get("userId"), about.get("correlationId")
        wanted = tuple([word if isinstance(word, str) else None for word in given])
        nulls = (wanted[0] is None, wanted[1] is None)
        if wanted != (user, correlation) or nulls != (no_user, no_correlation):
            message = f"{name}@{version} is filed under another user or correlation"
            raise doubt("index", message, stream=name, repairable=True)
        date = committer_date(time, head.date)
        event = EventCommit(
            name,
            type_name,
            version,
            time,
            _event_id(packed),
            about,
            head.commit,
            date,
            origin=_origin(origin),
        )
        objects = encode_commit(event, self._data(commit, data))
        if objects[-1].id != commit or version != head.version + 1:
            raise doubt(
                "index",
                f"{name}@{version} is not what its commit says",
                stream=name,
                commit=commit,
                repairable=True,
            )
        for item in objects:
            if not self._has(item.id):
                raise doubt(
                    "stream",
                    f"{item.kind} {item.id} of {name}@{version} is missing",
                    stream=name,
                    commit=commit,
                    repairable=data is not None,
                )
        self._ends.heads[name] = Head(version, commit, date)
        return feed.line_of(position, type_name, name, version, commit)

    def _data(self, commit: str, data: bytes | None) -> bytes:
        if data is None:  # spilled, or trimmed
            return self._parts.objects.read_data(self._parts.objects.read_event(commit))
        canonical.read_canonical(data)
        if len(data) > SPILL_OVER:
            raise ValueError(f"{len(data)} bytes of data")
        return data

    def _metadata(self, commit: str, metadata: bytes | None) -> Mapping[str, JSON]:
        if metadata is None:
            return decode_commit(self._parts.objects.read(commit)).metadata
        about = canonical.read_canonical(metadata)
        if not isinstance(about, dict) or len(metadata) > MAX_METADATA:
            raise ValueError(f"metadata of {len(metadata)} bytes")
        return about

    def _checked_name(self, number: int) -> str:
        name = self._parts.index.stream_name(number)
        check_stream_id(name)
        return name

    def _checked_type(self, number: int) -> str:
        name = self._parts.index.word(number)
        check_type(name)
        return name

    # The ends

    def _index_ends(self) -> None:
        """The index's own notes of where each stream ends."""
        seen = after = 0
        while page := self._parts.index.raw_streams(after, _PAGE):
            for _, name, category, version, commit, date in page:
                if version == 0:
                    continue  # interned by a batch that never came
                head = self._ends.heads.get(name)
                if head != (version, commit.hex(), date) or category != category_of(name):
                    message = f"it has {name} end at version {version}"
                    raise doubt("index", message, stream=name, repairable=True)
                seen += 1
            after = page[-1][0]
        if seen != self.streams:
            raise doubt("index", f"it knows {seen} streams of {self.streams}", repairable=True)
        events = self._parts.index.counts()[0]
        waiting = len(self._waiting(self._parts.journal.state()))
        self._ends.check_index()
        events += self._ends.superseded
        if events + waiting != self.lines:
            message = f"it has {events} events, the feed lists {self.lines}"
            raise doubt("index", message, repairable=True)

    def _pending(self) -> dict[str, set[str | None]]:
        """Rows that wait continue their streams; where the refs of those may stand."""
        tips: dict[str, set[str | None]] = {}
        heads: dict[str, Head] = {}
        for row in self._parts.journal.pending(1 << 40):
            if self._is_indexed(row):
                continue
            objects_of(row)
            head = heads.get(row.stream) or self._ends.heads.get(row.stream, BEFORE_ALL)
            parent = row.parent.hex() if row.parent else None
            place = f"{row.stream}@{row.version}"
            date = committer_date(row.time, head.date)
            if (parent, row.version, row.date) != (head.commit, head.version + 1, date):
                message = f"{place} does not continue its stream"
                raise doubt("journal", message, stream=row.stream, commit=row.commit_id.hex())
            if self._parts.index.by_ids([row.event_id]):
                message = f"{place} has the event id of another event"
                raise doubt("journal", message, stream=row.stream, commit=row.commit_id.hex())
            tips.setdefault(STREAMS + encode_name(row.stream), {head.commit}).add(
                row.commit_id.hex()
            )
            heads[row.stream] = Head(row.version, row.commit_id.hex(), row.date)
            self.lines += row.position > self._position
        self._ends.heads |= heads
        return tips

    def _states(self, tip: str | None) -> None:
        """Journal, index and ref mean the same end of the feed, but for a flush cut short."""
        state, (through, indexed) = self._parts.journal.state(), self._parts.index.state()
        if self._store_id != state.store_id:
            raise doubt("feed", "the feed is of another store", ref=FEED)
        if indexed != state.feed:
            above = feed.span_of(self._parts.objects.read(indexed)).parent
            if above != state.feed:
                raise doubt("journal", "journal.db and index.db know different feeds")
        elif through != state.flushed or state.listed != self._position:
            message = f"journal.db says {state.flushed} events have left it, index.db {through}"
            raise doubt("journal", message)
        if tip is None:
            raise doubt("feed", "the feed's ref is missing", ref=FEED, repairable=True)
        if tip not in (state.feed, indexed):
            above, _, _, last = feed.span_of(self._parts.objects.read(tip))
            if above != indexed or last > self._parts.journal.highest()[1]:
                message = "the feed's ref is not where the journal has it"
                raise doubt("feed", message, ref=FEED, commit=tip, repairable=True)


class _doubting:  # noqa: N801 - reads as a statement, as contextlib's own do
    """Turn what damaged files raise into ``Doubt``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IndexDamaged):
            raise doubt("index", str(error), repairable=True) from error
        if isinstance(error, EventStoreError) and not isinstance(error, InvalidEvent):
            raise doubt("stream", str(error)) from error
        if isinstance(error, (*ODDITIES, InvalidEvent)):
            message = f"a row cannot be read: {type(error).__name__}: {error}"
            raise doubt("index", message, repairable=True) from error


def _event_id(packed: bytes | str) -> str:
    if isinstance(packed, bytes) and len(packed) == 16:
        return unpack_id(packed)
    check_event_id(packed)  # type: ignore[arg-type]  # it refuses what is no text
    if pack_id(packed) is not packed:  # type: ignore[arg-type]
        raise ValueError(f"event id {packed!r} is not in the form it is looked up by")
    return packed  # type: ignore[return-value]


def _origin(commit: bytes | None) -> str | None:
    if commit is None:
        return None
    if len(commit) != 20:
        raise ValueError(f"an origin of {len(commit)} bytes")
    return commit.hex()


def _line_of(row: JournalRow) -> tuple[int, str]:
    line = feed.line_of(row.position, row.type, row.stream, row.version, row.commit_id.hex())
    return row.position, line
