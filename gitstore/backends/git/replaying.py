"""What a rebase makes of one stream: their history as it is, and then what only we recorded.

Nothing is read or written here. FORMAT.md, "Between stores", is normative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitstore.backends.git.commits import EventCommit, GitObject, committer_date, encode_commit
from gitstore.backends.git.journalschema import JournalRow
from gitstore.core import canonical


class Conflict(Exception):
    """An event id stands for one event here and for another there: neither may be dropped."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"event id {event_id!r} stands for another event there")
        self.event_id = event_id


class Plan(NamedTuple):
    """How two tails of a stream become one.

    ``theirs`` and ``ours``: the rows after the last common event, by version, at least one each.
    ``replayed``: those of ours that theirs has not, in their order. ``kept``: both have the same
    events, in another order, and ours stands.
    """

    theirs: Sequence[JournalRow]
    ours: Sequence[JournalRow]
    replayed: Sequence[JournalRow]
    kept: bool

    @property
    def before(self) -> int:
        """The version at which our stream ends without the rebase."""
        return self.ours[-1].version

    @property
    def after(self) -> int:
        """The version at which it ends with it."""
        return self.before if self.kept else self.theirs[-1].version + len(self.replayed)


def plan(theirs: Sequence[JournalRow], ours: Sequence[JournalRow], *, is_even: bool) -> Plan:
    """Plan the rebase of ``ours`` onto ``theirs``: rows after the last common event, at least one.

    ``is_even``: the other end rebases too. Then of two tails with the same events the one whose tip
    has the smaller id stands, on both sides; else theirs does. Raises ``Conflict`` where an event
    of ours has the id of another of theirs.
    """
    there = {row.event_id: row for row in theirs}
    replayed = []
    for row in ours:
        twin = there.get(row.event_id)
        if twin is None:
            replayed.append(row)
        elif _content(twin) != _content(row):
            raise Conflict(row.event_id)
    same = not replayed and len(ours) == len(theirs)
    kept = same and is_even and ours[-1].commit_id < theirs[-1].commit_id
    return Plan(theirs, ours, replayed, kept)


def replay(
    rows: Sequence[JournalRow], onto: JournalRow
) -> tuple[list[JournalRow], list[GitObject]]:
    """The same events after the event ``onto``, as rows at position 0, and their commits.

    Spilled data is in git already. Each names the commit by which it was first recorded.
    """
    placed: list[JournalRow] = []
    commits: list[GitObject] = []
    last = onto
    for row in rows:
        date = committer_date(row.time, last.date)
        origin = row.origin or row.commit_id
        event = EventCommit(
            row.stream,
            row.type,
            last.version + 1,
            row.time,
            row.event_id,
            canonical.decode_own(row.metadata),
            last.commit_id.hex(),
            date,
            origin=origin.hex(),
        )
        commits.append(encode_commit(event, row.data)[-1])
        last = row._replace(
            position=0,
            version=event.version,
            commit_id=bytes.fromhex(commits[-1].id),
            parent=last.commit_id,
            date=date,
            origin=origin,
        )
        placed.append(last)
    return placed, commits


def _content(row: JournalRow) -> tuple[str, int, bytes, bytes]:
    return row.type, row.time, row.data, row.metadata
