"""Taking foreign history in: what passes every check is recorded, as if it were appended here.

First every chain is checked and its rows put aside, without a lock; then they are recorded in
chunks, in one stable order over all of them. Where something was recorded here meanwhile, each
chunk is held once more against what it continues: what was acknowledged here is never displaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from gitstore.backends.git.arrivals import Arrivals, Chain
from gitstore.backends.git.chains import new_rows, stream_of_ref
from gitstore.backends.git.findings import Progress, silent
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.journal import JournalDamaged
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import Relation, head_of_stream
from gitstore.core.errors import (
    EventStoreError,
    InvalidEvent,
    StoreCorrupted,
    StoreUnavailable,
    UnsupportedFormat,
)

_IDS_AT_ONCE = 500
_EVERY = 100
_FAULTS = (StoreCorrupted, UnsupportedFormat, InvalidEvent)
"""What a foreign chain raises; but so do our own journal and index where they are damaged."""


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

    ``candidates``: by number of the chain; ``known``: refs whose tips are in our own chain;
    ``diverged``: refs, with stream and relation; ``refused``: refs, with what is wrong.
    """

    candidates: dict[int, Candidate] = field(default_factory=dict)
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
        self._seen = -1
        """The highest position given when the rows were last held against what is here."""

    def check(
        self,
        tips: Mapping[str, str],
        objects: Objects,
        arrivals: Arrivals,
        progress: Progress = silent,
    ) -> Checked:
        """Check the chains of stream refs' ``tips``; the rows of those that pass are put aside.

        ``objects``: where foreign commits are read. Needs no lock.
        """
        self._seen = self._parts.journal.highest()[1]
        checked = Checked()
        for number, name in enumerate(sorted(tips)):
            if not number % _EVERY:
                progress("Checking streams", number, len(tips))
            try:
                self._check(name, tips[name], objects, arrivals, checked)
            except (IndexDamaged, JournalDamaged):
                raise  # it is not the tip that is in doubt
            except _FAULTS as error:
                checked.refused[name] = _why(error)
        self._refuse_case_twins(checked, arrivals)
        self._refuse_twins(checked, arrivals)
        return checked

    def _check(
        self, name: str, tip: str, objects: Objects, arrivals: Arrivals, checked: Checked
    ) -> None:
        stream = stream_of_ref(objects, name, tip)
        head = head_of_stream(self._parts, stream)
        chain = arrivals.take(new_rows(objects, stream, tip, head, self._is_ours))
        if chain is None:
            checked.known.append(name)
        elif chain.first == head.version + 1:
            checked.candidates[chain.number] = Candidate(name, tip, stream, chain)
        else:
            arrivals.drop(chain.number)
            relation = Relation.of(head.version, chain.last, chain.first - 1)
            checked.diverged[name] = (stream, relation)

    def _is_ours(self, stream: str, version: int, commit: str) -> bool:
        rows = self._parts.journal.stream_page(stream, version - 1, version, 1, backwards=False)
        found = rows[0].commit_id if rows else self._parts.index.commit_at(stream, version)
        return found is not None and found.hex() == commit

    def _refuse_case_twins(self, checked: Checked, arrivals: Arrivals) -> None:
        """Leave out new streams that the file system takes for another; the first one stays."""
        if not self._parts.folds_case:
            return
        names = [*self._parts.journal.streams(), *self._parts.index.streams(None)]
        folded = {name.casefold(): name for name in names}
        for candidate in _in_order(checked):
            twin = folded.setdefault(candidate.stream.casefold(), candidate.stream)
            if twin != candidate.stream:
                why = f"it differs from {twin!r} in case only, which this file system cannot hold"
                _refuse(candidate, why, checked, arrivals)

    def _refuse_twins(self, checked: Checked, arrivals: Arrivals) -> None:
        """Leave out streams with an event id that stands for another event, here or among them.

        Among them the stream that begins first stays.
        """
        twins: dict[int, str] = {}
        for some in arrivals.ids(_IDS_AT_ONCE):
            taken = self._taken([(event_id, commit) for event_id, commit, _ in some])
            twins.update((number, event_id) for event_id, _, number in some if event_id in taken)
        for number, twin in twins.items():
            _refuse_twin(checked.candidates[number], twin, checked, arrivals)
        ids: dict[int, list[str]] = {}
        for event_id, number in arrivals.twins():
            ids.setdefault(number, []).append(event_id)
        seen: set[str] = set()
        for candidate in _in_order(checked):
            own = ids.get(candidate.chain.number, [])
            first = _first_twin(own, seen)
            if first is None:
                seen.update(own)
            else:
                _refuse_twin(candidate, first, checked, arrivals)

    def _taken(self, ids: Sequence[tuple[str, bytes]]) -> set[str]:
        """Those of at most 500 event ids, each of a commit, that stand for another one here."""
        wanted = dict(ids)
        rows = self._parts.journal.by_ids(list(wanted))
        found = [(row.event_id, row.commit_id) for row in rows]
        found += self._parts.index.commits_of(list(wanted)).items()
        return {event_id for event_id, commit in found if wanted[event_id] != commit}

    def record(
        self, rows: Sequence[JournalRow], tips: Mapping[str, str], passed: set[str]
    ) -> Mapping[str, int]:
        """Record a chunk of what was put aside; gives how many events came into which stream.

        The flush lock is held. ``tips``: where the refs of streams may stand already. ``passed``:
        streams that are left out; those to which something else was recorded meanwhile are added,
        and have to be checked again.

        Raises ``StoreUnavailable`` where the feed cannot be moved; nothing is recorded then.
        """
        journal = self._parts.journal
        self._flusher.flush()
        with self._parts.write_lock.held():
            # Once more, with nothing coming meanwhile: arrival order needs what waits in front.
            self._flusher.flush(write_locked=True)
            last = journal.highest()[1]
            if last > journal.state().listed:
                raise StoreUnavailable(
                    "nothing can be taken in: what was recorded here could not be moved into git",
                    hint="Nothing is lost: `sc-events status` says what is in the way.",
                )
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
        for start in range(0, len(rows), _IDS_AT_ONCE):
            some = rows[start : start + _IDS_AT_ONCE]
            taken = self._taken([(row.event_id, row.commit_id) for row in some])
            yield from (row.stream for row in some if row.event_id in taken)


def _in_order(checked: Checked) -> list[Candidate]:
    """The candidates in a stable order: that of their first new events."""
    return sorted(checked.candidates.values(), key=lambda c: (c.chain.date, c.stream))


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


def _refuse(candidate: Candidate, why: str, checked: Checked, arrivals: Arrivals) -> None:
    del checked.candidates[candidate.chain.number]
    arrivals.drop(candidate.chain.number)
    checked.refused[candidate.name] = why


def _why(error: EventStoreError) -> str:
    newer = "it was written by a newer version: " if isinstance(error, UnsupportedFormat) else ""
    return f"{newer}{error}"
