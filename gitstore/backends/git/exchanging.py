"""Exchange: the inside of a git store for those who bring histories in and take them out.

Nothing here speaks to a remote. What a remote has is fetched into ``incoming()``; ``track`` notes
where its refs stand, and ``adopt`` takes its streams in.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gitstore.backends.disk.files import disk_errors_told
from gitstore.backends.git import checkpointing, typejoining
from gitstore.backends.git.adopting import Adopter, Checked
from gitstore.backends.git.arrivals import Arrivals
from gitstore.backends.git.filling import fill
from gitstore.backends.git.findings import Progress, silent
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import STREAMS, StoreLayout
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import Relation
from gitstore.backends.git.rows import recorded
from gitstore.backends.git.tracking import Tracking
from gitstore.backends.git.upkeep import Upkeep
from gitstore.core.subscriptions import Subscriptions

_LOG = logging.getLogger("gitstore.exchange")
_MANY_OBJECTS = 20_000
_MANY_STREAMS = 4_000
"""From so many on it pays to start other processes for the checks."""


@dataclass(slots=True)
class Adoption:
    """What became of the tips of a remote's streams.

    - ``adopted``: streams that moved on here, each with its version before and after.
    - ``diverged``: streams in which both sides recorded something after the last common event.
    - ``refused``: full names of refs, each with what is wrong with its history.
    """

    adopted: dict[str, tuple[int, int]] = field(default_factory=dict)
    diverged: dict[str, Relation] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """How many events were recorded here."""
        return sum(after - before for before, after in self.adopted.values())


class Exchange:
    """What a store gives to push, pull, clone and compare."""

    def __init__(
        self, parts: Parts, flusher: Flusher, upkeep: Upkeep, subscriptions: Subscriptions
    ) -> None:
        self.parts = parts
        self._flusher = flusher
        self._upkeep = upkeep
        self._subscriptions = subscriptions
        self._tracking = Tracking(parts, upkeep, flusher)

    @property
    def layout(self) -> StoreLayout:
        """Where things lie in the store."""
        return self.parts.layout

    @property
    def contested(self) -> dict[str, str]:
        """Streams whose refs the last flush could not move, and why; they wait in the journal."""
        return dict(self._flusher.contested)

    def tips(self) -> dict[str, str]:
        """Our stream refs, full names, and the commits they stand at, after a flush.

        Raises what ``GitEventStore.flush`` does.
        """
        self._upkeep.flush()
        return self.parts.refs.under(STREAMS)

    def incoming(self) -> Incoming:
        """A place to fetch into, for a ``with`` block."""
        return Incoming(self.parts)

    def adopt(
        self,
        tips: Mapping[str, str],
        source: str,
        incoming: Incoming | None = None,
        progress: Progress | None = None,
        *,
        is_new: bool = False,
    ) -> Adoption:
        """Take in the streams of a remote called ``source``, as far as they pass every check.

        ``tips``: full names under ``refs/streams/`` there, and their commits, which are in the
        store or in ``incoming``; that is kept where anything comes of it. Streams of ours that are
        not among them are left as they are. ``is_new``: the store is being made, nobody else knows
        it, and it is thrown away where this raises or is cut short.

        A stream that continues ours is recorded, as if it were appended here: in an order that
        depends on the events alone, with positions, for followers and subscribers. A ref whose
        history fails a check is kept as ``refs/quarantine/<source>/streams/<name>`` until it is
        in order again. Cut short at any point, a repetition goes on from there.

        Raises ``StoreUnavailable`` where the store cannot be written; what was recorded until then
        stays.
        """
        adoption = Adoption()
        ours = self.parts.refs.under(STREAMS)
        left = {name: tip for name, tip in tips.items() if ours.get(name) != tip}
        with contextlib.ExitStack() as ends:
            ends.enter_context(disk_errors_told(self.layout.root))
            place = incoming or ends.enter_context(self.incoming())
            while left:
                left = self._upkeep.with_sound_index(
                    lambda: self._take_in(left, place, adoption, progress or silent, is_new)  # noqa: B023
                )
        self._tracking.keep_aside(tips, source, adoption.refused)
        return adoption

    def track(
        self, moves: Mapping[str, str | None], seen: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Note where a remote's refs stand; see ``Tracking.track``."""
        return self._upkeep.with_sound_index(lambda: self._tracking.track(moves, seen))

    def incomplete(
        self, commits: Collection[str], whole: Collection[str] | None = None
    ) -> set[str]:
        """Those of these ids that are not here with all they reach; see ``Tracking``."""
        return self._tracking.incomplete(commits, whole)

    def checkpoint(self, machine: str, *, signed: bool) -> checkpointing.Made:
        """Commit where all streams stand; see ``checkpointing.make``."""
        with disk_errors_told(self.layout.root):
            return self._upkeep.with_sound_index(
                lambda: checkpointing.make(self.parts, self._upkeep, machine, signed=signed)
            )

    def join_types(self, theirs: str | None) -> str | None:
        """Bring our type index up to date on top of a remote's, whose objects are here.

        See ``typejoining.join``, for what it gives too; waits for the flush lock.
        """

        def join() -> str | None:
            with self.parts.flush_lock.held():
                return typejoining.join(self.parts, theirs)

        return self._upkeep.with_sound_index(join)

    def _take_in(
        self,
        tips: Mapping[str, str],
        incoming: Incoming,
        adoption: Adoption,
        progress: Progress,
        is_new: bool,
    ) -> dict[str, str]:
        """One round; gives the tips of streams that were appended to meanwhile."""
        adopter = Adopter(self.parts, self._flusher, self._enqueue)
        is_large = incoming.count() >= _MANY_OBJECTS or len(tips) >= _MANY_STREAMS
        apart = incoming.folder if is_large else None
        with Arrivals(apart / "rows.db" if apart else None) as arrivals:
            checked = adopter.check(tips, incoming.objects, arrivals, progress, apart)
            if len(checked.known) < len(tips):
                incoming.keep()
            adoption.refused.update(checked.refused)
            adoption.diverged.update(checked.diverged.values())
            if is_new and apart and checked.candidates:
                self._fill(arrivals, checked, adoption, progress)
                return {}
            return self._record(adopter, arrivals, checked, adoption, progress)

    def _fill(
        self, arrivals: Arrivals, checked: Checked, adoption: Adoption, progress: Progress
    ) -> None:
        chains = checked.candidates.values()
        progress("Recording events", 0, sum(one.chain.last for one in chains))
        with self._upkeep.still(), self.parts.write_lock.held():
            fill(self.parts, arrivals, {one.stream: one.tip for one in chains})
        adoption.adopted.update({one.stream: (0, one.chain.last) for one in chains})

    def _record(
        self,
        adopter: Adopter,
        arrivals: Arrivals,
        checked: Checked,
        adoption: Adoption,
        progress: Progress,
    ) -> dict[str, str]:
        chains = {one.stream: one for one in checked.candidates.values()}
        total = sum(one.chain.last - one.chain.first + 1 for one in chains.values())
        done = 0
        passed: set[str] = set()
        for rows in arrivals.in_order():
            with self._upkeep.still():
                arrived = adopter.record(rows, {}, passed)
            self._subscriptions.deliver()
            for stream, count in arrived.items():
                begin = chains[stream].chain.first - 1
                before, after = adoption.adopted.get(stream, (begin, begin))
                adoption.adopted[stream] = (before, after + count)
            done += len(rows)
            progress("Recording events", done, total)
        if chains:
            self._upkeep.forget_heads()
        return {chains[stream].name: chains[stream].tip for stream in passed}

    def _enqueue(self, rows: Sequence[JournalRow]) -> None:
        if self._subscriptions:
            self._subscriptions.enqueue(map(recorded, rows))
