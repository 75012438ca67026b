"""The thorough look at what rebases superseded: all of it is here, and kept by refs of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from gitstore.backends.git.commits import EventCommit, check_canonical
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.layout import FEED, SUPERSEDED
from gitstore.backends.git.parts import Parts
from gitstore.core.errors import EventStoreError, StoreCorrupted
from gitstore.core.findings import Finding
from gitstore.core.names import encode_name

_PAGE = 1_000
_NO_END = 2**63 - 1


class SupersededWalk:
    """Looks at superseded commits, when all streams have been looked at.

    ``live``: commit → ``stream@version`` of every event on a stream; ``rebuildable``: commits that
    the index can give again.
    """

    def __init__(self, parts: Parts, live: Mapping[str, str], rebuildable: Set[str]) -> None:
        self._parts = parts
        self._live = live
        self._rebuildable = rebuildable
        self.commits: dict[str, str] = {}
        """Commit → ``stream@version`` of every event that only refs of superseded tips keep."""
        self._listed: dict[int, str] = {}
        self._gone: set[int] = set()

    def chain(self, name: str, tip: str) -> Iterator[Finding]:
        """What is wrong with a chain, from the tip that ``name`` keeps down to what is known."""
        leaf = name.removeprefix(SUPERSEDED).rpartition("/")[0]
        at: str | None = tip
        place = "a tip"
        while at is not None and at not in self._live and at not in self.commits:
            try:
                event = self._event(at)
            except EventStoreError as error:
                yield self._lost(place, at, str(error), name)
                return
            if encode_name(event.stream_id) != leaf:
                return  # the ref is named by itself
            self.commits[at] = f"{event.stream_id}@{event.version}"
            place, at = f"{event.stream_id}@{event.version - 1}", event.parent
        if at is not None and place not in ("a tip", self._live.get(at), self.commits.get(at)):
            yield Finding("stream", f"{at} should be {place}", name, commit=at)

    def entry(self, entry: FeedEntry) -> Iterator[Finding]:
        """What is wrong with a superseded event that the feed lists."""
        self._listed[entry.position] = entry.commit
        place = f"{entry.stream_id}@{entry.version}"
        if place in (self.commits.get(entry.commit), self._live.get(entry.commit)):
            return
        try:
            event = self._event(entry.commit)
            if f"{event.stream_id}@{event.version}" != place:
                raise StoreCorrupted(f"its commit is {event.stream_id}@{event.version}")
        except EventStoreError as error:
            self._gone.add(entry.position)
            yield self._lost(place, entry.commit, str(error), FEED)
        else:
            message = f"{place} at position {entry.position}, which a rebase superseded, has no ref"
            ref = f"{SUPERSEDED}{encode_name(entry.stream_id)}"
            yield Finding("stream", message, ref, entry.stream_id, entry.commit, repairable=True)

    def index(self) -> Iterator[Finding]:
        """Whether the index has superseded what the feed says, when all entries were looked at."""
        left, after, more = dict(self._listed), 0, 0
        while page := self._parts.index.raw_page(after, _NO_END, _PAGE):
            for row in page:
                if row[14] is not None and left.pop(row[0], None) != row[6].hex():
                    more += 1
            after = page[-1][0]
        for position in self._gone:  # said already
            left.pop(position, None)
        if left or more:
            message = f"of what rebases superseded it lacks {len(left)} events, and has {more} more"
            yield Finding("index", message, repairable=True)

    def _event(self, commit: str) -> EventCommit:
        event = self._parts.objects.read_event(commit)
        check_canonical(commit, event, self._parts.objects.read_data(event))
        return event

    def _lost(self, place: str, commit: str, why: str, ref: str) -> Finding:
        message = f"{place}, which a rebase superseded, is lost: {why}"
        stream = place.rpartition("@")[0] or None
        return Finding("stream", message, ref, stream, commit, commit in self._rebuildable)
