"""Comparing: where our streams and those of another store agree, are ahead, or forked.

Nothing is written into the other, and nothing of it is adopted. Streams whose tips are equal are
equal, and not read; of those that forked, both sides are searched for events they share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Literal, NamedTuple

from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import Relation, State, head_of_stream, read_tip, relate
from gitstore.backends.git.store import GitEventStore
from gitstore.core.errors import EventStoreError, StoreCorrupted, UnsupportedFormat
from gitstore.core.findings import Progress, silent
from gitstore.core.names import decode_name, encode_name, is_hashed
from gitstore.sync.others import Basis, Other, open_other
from gitstore.sync.shared import shared

_EVERY = 100

ComparedState = State | Literal["behind-or-diverged"]
"""``behind-or-diverged``: they have events that are not here; only a fetch can tell which."""


class StreamNotFound(EventStoreError):
    """A stream that was to be compared is on neither side. ``stream``: its name."""

    hint = "`sc-events streams` lists them."

    def __init__(self, stream: str) -> None:
        self.stream = stream
        super().__init__(f"there is no stream {stream!r}, here or there")


class Compared(NamedTuple):
    """One stream: the fields of a ``Relation``, ``None`` where only a fetch can tell.

    - ``stream``: its name; the encoded one where that is a hash, and only a fetch tells the true
      one.
    - ``same``: how many of the ``ahead`` are among the ``behind`` as well, by id and content, on
      other parents: what a rebase leaves behind, and the next one drops.
    """

    stream: str
    state: ComparedState
    ahead: int | None
    behind: int | None
    fork: int | None
    same: int | None = 0

    @property
    def is_known(self) -> bool:
        """Whether all is known that a fetch could tell."""
        return self.behind is not None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How all streams, or those asked for, stand.

    - ``other``: what ours were compared with, as it was named.
    - ``basis``: ``objects``: its own repository, now. ``fetch``: what was just fetched from it.
      ``last fetch``: what is tracked of a remote since ``fetched`` (``None``: not known when).
      ``never fetched`` (a remote) and ``tips``: its refs, now, without their commits.
    - ``streams``: by name.
    - ``odd``: refs there that are of no stream, with what is wrong with each.
    """

    other: str
    basis: Basis
    fetched: datetime | None
    streams: tuple[Compared, ...]
    odd: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether both hold the same."""
        return not self.odd and all(one.state == "identical" for one in self.streams)

    @property
    def summary(self) -> dict[ComparedState, int]:
        """How many streams are in each of the states that occur, sorted by state."""
        return dict(sorted(Counter(one.state for one in self.streams).items()))


def compare(
    store: GitEventStore,
    other: str,
    *,
    fetch: bool = False,
    streams: Collection[str] | None = None,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """How our streams stand to those of ``other``: a remote's name, a path, or a URL.

    A remote is compared as of the last fetch, another repository of this machine as it is now, and
    of anything else the refs alone are looked at. ``fetch``: fetch first, so that all can be told;
    it moves what is tracked of a remote, nothing else. ``streams``: only these. ``timeout``:
    seconds of silence after which the other end is given up.

    Raises ``StoreNotFound`` where ``other`` is nothing, ``UnsupportedFormat`` where it is no event
    store, or one of another format, ``RemoteFailed`` where it cannot be reached,
    ``StreamNotFound`` where one of ``streams`` is on neither side, and ``ValueError`` where they
    are a bare text.
    """
    _check_names(streams)  # before anything is fetched
    with open_other(store, other, fetch_first=fetch, timeout=timeout, progress=progress) as opened:
        return compare_with(store, opened, streams, progress)


def compare_with(
    store: GitEventStore,
    other: Other,
    streams: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """``compare`` for what is open already."""
    _check_names(streams)
    return store.examine(lambda parts: _Comparer(parts, other, progress).run(streams))


def _check_names(streams: Collection[str] | None) -> None:
    if isinstance(streams, str):  # a collection, too: of its characters
        raise ValueError(f"streams must be several names, such as [{streams!r}], not a text")


class _Comparer:
    """One run over all streams."""

    def __init__(self, parts: Parts, other: Other, progress: Progress | None) -> None:
        self._parts = parts
        self._other = other
        self._progress = progress or silent
        self._odd = dict(other.odd)

    def run(self, streams: Collection[str] | None) -> Comparison:
        found = self._all(streams)
        found.sort(key=itemgetter(0))
        other = self._other
        return Comparison(other.shown, other.basis, other.fetched, tuple(found), self._odd)

    def _all(self, streams: Collection[str] | None) -> list[Compared]:
        left = dict(self._other.tips)
        ours = list(_our_tips(self._parts, streams))
        if streams is not None:
            names = {STREAMS + encode_name(stream): stream for stream in streams}
            left = {name: tip for name, tip in left.items() if name in names}
            self._odd = {name: why for name, why in self._odd.items() if name in names}
            here = {stream for stream, _, _ in ours}
            for name, stream in names.items():
                if stream not in here and name not in left and name not in self._odd:
                    raise StreamNotFound(stream)
        found: list[Compared] = []
        unequal: list[tuple[str, str, str]] = []
        for stream, version, commit in ours:
            name = STREAMS + encode_name(stream)
            tip = left.pop(name, None)
            if tip == commit.hex():
                found.append(Compared(stream, "identical", 0, 0, version))
            elif tip is not None:
                unequal.append((name, tip, stream))
            elif name not in self._odd:
                found.append(Compared(stream, *Relation.of(version, 0, 0)))
        unequal += [(name, tip, "") for name, tip in left.items()]
        return found + list(self._read(unequal))

    def _read(self, unequal: Sequence[tuple[str, str, str]]) -> Iterator[Compared]:
        """Ref, tip and our stream (none: empty), where something must be read."""
        for done, (name, tip, stream) in enumerate(unequal):
            if done % _EVERY == 0:
                self._progress("Comparing streams", done, len(unequal))
            try:
                yield self._differing(stream, tip) if stream else self._only_there(name, tip)
            except IndexDamaged:
                raise  # it is not theirs that is in doubt
            except (StoreCorrupted, UnsupportedFormat) as error:
                self._odd[name] = str(error)

    def _differing(self, stream: str, tip: str) -> Compared:
        if not self._other.holds(tip):
            return Compared(stream, "behind-or-diverged", None, None, None, None)
        read = self._other.objects.read
        relation = relate(self._parts, stream, tip, read)
        if relation.state != "diverged":
            return Compared(stream, *relation)
        same = sum(1 for _ in shared(self._parts, stream, tip, relation, read))
        return Compared(stream, *relation, same)

    def _only_there(self, name: str, tip: str) -> Compared:
        if self._other.holds(tip):
            event = read_tip(name, tip, self._other.objects.read)
            return Compared(event.stream_id, *Relation.of(0, event.version, 0))
        encoded = name.removeprefix(STREAMS)
        stream = decode_name(encoded)
        if stream is None and not is_hashed(encoded):
            raise StoreCorrupted("no stream has a ref of this name")
        return Compared(stream or encoded, "only-there", 0, None, 0)


def _our_tips(parts: Parts, streams: Collection[str] | None) -> Iterable[tuple[str, int, bytes]]:
    """``(stream, version, commit id)`` of where our streams end, flushed or not."""
    if streams is not None:
        heads = ((stream, head_of_stream(parts, stream)) for stream in set(streams))
        return [(stream, head.version, head.commit) for stream, head in heads if head.version]
    # The journal first: what leaves it meanwhile is in the index by then.
    waiting = {stream: head_of_stream(parts, stream) for stream in parts.journal.streams()}
    tips = parts.index.tips()
    if not waiting:
        return tips
    found = {stream: (stream, version, commit) for stream, version, commit in tips}
    for stream, head in waiting.items():
        if head.version > found.get(stream, (stream, 0, b""))[1]:
            found[stream] = (stream, head.version, head.commit)
    return found.values()
