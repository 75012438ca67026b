"""Two type indexes held against each other: what is equal in both is passed over unread.

Of one that others wrote nothing is taken for granted: what it has of its own must be in the form
of FORMAT.md, and what it says of commits that are here must be so.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from operator import itemgetter
from typing import NamedTuple

from gitstore.backends.git.gitcommand import ObjectReader
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.typenotes import (
    Line,
    TreeEntry,
    check_note,
    decode_tree,
    encode_tree,
    folder_of,
    is_fan_out,
    line_of,
    parse_key,
    split_key,
    split_note,
)
from gitstore.backends.git.typetree import NotesTree, Read
from gitstore.backends.git.typewriting import AT_ONCE, Batch
from gitstore.core.errors import InvalidEvent, StoreCorrupted, UnsupportedFormat
from gitstore.core.names import check_stream_id

_NOTE, _FOLDER = b"100644", b"40000"
_MOST_BYTES = 16 << 20
"""Of a note or tree of others: a note of 1,000 lines of the longest streams has 4 MB."""

Day = tuple[str, str]
"""A type, and a day such as ``2026-11-23``."""


class _Page(NamedTuple):
    """A note: of which type and day, the how-manieth of that day, and its id."""

    type: str
    day: str
    number: int
    note: str


def careful(reader: ObjectReader) -> Read:
    """How the objects of an index are read that others wrote: none is large, trees are git's."""

    def read(object_hex: str, kind: str) -> bytes:
        content = reader.read_at_most(_MOST_BYTES, object_hex, kind)
        if kind == "tree" and encode_tree(decode_tree(content)).content != content:
            raise StoreCorrupted(f"tree {object_hex} is not in git's order")
        return content

    return read


class LineCheck:
    """Whether what other stores' lines say may be so: that a commit is not here proves nothing."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._is_here = objects.seen_now()

    def run(self, type_name: str, line: Line) -> None:
        """``StoreCorrupted`` for a line of no stream, or of a commit here that is another event."""
        _, stream, _, text = line
        try:
            check_stream_id(stream.decode())
        except (InvalidEvent, UnicodeDecodeError) as error:
            raise StoreCorrupted(f"the type index has a line of no stream: {error}") from None
        commit = text[-41:-1].decode()
        if not self._is_here(commit):
            return
        with suppress(UnsupportedFormat):  # an event of a newer version: its reader will judge
            event = self._objects.read_event(commit)
            said = line_of(event.time, event.stream_id, event.version, bytes.fromhex(commit))
            if (event.type, said) != (type_name, line):
                raise StoreCorrupted(f"the type index says of {commit}, which is here: {text!r}")


def lines_to_add(read: Read, source: NotesTree, into: NotesTree) -> Iterator[Batch]:
    """What ``source`` lists and ``into`` does not; a batch has each day once.

    Both are in order. ``StoreCorrupted`` where an object cannot be read.
    """
    batch: Batch = {}
    taken = 0
    for day, lines in shares(read, source, into, lambda content, _: split_note(content)):
        missing = into.lacking(*day, lines)
        if batch and (day in batch or taken + len(missing) > AT_ONCE):
            yield batch
            batch, taken = {}, 0
        if missing:
            batch[day] = missing
            taken += len(missing)
    if batch:
        yield batch


def check_foreign(read: Read, foreign: NotesTree, known: NotesTree, objects: Objects) -> None:
    """``StoreCorrupted`` unless ``foreign`` is in order, as far as it is not what ``known`` is.

    ``read`` is ``careful``. Lines of commits that are not here are another machine's.
    """
    check_form(read, foreign, known)
    check = LineCheck(objects)
    for (type_name, day), lines in shares(read, foreign, known, check_note):
        for line in known.lacking(type_name, day, lines):
            check.run(type_name, line)


def check_form(read: Read, foreign: NotesTree, known: NotesTree) -> None:
    """The same of keys and trees alone: what the notes hold is not looked at."""
    for name in foreign.names():
        entry = foreign.entry(name)
        if entry is None or entry.mode != _FOLDER:
            raise StoreCorrupted(f"the type index has an entry that is no type's: {name!r:.120}")
        if entry != known.entry(name):
            _check_folder(read, name, foreign, known)
    for key, _ in _notes_of_its_own(known, foreign):
        if foreign.note(key) is None:
            type_name, name = split_key(read(key, "blob"))
            if name in foreign.folder(folder_of(type_name)):
                raise StoreCorrupted(f"the type index has no note for {type_name} {name}")


def _check_folder(read: Read, name: str, foreign: NotesTree, known: NotesTree) -> None:
    entries, ours = foreign.folder(name), known.folder(name)
    for leaf, entry in entries.items():
        if entry.mode != _NOTE:
            raise StoreCorrupted(f"the type index has an entry that is no file: {name}/{leaf}")
        if is_fan_out(name) or ours.get(leaf) == entry:
            continue
        type_name, stated = split_key(read(entry.id.hex(), "blob"))
        if (folder_of(type_name), stated) != (name, leaf) or not foreign.note(entry.id.hex()):
            raise StoreCorrupted(f"the type index has a key that is none: {name}/{leaf}")
    if not is_fan_out(name):
        _check_days(name, entries)


def _check_days(folder: str, names: Iterable[str]) -> None:
    """Each day is one of the calendar, and its notes are numbered from 1 without a gap."""
    count: Counter[str] = Counter()
    last: Counter[str] = Counter()
    for name in names:
        day, number = parse_key(name) or ("", 0)
        try:
            date.fromisoformat(day)
        except ValueError:
            raise StoreCorrupted(f"the type index has no day {name!r:.120}") from None
        count[day] += 1
        last[day] = max(last[day], number)
    if count != last or not count:
        raise StoreCorrupted(f"the type index has a day of {folder} with a gap")


def shares(
    read: Read,
    source: NotesTree,
    other: NotesTree,
    parse: Callable[[bytes, str], list[Line]],
) -> Iterator[tuple[Day, list[Line]]]:
    """The lines of the notes that only ``source`` has just so, some 15,000 of a day at a time."""
    pages = sorted(_pages_of_its_own(read, source, other))
    for day, some in itertools.groupby(pages, key=itemgetter(0, 1)):
        lines: list[Line] = []
        for page in some:
            lines += parse(read(page.note, "blob"), page.day)
            if len(lines) >= AT_ONCE:
                yield day, lines
                lines = []
        if lines:
            yield day, lines


def _pages_of_its_own(read: Read, source: NotesTree, other: NotesTree) -> Iterator[_Page]:
    for key, note in _notes_of_its_own(source, other):
        type_name, name = split_key(read(key, "blob"))
        entry = source.folder(folder_of(type_name)).get(name)
        if entry is None or entry.id.hex() != key:
            raise StoreCorrupted(f"the type index has a note on {key}, which is no key")
        day, number = parse_key(name) or ("", 0)
        yield _Page(type_name, day, number, note)


def _notes_of_its_own(source: NotesTree, other: NotesTree) -> Iterator[tuple[str, str]]:
    """Key and note where ``other`` has no note, or another."""
    for name in filter(is_fan_out, source.names()):
        entry: TreeEntry | None = source.entry(name)
        if entry is not None and entry == other.entry(name):
            continue
        theirs = other.folder(name)
        for rest, note in source.folder(name).items():
            if theirs.get(rest) != note:
                yield name + rest, note.id.hex()
