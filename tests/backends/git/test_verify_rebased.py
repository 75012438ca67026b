"""``verify`` of stores that were rebased: live and superseded events against git and feed."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from gitstore.backends.git import feed
from gitstore.backends.git.checking_rows import RowWalk
from gitstore.backends.git.feed import FeedEntry
from gitstore.backends.git.findings import Doubt
from gitstore.backends.git.indexschema import StreamHead
from gitstore.backends.git.inspecting import inspect
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rows import place as place_row
from gitstore.core.findings import Finding, VerifyReport, silent
from gitstore.core.idempotence import Proposal
from tests.backends.git.breaking import look
from tests.backends.git.rebasing import copied, noted, rebase, rebased
from tests.backends.git.witness import git, picture, reopen


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rebased store that nobody changes."""
    return rebased(tmp_path_factory.mktemp("rebased") / "events.git")


@pytest.fixture
def store(template: Path, place: Path) -> Path:
    """A copy of it."""
    return copied(template, place)


def sql(store: Path, *statements: str) -> None:
    """Change ``index.db`` behind everybody's back."""
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db, db:
        for statement in statements:
            assert db.execute(statement).rowcount, statement


def fast_look(store: Path) -> None:
    """The fast look alone; raises what it doubts."""
    with reopen(store) as opened:
        walk = RowWalk(opened._parts, silent)
        walk.go()
        listed = git(store, "for-each-ref", "--format=%(refname) %(objectname)")
        refs = dict(line.split(" ") for line in listed.splitlines())
        ours = ("refs/feed", "refs/streams/", "refs/superseded/")
        walk.finish({name: at for name, at in refs.items() if name.startswith(ours)})


def test_a_rebased_store_is_sound_and_stays_as_it_is(store: Path) -> None:
    """Nothing is found, superseded events are counted apart, git's own stays; deep too."""
    before = picture(store)
    fast_look(store)
    with reopen(store) as opened:
        for deep in (False, True):
            report = opened.verify(deep=deep)
            assert report.findings == ()
            assert (report.events, report.superseded, report.streams) == (19, 11, 3)
    assert picture(store) == before


