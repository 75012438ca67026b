"""Both sides of one stream after its fork, next to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from gitstore.backends.git.commits import check_canonical
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.relating import read_commit
from gitstore.backends.git.rows import recorded, row_of_commit
from gitstore.backends.git.store import GitEventStore
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import StoreCorrupted
from gitstore.core.event import RecordedEvent
from gitstore.core.names import encode_name
from gitstore.sync.comparing import Compared
from gitstore.sync.others import Other

Side = Literal["ours", "theirs"]


class Pair(NamedTuple):
    """What each side has at one version after the fork; ``None``: it ends before."""

    version: int
    ours: RecordedEvent | None
    theirs: RecordedEvent | None


class FieldDifference(NamedTuple):
    """One field in which two contents differ: ``data.title``; a side that lacks it is not there."""

    name: str
    values: Mapping[Side, JSON]


class Twins(NamedTuple):
    """One event id that has two contents: ours, in any stream, and theirs."""

    ours: RecordedEvent
    theirs: RecordedEvent
    fields: tuple[FieldDifference, ...]


class Sides:
    """The two sides of a stream that was compared, where both can be read.

    Read as they are asked for; of theirs the commit ids after the fork are held. Raises
    ``StoreCorrupted`` where theirs cannot be read, or is no history of the stream.
    """

    def __init__(self, store: GitEventStore, other: Other, compared: Compared) -> None:
        assert compared.fork is not None, "their side is not known"
        self._store = store
        self._objects = other.objects
        self._stream = compared.stream
        self._fork = compared.fork
        self._last = compared.fork + (compared.ahead or 0)
        self._theirs = self._chain(other.tips, compared.behind or 0)

    def pairs(self) -> Iterator[Pair]:
        """Version by version from the fork on."""
        ours = self._store.read_stream(self._stream, self._fork, self._last)
        count = max(self._last - self._fork, len(self._theirs))
        for at in range(count):
            theirs = self._their_event(at) if at < len(self._theirs) else None
            yield Pair(self._fork + at + 1, next(ours, None), theirs)

    def twins(self) -> Iterator[Twins]:
        """Their events after the fork whose ids stand for something else here."""
        for at in range(len(self._theirs)):
            theirs = self._their_event(at)
            ours = self._store.find_event(theirs.event.id or "")
            fields = tuple(_differences(ours, theirs)) if ours else ()
            if ours and fields:
                yield Twins(ours, theirs, fields)

    def _chain(self, tips: Mapping[str, str], count: int) -> list[str]:
        """Their commits after the fork, oldest first."""
        chain: list[str] = []
        at = tips.get(STREAMS + encode_name(self._stream))
        for version in range(self._fork + count, self._fork, -1):
            event = read_commit(self._stream, at or "", self._objects.read)
            if event.version != version:
                raise StoreCorrupted(f"commit {at} has version {event.version}, not {version}")
            chain.append(at or "")
            at = event.parent
        return chain[::-1]

    def _their_event(self, at: int) -> RecordedEvent:
        commit = self._theirs[at]
        event = self._objects.read_event(commit)
        check_canonical(commit, event, self._objects.read_data(event))
        return recorded(row_of_commit(self._objects, commit, 0))


def _differences(ours: RecordedEvent, theirs: RecordedEvent) -> Iterator[FieldDifference]:
    here, there = _fields(ours), _fields(theirs)
    for name in {**here, **there}:
        values: dict[Side, JSON] = {}
        if name in here:
            values["ours"] = here[name]
        if name in there:
            values["theirs"] = there[name]
        forms = {canonical.encode(value) for value in values.values()}  # 1, 1.0 and true differ
        if len(values) < 2 or len(forms) > 1:
            yield FieldDifference(name, values)


def _fields(recorded: RecordedEvent) -> dict[str, JSON]:
    """The event's content by field, an object's keys each by itself."""
    whole = recorded.event.to_dict()
    del whole["id"]
    fields: dict[str, JSON] = {}
    for name, value in whole.items():
        if name in {"data", "metadata"} and isinstance(value, dict):
            fields.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            fields[name] = value
    return fields
