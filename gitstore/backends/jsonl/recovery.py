"""Keeping one process's view, the files and ``index.db`` in step; everything under the lock.

What is recorded is what the journal says and, before it, what ``by-stream.idx`` lists. Invariants,
whenever a process leaves the lock alive:

- ``by-stream.idx`` lists every event of the journal, unless the disk was full (``Tail.is_behind``);
- each line it lists stands in its data file;
- the journal has every event of which anything may not be on the disk.

A process may die anywhere. Before its blob was whole, nothing happened. After it, its events are
recorded: whoever comes next finds ``by-stream.idx`` behind the journal, and files them
(``catch_up``). After a power cut any byte may be missing that the journal tells of: an opening
files the whole journal again (``recover``), which changes nothing where all is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from gitstore.backends.jsonl.entries import Entry, own_row_of
from gitstore.backends.jsonl.filing import BY_STREAM_FILE
from gitstore.backends.jsonl.layout import parse_index_line
from gitstore.backends.jsonl.parts import Parts
from gitstore.core.errors import StoreCorrupted

_LOG = logging.getLogger("gitstore.store")
_PAGE = 1_000
_CHUNK = 256 * 1024
_LINE = 4 * 1024
"""First bytes read of a data line; most have less."""


def replay(parts: Parts) -> list[Entry]:
    """Have all that the journal tells of in the files; gives it. On opening."""
    entries = [entry for blob in parts.journal.every() for entry in blob]
    parts.filing.mend(entries)
    parts.filing.write_again(entries)
    return entries


def recover(parts: Parts, journaled: Sequence[Entry]) -> None:
    """Bring ``index.db`` to where the files are, once the journal was replayed.

    ``StoreCorrupted`` where ``by-stream.idx`` lacks what it had: what was on the disk before the
    journal began, or what the index was made from.
    """
    filing, index = parts.filing, parts.index
    has = index.last_position()
    if has or journaled:
        filing.check_follows(0)
    if journaled:
        filing.check_follows(journaled[0].row.position - 1)
    end = filing.check_follows(has) if has else 0
    if index.noted()[1] != end:
        index.note_through(end)
    last, end = filing.last()
    filing.cut(end)
    read_into_index(parts, last)
    filing.take_over()
    parts.tail.restart(last)


def has_news(parts: Parts) -> bool:
    """Whether another process may have written; exact under the lock, and safe without it."""
    journal, tail = parts.journal, parts.tail
    return (
        tail.is_behind
        or journal.last > tail.last  # this process was interrupted between the two
        or journal.has_news()
        or parts.filing.has_news()
    )


def catch_up(parts: Parts) -> None:
    """Take over what other processes have recorded, and finish what a killed one began."""
    tail = parts.tail
    news = [entry for blob in parts.journal.news() for entry in blob]
    parts.filing.note_dirty(news)
    finish(parts)
    last = max(parts.filing.last()[0], parts.journal.last)
    fresh = [entry for entry in news if entry.row.position > tail.last]
    if fresh and fresh[0].row.position == tail.last + 1:
        tail.add(fresh)
    elif last > tail.last:  # the journal was begun anew meanwhile
        read_into_index(parts, last)
        tail.restart(last)
    elif last < tail.last:
        raise StoreCorrupted(f"{parts.where}/{BY_STREAM_FILE} was cut")
    parts.filing.take_over()


def finish(parts: Parts) -> None:
    """File what the journal has and ``by-stream.idx`` does not list yet."""
    last, tail = parts.filing.last()[0], parts.tail
    if parts.journal.last > last:
        entries = [entry for entry in tail.entries if entry.row.position > last]
        if tail.last != parts.journal.last or len(entries) != tail.last - last:
            every = (entry for blob in parts.journal.every() for entry in blob)
            entries = [entry for entry in every if entry.row.position > last]
        parts.filing.mend(entries)
    parts.tail.is_behind = False


def bring_up(parts: Parts) -> None:
    """Have everything recorded in ``index.db``; after ``catch_up``."""
    tail = parts.tail
    if tail.entries:
        last = parts.index.noted()[2]
        fresh = [entry for entry in tail.entries if entry.row.position > last]
        if fresh:
            parts.index.take_in(fresh, parts.filing.last()[1], parts.filing.texts(fresh))
        tail.settle()


def settle(parts: Parts) -> None:
    """Bring everything to the disk, in its place, and begin the journal anew."""
    if parts.filing.is_doubtful:
        replay(parts)
    parts.filing.sync()
    parts.journal.begin_anew()


def read_into_index(parts: Parts, last: int) -> None:
    """Put into ``index.db`` what ``by-stream.idx`` lists after it, up to position ``last``.

    ``StoreCorrupted`` where it does not list them all.
    """
    _, through, has = parts.index.noted()
    if has > last:
        raise StoreCorrupted(f"{parts.where}/{BY_STREAM_FILE} lacks events that the index has")
    page: list[Entry] = []
    for entry, end in _listed(parts, through, has):
        page.append(entry)
        if len(page) == _PAGE or entry.row.position == last:
            parts.index.take_in(page, end, parts.filing.texts(page))
            page = []
    if parts.index.last_position() != last:
        raise StoreCorrupted(f"{parts.where}/{BY_STREAM_FILE} does not go on from the index")


def _listed(parts: Parts, start: int, after: int) -> Iterator[tuple[Entry, int]]:
    """Entries that ``by-stream.idx`` lists from offset ``start`` on, and where their lines end.

    Those after position ``after``; ends at the first that does not follow on.
    """
    expected = after + 1
    rest = b""
    while chunk := parts.filing.read(BY_STREAM_FILE, start + len(rest), _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            start += len(line) + 1
            found = parse_index_line(line + b"\n")
            if found is None or found.position > expected:
                return
            if found.position == expected:
                yield entry_at(parts, *found), start
                expected += 1


def entry_at(parts: Parts, position: int, file: str, offset: int) -> Entry:
    """The entry whose line begins there; ``StoreCorrupted`` where there is none."""
    size = _LINE
    while True:
        text = parts.filing.read(file, offset, size)
        line, feed, _ = text.partition(b"\n")
        if feed:
            row = own_row_of(position, line + feed, f"{file}, offset {offset}")
            return Entry(row, file, offset, line + feed)
        if len(text) < size:
            raise StoreCorrupted(
                f"{parts.where}/{file} was cut: the event at position {position} is not there"
            )
        size *= 8
