"""Taking in the streams of a remote: those that continue ours recorded, forks rebased if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitstore.backends.git.adopting import Adopter, Candidate, Checked, in_order
from gitstore.backends.git.arrivals import Arrivals
from gitstore.backends.git.filling import fill
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rebasing import Rebased, Rebaser, RebaseRule, Verdict
from gitstore.backends.git.relating import Relation
from gitstore.backends.git.rows import recorded
from gitstore.backends.git.upkeep import Upkeep
from gitstore.core.findings import Progress
from gitstore.core.subscriptions import Subscriptions

_MANY_OBJECTS = 20_000
_MANY_STREAMS = 4_000
"""From so many on it pays to start other processes for the checks."""
_NOTHING: Mapping[str, int] = {}


@dataclass(slots=True)
class Adoption:
    """What became of the tips of a remote's streams.

    - ``adopted``: streams that moved on here, each with its version before and after.
    - ``diverged``: streams in which both sides recorded something after the last common event, and
      that are still as they were.
    - ``refused``: full names of refs, each with what is wrong with its history.
    - ``rebased``: streams that had diverged, and whose histories are one now.
    - ``conflicts``: those of ``diverged`` that were to be rebased and could not be, and why.
    """

    adopted: dict[str, tuple[int, int]] = field(default_factory=dict)
    diverged: dict[str, Relation] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    rebased: dict[str, Rebased] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """How many events came that were not here before."""
        continued = sum(after - before for before, after in self.adopted.values())
        return continued + sum(one.after - one.before for one in self.rebased.values())


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run is to do.

    ``rebase``: which diverged streams are rebased, ``None`` for none. ``dry_run``: nothing is
    recorded. ``is_new``: the store is being made, see ``Exchange.adopt``.
    """

    progress: Progress
    rebase: RebaseRule | None = None
    dry_run: bool = False
    is_new: bool = False


class TakingIn:
    """One run over a remote's tips; what comes of it is in ``adoption``."""

    def __init__(
        self,
        parts: Parts,
        flusher: Flusher,
        upkeep: Upkeep,
        subscriptions: Subscriptions,
        wish: Wish,
    ) -> None:
        self.adoption = Adoption()
        self._parts = parts
        self._flusher = flusher
        self._upkeep = upkeep
        self._subscriptions = subscriptions
        self._wish = wish
        self._rebaser = Rebaser(parts, flusher, wish.rebase or RebaseRule(), self._enqueue)

    def take_in(self, tips: Mapping[str, str], incoming: Incoming) -> dict[str, str]:
        """One round; gives the tips of streams in which something was recorded meanwhile."""
        adopter = Adopter(self._parts, self._flusher, self._enqueue)
        is_large = incoming.count() >= _MANY_OBJECTS or len(tips) >= _MANY_STREAMS
        apart = incoming.folder if is_large else None
        rule = self._wish.rebase
        with Arrivals(apart / "rows.db" if apart else None) as arrivals:
            checked = adopter.check(
                tips,
                incoming.objects,
                arrivals,
                self._wish.progress,
                apart,
                rule.wants if rule else lambda _stream: False,
            )
            self.adoption.refused.update(checked.refused)
            self.adoption.diverged.update(checked.diverged.values())
            if self._wish.dry_run:
                return self._foresee(arrivals, checked)
            if len(checked.known) < len(tips):
                incoming.keep()
            if self._wish.is_new and apart and checked.candidates:
                self._fill(arrivals, checked)
                return {}
            return self._record(adopter, arrivals, checked) | self._rebase(arrivals, checked)

    def _foresee(self, arrivals: Arrivals, checked: Checked) -> dict[str, str]:
        for one in checked.candidates.values():
            self.adoption.adopted[one.stream] = (one.chain.first - 1, one.chain.last)
        left: dict[str, str] = {}
        for fork in checked.forks.values():
            left |= self._note(fork, self._rebaser.foresee(fork, arrivals))
        return left

    def _fill(self, arrivals: Arrivals, checked: Checked) -> None:
        chains = checked.candidates.values()
        self._wish.progress("Recording events", 0, sum(one.chain.last for one in chains))
        with self._upkeep.still(), self._parts.write_lock.held():
            fill(self._parts, arrivals, {one.stream: one.tip for one in chains})
        self.adoption.adopted.update({one.stream: (0, one.chain.last) for one in chains})

    def _record(self, adopter: Adopter, arrivals: Arrivals, checked: Checked) -> dict[str, str]:
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
                before, after = self.adoption.adopted.get(stream, (begin, begin))
                self.adoption.adopted[stream] = (before, after + count)
            done += len(rows)
            self._wish.progress("Recording events", done, total)
        if chains:
            self._upkeep.forget_heads()
        return {chains[stream].name: chains[stream].tip for stream in passed}

    def _rebase(self, arrivals: Arrivals, checked: Checked) -> dict[str, str]:
        forks = in_order(checked.forks)
        done = 0
        left: dict[str, str] = {}
        while done < len(forks):
            with self._upkeep.still():
                verdicts = self._rebaser.record(forks[done:], arrivals)
            self._upkeep.forget_heads()
            self._subscriptions.deliver()
            for verdict in verdicts:
                left |= self._note(forks[done], verdict)
                done += 1
            self._wish.progress("Rebasing streams", done, len(forks))
        return left

    def _note(self, fork: Candidate, verdict: Verdict) -> dict[str, str]:
        """Take over what became of a fork; gives its tip where it has to be checked again."""
        if verdict.left:
            self.adoption.conflicts[fork.stream] = verdict.left
            return {}
        del self.adoption.diverged[fork.stream]
        if verdict.refused:
            self.adoption.refused[fork.name] = verdict.refused
        elif verdict.rebased:
            self.adoption.rebased[fork.stream] = verdict.rebased
        else:
            return {fork.name: fork.tip}
        return {}

    def _enqueue(self, rows: Sequence[JournalRow], was: Mapping[str, int] = _NOTHING) -> None:
        if self._subscriptions:
            self._subscriptions.enqueue(recorded(row, was.get(row.event_id)) for row in rows)