def test_the_thorough_look_finds_nothing_either(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes the fast look doubt is no reason for the thorough one to call a rebase damage."""
    first = Finding("index", "a doubt about nothing")

    def doubting(walk: RowWalk, refs: object) -> None:
        raise Doubt(first)

    with reopen(store) as opened:
        monkeypatch.setattr(RowWalk, "finish", doubting)
        report = opened.verify()
    assert report.findings == (first,)
    assert (report.events, report.superseded) == (19, 11)


SUPERSEDED = {
    "position": "UPDATE superseded SET position = 99 WHERE position = 9",
    "stream": "UPDATE superseded SET stream = 1 + stream % 3 WHERE position = 9",
    "version": "UPDATE superseded SET version = 4 WHERE position = 9",
    "type": "INSERT INTO words VALUES(99, 'Forged')",
    "time": "UPDATE superseded SET time = time + 1000 WHERE position = 9",
    "event id": "UPDATE superseded SET event_id = 'forged' WHERE position = 9",
    "commit": "UPDATE superseded SET commit_id = zeroblob(20) WHERE position = 9",
    "user": "UPDATE superseded SET user = NULL WHERE position = 9",
    "correlation": "UPDATE superseded SET correlation = user WHERE position = 9",
    "data": "UPDATE superseded SET data = x'7b2264223a397d' WHERE position = 9",
    "data of a spilled event": "UPDATE superseded SET data = x'7b7d' WHERE position = 12",
    "metadata": "UPDATE superseded SET metadata = x'7b7d' WHERE position = 9",
    "origin, where it is none": "UPDATE superseded SET origin = commit_id WHERE position = 9",
    "origin, where it is one": "UPDATE superseded SET origin = NULL WHERE position = 16",
    "origin of another": "UPDATE superseded SET origin = commit_id WHERE position = 16",
    "origin cut short": "UPDATE superseded SET origin = x'12' WHERE position = 16",
    "successor": "UPDATE superseded SET superseded_by = 26 WHERE position = 9",
    "a later successor": "UPDATE superseded SET superseded_by = 27 WHERE position = 9",
    "an earlier successor": "UPDATE superseded SET superseded_by = 2 WHERE position = 9",
    "a successor beyond": "UPDATE superseded SET superseded_by = 9000 WHERE position = 17",
    "successor as a text": "UPDATE superseded SET superseded_by = 'x' WHERE position = 9",
    "tip": "UPDATE superseded SET tip = zeroblob(20) WHERE position = 9",
    "the tip of another rebase": "UPDATE superseded SET tip = "
    "(SELECT tip FROM superseded WHERE position = 16) WHERE position = 9",
    "a row": "DELETE FROM superseded WHERE position = 9",
    "every row": "DELETE FROM superseded",
    "the last row of a rebase": "DELETE FROM superseded WHERE position = 17",
    "origin of a live one": "UPDATE events SET origin = NULL WHERE position = 28",
    "a head": "UPDATE streams SET version = 8 WHERE name = 'task-1'",
}


@pytest.mark.parametrize("what", SUPERSEDED)
def test_every_column_is_held_against_git_and_feed(store: Path, what: str) -> None:
    """A value changed by SQL is found, although every page is sound, and a repair puts it right."""
    before = look(store)
    sql(store, SUPERSEDED[what])
    if what == "type":
        sql(store, "UPDATE superseded SET type = 99 WHERE position = 9")
    with pytest.raises(Doubt):
        fast_look(store)
    report = inspect(store)
    assert not report.ok
    assert all(finding.repairable for finding in report.findings), report.findings
    assert_mended(store, before)


MOVES = {
    "a live row among the superseded": "INSERT INTO superseded SELECT *, 30, commit_id "
    "FROM events WHERE position = 6; DELETE FROM events WHERE position = 6",
    "a superseded row among the live": "INSERT INTO events SELECT position, stream, version + 90, "
    "type, time, 'other', commit_id, user, correlation, data, metadata, origin "
    "FROM superseded WHERE position = 9; DELETE FROM superseded WHERE position = 9",
    "a row of a rebase among the superseded": "INSERT INTO superseded SELECT *, 29, commit_id "
    "FROM events WHERE position = 28; DELETE FROM events WHERE position = 28",
    "a row in both": "INSERT INTO superseded SELECT *, 29, commit_id FROM events "
    "WHERE position = 28",
}


@pytest.mark.parametrize("what", MOVES)
def test_a_row_in_the_wrong_table_is_found(store: Path, what: str) -> None:
    """Which events are live is what the feed's order gives, and nothing else."""
    before = look(store)
    sql(store, *MOVES[what].split(";"))
    with pytest.raises(Doubt):
        fast_look(store)
    assert_mended(store, before)


def test_a_rebase_that_was_never_indexed_as_one_is_found(store: Path) -> None:
    """The whole of a rebase taken back in the index: the feed still says what is live."""
    before = look(store)
    sql(
        store,
        "DELETE FROM events WHERE stream = (SELECT id FROM streams WHERE name = 'a/b') "
        "AND version > 1",
        "UPDATE events SET event_id = 'first' WHERE position = 19",
    )
    with pytest.raises(Doubt):
        fast_look(store)
    assert_mended(store, before)


REFS = {
    "a lost ref": ("refs/superseded/task-1/1", None),
    "a ref moved back": ("refs/superseded/task-1/2", "refs/superseded/task-1/2~3"),
    "a tip of another stream": ("refs/superseded/other/1", "refs/streams/task-1"),
    "a name that is not encoded": ("refs/superseded/a/b/1", "refs/superseded/a%2Fb/1"),
    "a name without a number": ("refs/superseded/other/x", "refs/streams/other"),
    "no event": ("refs/superseded/other/1", "refs/feed"),
}


@pytest.mark.parametrize("what", REFS)
def test_refs_of_superseded_tips_are_checked(store: Path, what: str) -> None:
    """Each is an event of the stream it is named for, and every superseded tip has one."""
    name, to = REFS[what]
    if to is None:
        git(store, "update-ref", "-d", name)
    else:
        git(store, "update-ref", name, git(store, "rev-parse", to).strip())
    report = inspect(store)
    assert {finding.kind for finding in report.findings} == {"stream"}
    assert any(name.startswith(finding.ref or "?") for finding in report.findings)


@pytest.mark.parametrize("what", ["a lost ref", "a ref moved back"])
def test_a_ref_that_kept_a_tip_is_put_back(store: Path, what: str) -> None:
    """From what the index knows of rebases; then plain git keeps those commits again."""
    test_refs_of_superseded_tips_are_checked(store, what)
    tip = git(store, "log", "--format=%H", "-1", "refs/superseded/task-1/2").strip()
    assert inspect(store, repair=True).ok
    kept = git(store, "for-each-ref", "--format=%(objectname)", "refs/superseded").split()
    assert tip in kept
    with reopen(store) as opened:
        wanted = {tip for _, tip in opened._parts.index.superseded_tips()}
    assert wanted <= set(kept)


def test_a_rebase_that_lost_an_event_is_found(store: Path) -> None:
    """An event that was superseded and stands nowhere since is gone for readers: never silence."""
    with reopen(store) as opened:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.backends.git.rebasing._replayed", _forgetting)
            rebase(opened, "other", 5, [noted("other", "t", 1)])
        assert [e.event.id for e in opened.read_stream("other")][-2:] == ["t", "forgotten"]
        report = opened.verify()
    assert not report.ok


def _forgetting(parts: Parts, _: object, head: StreamHead, position: int) -> object:
    """In place of a replay: another event."""
    proposal = Proposal.of(noted("other", "forgotten", 1))
    return place_row(proposal, head, position, parts.stamper)


def test_liveness_is_told_from_the_last_line_back() -> None:
    """An entry is live whose version is below all that came after it in its stream."""
    lines = [("s", 1), ("t", 1), ("s", 2), ("s", 3), ("s", 2), ("t", 2), ("s", 3), ("s", 4)]
    entries = [FeedEntry(n, "T", s, v, "") for n, (s, v) in enumerate(lines, 1)]
    live = feed.Liveness()
    assert [e.position for e in entries[::-1] if live.is_live(e)] == [8, 7, 6, 5, 2, 1]


def assert_mended(store: Path, before: object) -> None:
    """A repair puts everything back: what readers are given, and the index as it was."""
    report: VerifyReport = inspect(store, repair=True)
    assert report.ok, report.findings
    assert report.repaired
    assert look(store) == before
    fast_look(store)
