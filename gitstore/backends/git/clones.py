"""A clone that cannot be written and has no local state: it is read through git alone.

One type's events come from the type index. Whatever else is asked needs a journal and an index;
they are made from the feed, in a private directory that goes when the store is closed. Nothing is
ever written into the clone.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gitstore.backends.disk.files import DIRECTORY_MODE, holds_wal
from gitstore.backends.git import feed, recovery
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import FEED, STREAMS, TYPES, StoreLayout
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import recorded, row_of_commit
from gitstore.backends.git.typenotes import (
    NoteLine,
    decode_note,
    decode_types,
    folder_of,
    parse_key,
)
from gitstore.backends.git.typetree import NotesTree
from gitstore.core.errors import StoreCorrupted, StoreUnavailable
from gitstore.core.event import DomainEvent
from gitstore.core.names import encode_name
from gitstore.core.timestamps import from_microseconds, to_microseconds

_LOG = logging.getLogger("gitstore.clone")
_STREAMS_AT_ONCE = 200
_TREE = re.compile(rb"tree ([0-9a-f]{40})\n").match


class _Found(NamedTuple):
    """An event to read, in the order of a read: by position, where that is known."""

    position: int
    time: int
    stream: str
    version: int
    commit: str


def is_read_as_clone(layout: StoreLayout, *, read_only: bool, create: bool) -> bool:
    """Whether it has no local state, and is to have none: it cannot be written, or must not be.

    Who only reads must not make a store of a backup that later fetches go into.
    """
    if read_only:
        return not layout.journal.exists()
    return not create and not layout.local.is_dir()


def with_state_elsewhere(layout: StoreLayout) -> StoreLayout:
    """The layout of a clone that cannot be written; its private directory is not made yet."""
    name = f"gitstore-{secrets.token_hex(16)}"
    return replace(layout, elsewhere=Path(tempfile.gettempdir()) / name)


class ReadOnlyClone:
    """Answers for a clone whose layout keeps its state elsewhere. Safe for threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._building = threading.Lock()
        self.is_built = False

    def build(self) -> None:
        """Make journal and index from the feed; once. ``StoreUnavailable`` without a feed."""
        with self._building:
            if not self.is_built:
                self._check_feed()
                self._parts.layout.local.mkdir(mode=DIRECTORY_MODE)
                try:
                    self._build()
                except BaseException:
                    self.close()
                    raise
                self.is_built = True

    def close(self) -> None:
        """Remove what was built."""
        shutil.rmtree(self._parts.layout.local, ignore_errors=True)

    def by_type(self, type_name: str, since: datetime | None) -> Iterator[DomainEvent] | None:
        """The events of one type with ``time >= since``; ``None`` without a type index.

        By position where there is a feed, else by time, stream and version: then what the type
        index does not list yet is not known. Other stores' events that it lists are left out.
        """
        start = None if since is None else to_microseconds(since)
        tip = self._parts.refs.read(TYPES)
        if tip is None:
            return None
        try:
            content = self._parts.objects.read(tip)
            said = decode_types(content)
            lines = list(self._lines(content, type_name, start))
            found = self._placed(lines, type_name, said.feed if said else None)
        except StoreCorrupted as error:
            if self._parts.refs.read(FEED) is None:
                raise
            _LOG.warning("the type index cannot be read: %s", error)
            return None
        return self._events(found, type_name, start)

    def _check_feed(self) -> None:
        tip = self._parts.refs.read(FEED)
        if tip is None or not self._parts.objects.holds(tip):
            raise StoreUnavailable(
                f"{self._parts.layout.root} is a clone of a remote, without {FEED}: no store yet",
                hint="Make it one, where it can be written, with `sc-events init --store PATH`; or "
                "clone with `sc-events clone URL`.",
            )

    def _build(self) -> None:
        given = self._parts
        wal = holds_wal(given.layout.local)
        parts = Parts.of(
            given.layout, given.stamper, wal=wal, read_only=False, folds_case=given.folds_case
        )
        try:
            recovery.prepare_journal(parts)
            recovery.prepare_index(parts)
        finally:
            parts.close()

    def _lines(self, content: bytes, type_name: str, start: int | None) -> Iterator[NoteLine]:
        """What the notes list of a type, from the day of ``start`` on."""
        root = _TREE(content)
        if root is None:
            raise StoreCorrupted(f"{TYPES} is at a commit without a tree")
        tree = NotesTree(self._parts.objects.read, root[1].decode())
        first = "" if start is None else from_microseconds(start).date().isoformat()
        for name, entry in tree.folder(folder_of(type_name)).items():
            key = parse_key(name)
            if key is None or key[0] < first:
                continue
            note = tree.note(entry.id.hex())
            if note is None:
                raise StoreCorrupted(f"the type index has no note for {type_name} {name}")
            for line in decode_note(self._parts.objects.read(note, "blob")):
                if start is None or line.time >= start:
                    yield line

    def _placed(self, lines: list[NoteLine], type_name: str, said_feed: str | None) -> list[_Found]:
        """The live ones of the lines and of what the feed lists after ``said_feed``, in order."""
        tip = self._parts.refs.read(FEED)
        if tip is None:
            live = self._on_streams(lines)
            return sorted({_Found(0, *line) for line in lines if line.commit in live})
        wanted = {line.commit for line in lines}
        positions: dict[str, int | None] = {}
        """Of those wanted; ``None`` where a rebase has superseded it."""
        found: list[_Found] = []
        liveness = feed.Liveness()
        is_beyond = tip != said_feed
        for commit in feed.read_back(self._parts.objects, tip):
            if not is_beyond and len(positions) == len(wanted):
                break
            for entry in reversed(commit.entries):
                is_live = liveness.is_live(entry)
                if entry.commit in wanted:
                    positions.setdefault(entry.commit, entry.position if is_live else None)
                elif is_beyond and is_live and entry.type == type_name:
                    place = (entry.stream_id, entry.version, entry.commit)
                    found.append(_Found(entry.position, 0, *place))
            is_beyond = is_beyond and commit.parent != said_feed
        for line in lines:
            position = positions.get(line.commit, 0)
            if position or (position == 0 and not self._is_elsewhere(line)):
                found.append(_Found(position, *line))
        return sorted(set(found))

    def _on_streams(self, lines: list[NoteLine]) -> set[str]:
        """The commits of those lines that are on their streams' refs.

        Not on them is what a rebase superseded, and what other stores did not push.
        """
        wanted = {line.commit for line in lines}
        refs = {STREAMS + encode_name(line.stream) for line in lines}
        tips = sorted(tip for ref in refs if (tip := self._parts.refs.read(ref)) is not None)
        live: set[str] = set()
        for start in range(0, len(tips), _STREAMS_AT_ONCE):
            some = "".join(f"{tip}\n" for tip in tips[start : start + _STREAMS_AT_ONCE])
            try:
                listed = Git(self._parts.layout.root).run(
                    "rev-list", "--stdin", stdin=some.encode()
                )
            except GitFailed as error:
                raise StoreCorrupted(f"a stream is not here as a whole: {error}") from error
            live |= wanted.intersection(listed.decode().split())
        return live

    def _is_elsewhere(self, line: NoteLine) -> bool:
        """Whether a line is of another store: its event is not in the stream as it is here.

        A joined index lists what its stores did not push, or could not because streams forked.
        An event that is only lost is not elsewhere: reading it is an error.
        """
        at = self._parts.refs.read(STREAMS + encode_name(line.stream))
        while at is not None and at != line.commit:
            event = self._parts.objects.read_event(at)
            if event.version <= line.version:
                return True
            at = event.parent
        return at is None

    def _events(
        self, found: list[_Found], type_name: str, start: int | None
    ) -> Iterator[DomainEvent]:
        for one in found:
            row = row_of_commit(self._parts.objects, one.commit, one.position)
            if (row.type, row.stream, row.version) != (type_name, one.stream, one.version):
                raise StoreCorrupted(f"{one.commit} is not {type_name} {one.stream}@{one.version}")
            if start is None or row.time >= start:
                yield recorded(row).event
