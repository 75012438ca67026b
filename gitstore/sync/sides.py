"""Both sides of one stream after its fork, next to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from gitstore.backends.git.commits import check_canonical
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.relating import Relation
from gitstore.backends.git.rows import recorded, row_of_commit
from gitstore.backends.git.store import GitEventStore
from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.event import RecordedEvent
from gitstore.core.names import encode_name
from gitstore.sync.comparing import Compared
from gitstore.sync.others import Other
from gitstore.sync.shared import Shared, shared, their_tail

Side = Literal["ours", "theirs"]


class Pair(NamedTuple):
    """What each side has at one version after the fork; ``None``: it ends before.

    ``there``, ``here``: the version at which the other side has the same event as well: theirs has
    ours at ``there``, ours has theirs at ``here``. ``None`` where it has not.
    """

    version: int
    ours: RecordedEvent | None
    theirs: RecordedEvent | None
    there: int | None = None
    here: int | None = None


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

    Read as they are asked for; held are the ids of their commits after the fork, and of events that
    both have. Raises ``StoreCorrupted`` where theirs cannot be read, or is no history of the
    stream.
    """

    def __init__(self, store: GitEventStore, other: Other, compared: Compared) -> None:
        ahead, behind, fork = compared.ahead, compared.behind, compared.fork
        assert ahead is not None, "their side is not known"
        assert behind is not None, "their side is not known"
        assert fork is not None, "their side is not known"
        self._store = store
        self._objects = other.objects
        self._stream, self._fork, self._last = compared.stream, fork, fork + ahead
        tip = other.tips.get(STREAMS + encode_name(compared.stream), "")
        relation = Relation.of(fork + ahead, fork + behind, fork)
        self._theirs = self._chain(tip, relation)
        self._shared = self._both_have(tip, relation) if compared.same else []

    def pairs(self) -> Iterator[Pair]:
        """Version by version from the fork on."""
        ours = self._store.read_stream(self._stream, self._fork, self._last)
        there = {one.ours: one.theirs for one in self._shared}
        here = {one.theirs: one.ours for one in self._shared}
        count = max(self._last - self._fork, len(self._theirs))
        for at in range(count):
            version = self._fork + at + 1
            theirs = self._their_event(at) if at < len(self._theirs) else None
            yield Pair(version, next(ours, None), theirs, there.get(version), here.get(version))

    def twins(self) -> Iterator[Twins]:
        """Their events after the fork whose ids stand for something else here."""
        for at in range(len(self._theirs)):
            theirs = self._their_event(at)
            ours = self._store.find_event(theirs.event.id or "")
            fields = tuple(_differences(ours, theirs)) if ours else ()
            if ours and fields:
                yield Twins(ours, theirs, fields)

    def _chain(self, tip: str, relation: Relation) -> list[str]:
        """Their commits after the fork, oldest first."""
        tail = their_tail(self._stream, tip, relation, self._objects.read)
        return [commit for commit, _ in tail][::-1]

    def _both_have(self, tip: str, relation: Relation) -> list[Shared]:
        read = self._objects.read
        return self._store.examine(
            lambda parts: list(shared(parts, self._stream, tip, relation, read))
        )

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
    """The event's content by field, an object's keys each by itself; not where it stands."""
    whole = recorded.event.to_dict()
    del whole["id"], whole["version"]
    fields: dict[str, JSON] = {}
    for name, value in whole.items():
        if name in {"data", "metadata"} and isinstance(value, dict):
            fields.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            fields[name] = value
    return fields
