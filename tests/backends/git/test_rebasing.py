"""What a rebase makes of one stream: laws over any two tails, without a store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.backends.git.commits import (
    EventCommit,
    check_canonical,
    check_follows,
    committer_date,
    decode_commit,
    encode_commit,
)
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.replaying import Conflict, Plan, plan, replay
from gitstore.backends.git.rows import row_of

SECOND = 1_000_000
SPILLED = b'"%b"' % (b"s" * 9_000)
Tail = list[JournalRow]

FORKS = st.integers(0, 3)
IDS = st.permutations([f"id-{n}" for n in range(8)])


def rows(ids: Sequence[str], onto: JournalRow | None, data: bytes = b"{}") -> Tail:
    """Events with these ids after a row; the content of each follows from its id."""
    made: Tail = []
    for event_id in ids:
        time = int(event_id.rpartition("-")[2]) * SECOND
        version, above, date = (onto.version, onto.commit_id, onto.date) if onto else (0, b"", 0)
        event = EventCommit(
            "s",
            "Noted",
            version + 1,
            time,
            event_id,
            {"userId": "ada"},
            above.hex() or None,
            committer_date(time, date),
        )
        commit = encode_commit(event, data)[-1].id
        onto = row_of(event, commit, 0, data, b'{"userId":"ada"}')
        made.append(onto)
    return made


def tails(fork: int, ours: Sequence[str], theirs: Sequence[str]) -> tuple[Tail, Tail]:
    """Two tails after the same ``fork`` events."""
    trunk = rows([f"trunk-{n}" for n in range(fork)], None)
    end = trunk[-1] if trunk else None
    return rows(ours, end), rows(theirs, end)


def result(found: Plan) -> Tail:
    """The tail that stands afterwards."""
    if found.kept:
        return list(found.ours)
    return [*found.theirs, *replay(found.replayed, found.theirs[-1])[0]]


def ids(some: Sequence[JournalRow]) -> list[str]:
    """Their event ids, in order."""
    return [row.event_id for row in some]


@st.composite
def two_tails(draw: st.DrawFn) -> tuple[Tail, Tail]:
    """Two tails that leave one another right away, with some ids in common."""
    names = draw(IDS)
    ours = names[: draw(st.integers(1, 6))]
    theirs = draw(st.permutations(names))[: draw(st.integers(1, 6))]
    if ours[0] == theirs[0]:
        theirs = ["id-99", *theirs]
    return tails(draw(FORKS), ours, theirs)


@given(two_tails(), st.booleans())
def test_nothing_is_lost_and_nothing_doubled(two: tuple[Tail, Tail], is_even: bool) -> None:
    """Every id of either side stands once, in the order of its side, and versions follow."""
    ours, theirs = two
    found = plan(theirs, ours, is_even=is_even)
    after = result(found)
    assert sorted(ids(after)) == sorted({*ids(ours), *ids(theirs)})
    assert [row.version for row in after] == list(
        range(ours[0].version, ours[0].version + len(after))
    )
    assert found.after == after[-1].version >= found.before
    if not found.kept:
        assert after[: len(theirs)] == theirs
        own = [one for one in ids(ours) if one not in ids(theirs)]
        assert ids(after[len(theirs) :]) == own


@given(two_tails())
def test_replays_are_events_as_the_format_has_them(two: tuple[Tail, Tail]) -> None:
    """Each is canonical, continues what is before it, and names where it was first recorded."""
    ours, theirs = two
    found = plan(theirs, ours, is_even=False)
    placed, commits = replay(found.replayed, theirs[-1])
    first = {row.event_id: row.commit_id for row in ours}
    before = theirs[-1]
    for row, commit in zip(placed, commits, strict=True):
        event = decode_commit(commit.content)
        assert check_canonical(commit.id, event, row.data) == row.metadata
        check_follows(event, before.date)
        assert row_of(event, commit.id, 0, row.data, row.metadata) == row
        assert (row.parent, row.origin) == (before.commit_id, first[row.event_id])
        before = row


@given(two_tails())
def test_an_event_keeps_its_first_origin(two: tuple[Tail, Tail]) -> None:
    """However often it is replayed, it names the commit that recorded it first."""
    ours, theirs = two
    once = replay(ours, theirs[-1])[0]
    again = replay(once, rows(["id-77"], theirs[-1])[-1])[0]
    assert [row.origin for row in again] == [row.commit_id for row in ours]


@given(two_tails())
def test_both_sides_come_to_the_same_end(two: tuple[Tail, Tail]) -> None:
    """Two stores that rebase at once onto each other, and then again, have the same tip."""
    ours, theirs = two
    here = result(plan(theirs, ours, is_even=True))
    there = result(plan(ours, theirs, is_even=True))
    if here[0].commit_id == there[0].commit_id:  # a tie: both chose the same at once
        assert here == there
        return
    ends = [result(plan(there, here, is_even=True)), result(plan(here, there, is_even=True))]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("is_even", [True, False], ids=["store", "plain repository"])
def test_of_equal_tails_the_smaller_tip_stands_among_stores(is_even: bool) -> None:
    """Against a plain repository theirs stands, for it moves by pushes only."""
    one, other = tails(1, ["id-1", "id-2"], ["id-2", "id-1"])
    smaller, larger = sorted((one, other), key=lambda tail: tail[-1].commit_id)
    assert plan(larger, smaller, is_even=is_even).kept is is_even
    assert not plan(smaller, larger, is_even=is_even).kept
    assert result(plan(smaller, larger, is_even=is_even)) == smaller


def test_an_id_with_two_contents_is_a_conflict() -> None:
    """Neither event may take the other's place: the id is named."""
    ours, theirs = tails(0, ["id-1", "id-2"], ["id-3", "id-2"])
    theirs[1] = theirs[1]._replace(data=b'{"other":1}')
    with pytest.raises(Conflict, match="id-2") as caught:
        plan(theirs, ours, is_even=True)
    assert caught.value.event_id == "id-2"


def test_spilled_data_is_not_written_again() -> None:
    """A replay is its commit alone; the blob and the tree it names are those of the old one."""
    ours = rows(["id-1"], None, SPILLED)
    theirs = rows(["id-2"], None)
    placed, commits = replay(ours, theirs[-1])
    assert [item.kind for item in commits] == ["commit"]
    assert placed[0].data == SPILLED
    old = encode_commit(decode_commit(commits[0].content)._replace(origin=None), SPILLED)
    assert decode_commit(commits[0].content).tree == old[1].id
