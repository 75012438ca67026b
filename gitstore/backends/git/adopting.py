"""Taking foreign history in: what passes every check is recorded, as if it were appended here.

First every chain is checked and its rows put aside, without a lock; then they are recorded in
chunks, in one stable order over all of them. Where something was recorded here meanwhile, each
chunk is held once more against what it continues: what was acknowledged here is never displaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from gitstore.backends.git.arrivals import Arrivals, Chain
from gitstore.backends.git.chains import FAULTS, new_rows, stream_of_ref, why
from gitstore.backends.git.chainwork import Job, check_apart
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.journal import JournalDamaged
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import Relation, commit_at, head_of_stream
from gitstore.backends.git.rows import NO_HEAD
from gitstore.core.errors import StoreUnavailable
from gitstore.core.findings import Progress, silent

IDS_AT_ONCE = 500
_EVERY = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A foreign tip whose chain passed its checks: ``tip`` of ``stream`` at ref ``name``."""

    name: str
    tip: str
    stream: str
    chain: Chain


@dataclass(slots=True)
class Checked:
    """What becomes of foreign tips, as far as checking says.

    ``candidates``: by number of the chain; ``forks``: the same of diverged streams that are to be
    rebased; ``known``: refs whose tips are in our own chain; ``diverged``: refs, with stream and
    relation; ``refused``: refs, with what is wrong.
    """

    candidates: dict[int, Candidate] = field(default_factory=dict)
    forks: dict[int, Candidate] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    diverged: dict[str, tuple[str, Relation]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Adopter:
    """Checks and records foreign history, of one run.

    ``on_recorded`` is called with rows once they are durable, under the write lock.
    """

    def __init__(
        self,
        parts: Parts,
        flusher: Flusher,
        on_recorded: Callable[[Sequence[JournalRow]], None] = lambda _rows: None,
    ) -> None:
        self._parts = parts
        self._flusher = flusher
        self._on_recorded = on_recorded
        self._rebases: Callable[[str], bool] = lambda _stream: False
        self._seen = -1
        """The highest position given when the rows were last held against what is here."""

    def check(
        self,
        tips: Mapping[str, str],
        objects: Objects,
        arrivals: Arrivals,
        progress: Progress = silent,
        apart: Path | None = None,
        rebases: Callable[[str], bool] = lambda _stream: False,
    ) -> Checked:
        """Check the chains of stream refs' ``tips``; the rows of those that pass are put aside.

        ``objects``: where foreign commits are read. ``apart``: a folder for the files of other
        processes, which check what is new here. ``rebases``: whether a stream is to be rebased
        where it diverged; its rows are kept then too. Needs no lock.
        """
        self._rebases = rebases
        self._seen = self._parts.journal.highest()[1]
        checked = Checked()
        left: list[Job] = []
        for number, name in enumerate(sorted(tips)):
            if not number % _EVERY:
                progress("Checking streams", number, len(tips))
            with _refusing(name, checked):
                job = Job(name, stream_of_ref(objects, name, tips[name]), tips[name])
                head = head_of_stream(self._parts, job.stream) if self._seen else NO_HEAD
                if apart is not None and head is NO_HEAD:
                    left.append(job)
                else:
                    self._check(job, head, objects, arrivals, checked)
        if apart is not None:
            left = _check_apart(left, objects, arrivals, checked, apart)
        for job in left:
            with _refusing(job.name, checked):
                self._check(job, NO_HEAD, objects, arrivals, checked)
        self._refuse_case_twins(checked, arrivals)
        self._refuse_twins(checked, arrivals)
        return checked

    def _check(
        self, job: Job, head: StreamHead, objects: Objects, arrivals: Arrivals, checked: Checked
    ) -> None:
        rows = new_rows(objects, job.stream, job.tip, head, self._is_ours)
        chain = arrivals.take(rows)
        _judge(job, chain, head, checked)
        if chain is not None and job.name in checked.diverged:
            if self._rebases(job.stream):
                checked.forks[chain.number] = Candidate(job.name, job.tip, job.stream, chain)
                arrivals.set_aside(chain.number)
            else:
                arrivals.drop(chain.number)

    def _is_ours(self, stream: str, version: int, commit: str) -> bool:
        return commit_at(self._parts, stream, version) == commit

    def _refuse_case_twins(self, checked: Checked, arrivals: Arrivals) -> None:
        """Leave out new streams that the file system takes for another; the first one stays."""
        if not self._parts.folds_case:
            return
        names = [*self._parts.journal.streams(), *self._parts.index.streams(None)]
        folded = {name.casefold(): name for name in names}
        for candidate in in_order(checked.candidates):
            twin = folded.setdefault(candidate.stream.casefold(), candidate.stream)
            if twin != candidate.stream:
                said = f"it differs from {twin!r} in case only, which this file system cannot hold"
                _refuse(candidate, said, checked, arrivals)

    def _refuse_twins(self, checked: Checked, arrivals: Arrivals) -> None:
        """Leave out streams with an event id that stands for another event, here or among them.

        Among them the stream that begins first stays.
        """
        twins: dict[int, str] = {}
        for some in arrivals.ids(IDS_AT_ONCE) if self._seen else ():
            held = held_commits(self._parts, [event_id for event_id, _, _ in some])
            for event_id, commit, number in some:
                if number in checked.forks:
                    continue  # held against our own tail, which may have it too, when it is planned
                if held.get(event_id, commit) != commit:
                    twins[number] = event_id
                elif event_id in held:
                    self._check_index(checked.candidates[number])
        for number, twin in twins.items():
            _refuse_twin(checked.candidates[number], twin, checked, arrivals)
        ids: dict[int, list[str]] = {}
        for event_id, number in arrivals.twins():
            ids.setdefault(number, []).append(event_id)
        seen: set[str] = set()
        for candidate in in_order({**checked.candidates, **checked.forks}):
            own = ids.get(candidate.chain.number, [])
            first = _first_twin(own, seen)
            if first is None:
                seen.update(own)
            else:
                _refuse_twin(candidate, first, checked, arrivals)

    def _check_index(self, candidate: Candidate) -> None:
        """Raise where the index knows an event of a stream that ends before it, as it says."""
        head = head_of_stream(self._parts, candidate.stream)
        if head.version < candidate.chain.first:  # else another process has just taken it in
            raise IndexDamaged(f"index.db has events of {candidate.stream} after its end")

    def record(
        self, rows: Sequence[JournalRow], tips: Mapping[str, str], passed: set[str]
    ) -> Mapping[str, int]:
        """Record a chunk of what was put aside; gives how many events came into which stream.

        The flush lock is held. ``tips``: where the refs of streams may stand already. ``passed``:
        streams that are left out; those to which something else was recorded meanwhile are added,
        and have to be checked again.

        Raises ``StoreUnavailable`` where the feed cannot be moved; nothing is recorded then.
        """
        with settled(self._parts, self._flusher) as last:
            if last != self._seen:
                passed.update(self._overtaken(rows))
            placed = [
                row._replace(position=last + number)
                for number, row in enumerate((r for r in rows if r.stream not in passed), 1)
            ]
            if placed:
                self._flusher.record(placed, [], tips)
                self._on_recorded(placed)
            # What others recorded may concern the chunks to come as well.
            self._seen = last + len(placed) if last == self._seen else -1
        arrived: dict[str, int] = {}
        for row in placed:
            arrived[row.stream] = arrived.get(row.stream, 0) + 1
        return arrived

    def _overtaken(self, rows: Sequence[JournalRow]) -> Iterator[str]:
        """The streams whose rows no longer continue what is here, or whose ids are taken."""
        first: dict[str, JournalRow] = {}
        for row in rows:
            first.setdefault(row.stream, row)
        for stream, row in first.items():
            head = head_of_stream(self._parts, stream)
            if (head.version, head.commit) != (row.version - 1, row.parent or b""):
                yield stream
        for start in range(0, len(rows), IDS_AT_ONCE):
            some = rows[start : start + IDS_AT_ONCE]
            held = held_commits(self._parts, [row.event_id for row in some])
            yield from (row.stream for row in some if row.event_id in held)


def held_commits(parts: Parts, event_ids: Sequence[str]) -> dict[str, bytes]:
    """The commits here of those of at most ``IDS_AT_ONCE`` event ids that are known."""
    waiting = {row.event_id: row.commit_id for row in parts.journal.by_ids(event_ids)}
    return parts.index.commits_of(event_ids) | waiting


@contextlib.contextmanager
def settled(parts: Parts, flusher: Flusher) -> Iterator[int]:
    """Hold the write lock with all that is recorded listed in the feed; the flush lock is held.

    Gives the highest position. What is stuck, see ``Flusher.contested``, waits in the journal
    still. Raises ``StoreUnavailable`` where the feed cannot be moved.
    """
    flusher.flush()
    with parts.write_lock.held():
        # Once more, with nothing coming meanwhile: arrival order needs what waits in front.
        flusher.flush(write_locked=True)
        last = parts.journal.highest()[1]
        if last > parts.journal.state().listed:
            raise StoreUnavailable(
                "nothing can be taken in: what was recorded here could not be moved into git",
                hint="Nothing is lost: `sc-events status` says what is in the way.",
            )
        yield last


@contextlib.contextmanager
def _refusing(name: str, checked: Checked) -> Iterator[None]:
    """Refuse the ref whose chain fails a check."""
    try:
        yield
    except (IndexDamaged, JournalDamaged):
        raise  # it is not the tip that is in doubt
    except FAULTS as error:
        checked.refused[name] = why(error)


def _check_apart(
    jobs: Sequence[Job], objects: Objects, arrivals: Arrivals, checked: Checked, folder: Path
) -> list[Job]:
    """Let other processes check new streams; gives those that none of them has done."""
    left = dict.fromkeys(jobs)
    for verdict in check_apart(objects, jobs, arrivals, folder):
        del left[verdict.job]
        if verdict.fault:
            checked.refused[verdict.job.name] = verdict.fault
        else:
            _judge(verdict.job, verdict.chain, NO_HEAD, checked)
    return list(left)


def _judge(job: Job, chain: Chain | None, head: StreamHead, checked: Checked) -> None:
    """What becomes of a sound chain, whose stream ends at ``head`` here."""
    if chain is None:
        checked.known.append(job.name)
    elif chain.first == head.version + 1:
        checked.candidates[chain.number] = Candidate(job.name, job.tip, job.stream, chain)
    else:
        relation = Relation.of(head.version, chain.last, chain.first - 1)
        checked.diverged[job.name] = (job.stream, relation)


def in_order(candidates: Mapping[int, Candidate]) -> list[Candidate]:
    """The candidates in a stable order: that of their first new events."""
    return sorted(candidates.values(), key=lambda c: (c.chain.date, c.stream))


def _first_twin(ids: Sequence[str], seen: Set[str]) -> str | None:
    """The first of these ids that was seen before, or stands twice among them."""
    own: set[str] = set()
    for event_id in ids:
        if event_id in seen or event_id in own:
            return event_id
        own.add(event_id)
    return None


def _refuse_twin(candidate: Candidate, twin: str, checked: Checked, arrivals: Arrivals) -> None:
    _refuse(candidate, f"event id {twin!r} stands for another event", checked, arrivals)


def _refuse(candidate: Candidate, said: str, checked: Checked, arrivals: Arrivals) -> None:
    checked.candidates.pop(candidate.chain.number, None)
    checked.forks.pop(candidate.chain.number, None)
    checked.diverged.pop(candidate.name, None)
    arrivals.drop(candidate.chain.number)
    checked.refused[candidate.name] = said
