"""Rebase: our events of a diverged stream replayed on top of theirs, so that neither side is lost.

Planned first from what was checked; then, under both locks and with everything flushed, planned
again from what is here by now, and recorded. The old tip is kept under ``refs/superseded/`` before
anything else, and one feed commit lists the whole of a stream: so a reader finds the stream as it
was or as it is, and whoever finds a rebase half done finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gitstore.backends.git.adopting import IDS_AT_ONCE, Candidate, held_commits, settled
from gitstore.backends.git.arrivals import AT_ONCE, BYTES_AT_ONCE, Arrivals
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import commit_at
from gitstore.backends.git.replaying import Conflict, Plan, plan, replay
from gitstore.backends.git.rows import row_of_commit
from gitstore.backends.git.superseding import keep_tips

OnRecorded = Callable[[Sequence[JournalRow], Mapping[str, int]], None]
"""Called with rows, and the positions that events among them, by id, had until then."""


@dataclass(frozen=True, slots=True)
class RebaseRule:
    """What a rebase is to do.

    ``streams``: those to rebase where they diverged; ``None``: all. ``is_even``: the other end is a
    store that rebases too, and not a repository that only moves by pushes.
    """

    streams: Collection[str] | None = None
    is_even: bool = False

    def wants(self, stream: str) -> bool:
        """Whether the stream is to be rebased where it diverged."""
        return self.streams is None or stream in self.streams


class Rebased(NamedTuple):
    """A stream whose two histories are one now.

    ``fork``: the last version that both had. ``theirs``: events taken in after it; ``replayed``:
    events of ours recorded again after those; ``dropped``: events of ours that theirs has too.
    ``before`` and ``after``: the version at which our stream ended and ends. ``kept``: both sides
    had the same events, and ours stands; the other side takes it over when it pulls.
    """

    fork: int
    theirs: int
    replayed: int
    dropped: int
    before: int
    after: int
    kept: bool = False


class Verdict(NamedTuple):
    """What became of a fork: ``rebased``, or why it is ``left`` as it is, or ``refused``.

    Nothing of these where something else was recorded meanwhile: then it has to be checked again.
    """

    rebased: Rebased | None = None
    left: str = ""
    refused: str = ""


class Rebaser:
    """Plans and records rebases, of one run."""

    def __init__(
        self, parts: Parts, flusher: Flusher, rule: RebaseRule, on_recorded: OnRecorded
    ) -> None:
        self._parts = parts
        self._flusher = flusher
        self._rule = rule
        self._on_recorded = on_recorded

    def foresee(self, fork: Candidate, arrivals: Arrivals) -> Verdict:
        """What would become of a fork; nothing is recorded, and no lock is needed."""
        if fork.stream in self._flusher.contested:
            return Verdict(left=self._why_stuck(fork.stream))
        found = self._plan(fork, arrivals)
        return found if isinstance(found, Verdict) else Verdict(_rebased(found))

    def record(self, forks: Sequence[Candidate], arrivals: Arrivals) -> list[Verdict]:
        """Rebase the first of some forks, as many as make a batch; the flush lock is held.

        Gives their verdicts, at least one. Raises ``StoreUnavailable`` where the feed cannot be
        moved; nothing is recorded then.
        """
        with settled(self._parts, self._flusher) as last:
            verdicts, plans = self._plan_batch(forks, arrivals)
            tips = {stream: plan.ours[-1].commit_id.hex() for stream, plan in plans.items()}
            for stream, why in keep_tips(self._parts.refs, tips).items():
                del plans[stream], tips[stream]
                verdicts[stream] = Verdict(left=f"its old tip could not be kept: {why}")
            if plans:
                self._record(plans, tips, last)
        return list(verdicts.values())

    def _plan_batch(
        self, forks: Sequence[Candidate], arrivals: Arrivals
    ) -> tuple[dict[str, Verdict], dict[str, Plan]]:
        """Verdicts of as many forks as make a batch, by stream; and what of it is to be recorded.

        Whole streams, so a single long one makes a batch of its own.
        """
        verdicts: dict[str, Verdict] = {}
        plans: dict[str, Plan] = {}
        count = size = 0
        for fork in forks:
            found = self._plan_settled(fork, arrivals)
            if isinstance(found, Verdict):
                verdicts[fork.stream] = found
                continue
            rows = [*found.theirs, *found.replayed]
            count += len(rows)
            size += sum(len(row.data) for row in rows)
            if plans and (count > AT_ONCE or size > BYTES_AT_ONCE):
                break
            verdicts[fork.stream] = Verdict(_rebased(found))
            if not found.kept:
                plans[fork.stream] = found
        return verdicts, plans

    def _plan_settled(self, fork: Candidate, arrivals: Arrivals) -> Plan | Verdict:
        stuck = self._parts.journal.stream_page(fork.stream, 0, 2**63 - 1, 1, backwards=False)
        return Verdict(left=self._why_stuck(fork.stream)) if stuck else self._plan(fork, arrivals)

    def _plan(self, fork: Candidate, arrivals: Arrivals) -> Plan | Verdict:
        theirs = arrivals.of_chain(fork.chain.number)
        ours = self._tail(fork.stream, fork.chain.first - 1)
        if not ours or not self._is_fork(theirs[0], ours[0]):
            return Verdict()
        taken = self._taken(theirs, ours)
        if taken is not None:
            return Verdict(refused=f"event id {taken!r} stands for another event")
        try:
            return plan(theirs, ours, is_even=self._rule.is_even)
        except Conflict as conflict:
            return Verdict(left=str(conflict))

    def _tail(self, stream: str, fork: int) -> list[JournalRow]:
        """Our rows after a version; parents and dates may be missing."""
        # The journal first: what leaves it meanwhile is in the index by then.
        waiting = self._parts.journal.stream_page(stream, fork, 2**63 - 1, -1, backwards=False)
        rows = [
            row
            if isinstance(row, JournalRow)
            else row_of_commit(self._parts.objects, row[1].hex(), row[0])
            for row in self._parts.index.tail(stream, fork)
        ]
        end = rows[-1].version if rows else fork
        return rows + [row for row in waiting if row.version > end]

    def _is_fork(self, theirs: JournalRow, ours: JournalRow) -> bool:
        """Whether our stream still leaves theirs right before these events."""
        if theirs.commit_id == ours.commit_id:
            return False
        before = commit_at(self._parts, theirs.stream, theirs.version - 1)
        return before == (theirs.parent.hex() if theirs.parent else None)

    def _taken(self, theirs: Sequence[JournalRow], ours: Sequence[JournalRow]) -> str | None:
        """The first event id of theirs that stands for an event outside our tail."""
        tail = {row.commit_id for row in ours}
        for start in range(0, len(theirs), IDS_AT_ONCE):
            some = [row.event_id for row in theirs[start : start + IDS_AT_ONCE]]
            held = held_commits(self._parts, some)
            for event_id in some:
                if event_id in held and held[event_id] not in tail:
                    return event_id
        return None

    def _why_stuck(self, stream: str) -> str:
        why = self._flusher.contested.get(stream, "its ref cannot be moved")
        return f"its last events could not be moved into git: {why}"

    def _record(self, plans: Mapping[str, Plan], tips: Mapping[str, str], last: int) -> None:
        """Record rebases in one batch after position ``last``; ``tips``: where streams end now."""
        rows: list[JournalRow] = []
        commits: list[GitObject] = []
        was: dict[str, int] = {}
        for one in plans.values():
            replayed, made = replay(one.replayed, one.theirs[-1])
            commits += made
            was.update((row.event_id, row.position) for row in one.ours)
            for row in (*one.theirs, *replayed):
                rows.append(row._replace(position=last + len(rows) + 1))
        self._flusher.rebase(rows, commits, tips)
        self._on_recorded(rows, was)


def _rebased(found: Plan) -> Rebased:
    dropped = 0 if found.kept else len(found.ours) - len(found.replayed)
    return Rebased(
        found.theirs[0].version - 1,
        len(found.theirs),
        len(found.replayed),
        dropped,
        found.before,
        found.after,
        found.kept,
    )
