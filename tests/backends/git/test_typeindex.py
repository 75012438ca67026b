"""The type index: plain git reads it, any way to it gives the same notes, and nothing breaks it."""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git import background, typechecks, typeindex, typenotes
from gitstore.backends.git.gitcommand import ObjectReader
from gitstore.backends.git.layout import FEED, TYPES
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.stamping import Stamper
from gitstore.core.errors import StoreCorrupted
from gitstore.core.names import encode_name
from gitstore.core.timestamps import format_timestamp
from tests.backends.git.test_crash import crash_everywhere
from tests.backends.git.witness import assert_sound, filled, git, leftovers, reopen

DAY = datetime(2026, 11, 23, 8, tzinfo=UTC)


def event(kind: str, stream: str = "task-1", day: int = 0, **shift: float) -> DomainEvent:
    """An event so long after a fixed moment."""
    return DomainEvent(stream, kind, {}, timestamp=DAY + timedelta(days=day, **shift))


def expected(events: Iterable[RecordedEvent]) -> dict[str, str]:
    """Path of each key and its note, worked out from FORMAT.md in the plainest way."""
    days: dict[tuple[str, str], list[tuple[datetime, bytes, int, str]]] = defaultdict(list)
    for recorded in events:
        when = recorded.event.timestamp
        assert when is not None
        line = f"{format_timestamp(when)} {recorded.stream_id}@{recorded.version} {recorded.commit}"
        folder = encode_name(recorded.event.type)
        if re.fullmatch("[0-9a-fA-F]{2}", folder):
            folder = f"%{ord(folder[0]):02X}{folder[1]}"
        place = (when, recorded.stream_id.encode(), recorded.version, line)
        days[folder, when.strftime("%Y-%m-%d").rjust(10, "0")].append(place)
    notes = {}
    for (folder, day), lines in days.items():
        for number, start in enumerate(range(0, len(lines), 1_000), 1):
            name = day if number == 1 else f"{day}.{number}"
            some = sorted(lines[start : start + 1_000])
            notes[f"{folder}/{name}"] = "".join(f"{line}\n" for *_, line in some)
    return notes


def notes(store: Path) -> dict[str, str]:
    """What plain git shows, key by key."""
    names = git(store, "ls-tree", "-r", "--name-only", TYPES).splitlines()
    keys = [name for name in names if re.search(r"/\d{4}-\d\d-\d\d(\.\d+)?$", name)]
    listed = git(store, "notes", "--ref=types", "list").split()
    assert len(listed) == 2 * len(keys), "a note for each key, and no other"
    return {k: git(store, "notes", "--ref=types", "show", f"notes/types:{k}") for k in keys}


def tree(store: Path) -> str:
    """The id of the notes tree: equal notes, equal tree."""
    return git(store, "rev-parse", f"{TYPES}^{{tree}}").strip()


def check(opened: GitEventStore) -> list[str]:
    """What is wrong with the type index."""
    with opened._parts.flush_lock.held():
        return list(typechecks.check_types(opened._parts))


def rebuilt(store: Path) -> str:
    """The notes tree after a rebuild from the first event on."""
    with reopen(store) as opened, opened._parts.flush_lock.held():
        typeindex.rebuild(opened._parts)
    return tree(store)


def assert_right(store: Path) -> None:
    """Every event is listed once and where it belongs, and a rebuild gives the same tree."""
    with reopen(store) as opened:
        opened.index_types()
        events = list(opened.read_all())
        assert check(opened) == []
    assert notes(store) == expected(events)
    subject, _, feed = git(store, "log", "-1", "--format=%s%n%b", TYPES).strip().partition("\n")
    assert subject == f"complete to position {events[-1].position}"
    assert feed == f"Feed: {git(store, 'rev-parse', FEED).strip()}"
    assert rebuilt(store) == tree(store)
    assert not git(store, "fsck", "--strict", "--no-dangling", "--no-progress").strip()
    assert leftovers(store) == []


def test_plain_git_shows_a_types_events_of_a_day(tmp_path: Path) -> None:
    """The command of the README, after nothing but an append and a close."""
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        opened.append(event("TaskShifted"))
        first = opened.append(event("TaskOpened", "task-A b@2", microseconds=5))
        second = opened.append(event("TaskOpened", "task-2", hours=-3))
    shown = git(store, "notes", "--ref=types", "show", "notes/types:TaskOpened/2026-11-23")
    assert shown == (
        f"2026-11-23T05:00:00.000Z task-2@1 {second.commit}\n"
        f"2026-11-23T08:00:00.000005Z task-A b@2@1 {first.commit}\n"
    )
    assert git(store, "cat-file", "-p", "notes/types:TaskOpened/2026-11-23") == (
        "TaskOpened 2026-11-23\n"
    )


HOSTILE = ["ab", "AB", "0f", "7" * 40, "a/b", "Ünï", "x" * 200, "é" * 200, ".git", "..", "-x",
           "git~1", "Foo-gabc1234", "a.lock", "@{1}", "HEAD", "a:b", "%61b"]  # fmt: skip


def test_types_that_git_could_take_for_something_else(tmp_path: Path) -> None:
    """Names of two and of forty hex digits, of git's own files, of revisions."""
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        for round_ in range(2):
            for number, kind in enumerate(HOSTILE):
                opened.append(event(kind, f"task {number} @1", hours=-number))
            if round_ == 0:
                opened.index_types()
    assert_right(store)
    before = git(store, "rev-parse", TYPES), notes(store)
    git(store, "notes", "--ref=types", "prune")
    git(store, "gc", "--quiet", "--prune=now")
    git(store, "pack-refs", "--all")
    assert (git(store, "rev-parse", TYPES), notes(store)) == before
    with reopen(store) as opened:
        opened.append(event("ab"))
    assert_right(store)


def test_a_day_is_continued(tmp_path: Path) -> None:
    """A note has 1,000 lines at most, whichever way they came; later times may come earlier."""
    store, other = tmp_path / "events.git", tmp_path / "other.git"
    many = [replace(event("Many", f"task-{n % 7}", seconds=-n), id=f"id-{n}") for n in range(2_500)]
    with reopen(store) as opened:
        for first in range(0, 2_500, 300):
            opened.append_many(many[first : first + 300])
            opened.index_types()
    with reopen(other) as opened:
        opened.append_many(many)
    names = ["Many/2026-11-23", "Many/2026-11-23.2", "Many/2026-11-23.3"]
    assert list(notes(store)) == names
    assert [text.count("\n") for text in notes(store).values()] == [1_000, 1_000, 500]
    assert git(store, "cat-file", "-p", f"notes/types:{names[2]}") == "Many 2026-11-23.3\n"
    assert_right(store)
    assert tree(store) == tree(other)


_STEPS = st.lists(
    st.one_of(
        st.lists(
            st.tuples(
                st.sampled_from(["One", "ab", "Zwölf"]),
                st.sampled_from(["task-1", "task 2@1", "x"]),
                st.integers(-2, 1),
                st.integers(-3, 3),
            ),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from(["flush", "index", "reopen", "lose"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25)
@given(steps=_STEPS)
def test_updates_equal_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[str, str, int, int]] | str]
) -> None:
    """Any sequence of appends, flushes, updates and closes gives the notes of one rebuild."""
    store = tmp_path_factory.mktemp("law") / "events.git"
    opened = reopen(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gitstore.backends.git.typetree.MOST_LINES", 3)
        patch.setattr(typechecks, "MOST_LINES", 3)
        patch.setattr(typeindex, "AT_ONCE", 4)
        patch.setattr(typeindex, "_PAGE", 3)
        for step in [*steps, [("One", "x", 0, 0)]]:
            if isinstance(step, list):
                opened.append_many([event(k, s, d, microseconds=m) for k, s, d, m in step])
            elif step == "flush":
                opened.flush()
            elif step == "index":
                opened.index_types()
            elif step == "lose":
                git(store, "update-ref", "-d", TYPES)
            else:
                opened.close()
                opened = reopen(store)
        opened.index_types()
        count = opened.last_position()
        assert check(opened) == []
        opened.close()
        assert sum(text.count("\n") for text in notes(store).values()) == count
        updated = tree(store)
        assert rebuilt(store) == updated


def test_times_at_the_ends_of_the_calendar(tmp_path: Path) -> None:
    """Years 1 and 9999, and before 1970, where git has no dates."""
    store = tmp_path / "events.git"
    times = [datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC),
             datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]  # fmt: skip
    with reopen(store) as opened:
        for moment in times:
            opened.append(DomainEvent("task-1", "Old", {}, timestamp=moment))
        opened.index_types()
        assert check(opened) == []
    assert list(notes(store)) == ["Old/0001-01-01", "Old/1969-12-31", "Old/9999-12-31"]
    assert notes(store)["Old/9999-12-31"].startswith("9999-12-31T23:59:59.999999Z task-1@2 ")


def _delete(store: Path) -> None:
    git(store, "update-ref", "-d", TYPES)


def _move_away(store: Path) -> None:
    git(store, "update-ref", TYPES, "refs/streams/task-1")


def _edit(store: Path) -> None:
    git(store, "-c", "user.name=a", "-c", "user.email=a@b", "notes", "--ref=types", "add",
        "-m", "mine", "refs/streams/task-1")  # fmt: skip


def _move_back(store: Path) -> None:
    git(store, "update-ref", TYPES, f"{TYPES}~1")


def _point_at_a_tree(store: Path) -> None:
    (store / TYPES).unlink()
    (store / TYPES).write_text(git(store, "rev-parse", "main^{tree}"))


def _write_rubbish(store: Path) -> None:
    (store / TYPES).unlink()
    (store / TYPES).write_text("ref: refs/heads/main\n")


def _claim_another_feed(store: Path) -> None:
    text = git(store, "cat-file", "commit", TYPES)
    at = git(store, "rev-parse", f"{FEED}~1").strip()
    forged = re.sub("Feed: .*", f"Feed: {at}", text)
    made = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).strip()
    git(store, "update-ref", TYPES, made)


def _empty_a_note(store: Path) -> None:
    blob = git(store, "hash-object", "-w", "--stdin").strip()
    lines = git(store, "ls-tree", "-r", TYPES).splitlines()
    changed = [re.sub("blob [0-9a-f]{40}", f"blob {blob}", line) for line in lines]
    index = {"GIT_INDEX_FILE": str(store.parent / "index"), "GIT_DIR": str(store)}
    for command, given_ in ((["update-index", "--index-info"], "\n".join(changed)),):
        subprocess.run(["git", *command], input=given_, text=True, check=True, env=index | _PATH)
    made = subprocess.run(
        ["git", "write-tree"], check=True, env=index | _PATH, capture_output=True, text=True
    ).stdout.strip()
    text = git(store, "cat-file", "commit", TYPES)
    forged = re.sub("tree .*", f"tree {made}", text, count=1)
    commit = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).strip()
    git(store, "update-ref", TYPES, commit)


_PATH = {"PATH": "/usr/bin:/bin:/usr/local/bin"}
DAMAGE = [_delete, _move_away, _edit, _move_back, _point_at_a_tree, _write_rubbish,
          _claim_another_feed, _empty_a_note]  # fmt: skip


@pytest.mark.parametrize("spoil", DAMAGE, ids=lambda spoil: spoil.__name__)
def test_what_others_do_to_the_ref_is_made_good(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Deleted, moved, edited, forged: the next update has every event.

    It descends from what is there exactly where that is an index all of whose lines it has.
    """
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        for number in range(12):
            opened.append(event("Noted", f"task-{number % 3}", number % 2))
            opened.flush()
            opened.index_types()
    spoil(store)
    at = git(store, "rev-parse", "-q", "--verify", f"{TYPES}^{{commit}}", check=False).strip()
    with reopen(store) as opened:
        opened.append(event("Noted"))
        opened.index_types()
        if spoil is _empty_a_note:  # what looks like ours is held against the events by verify
            assert check(opened)
            with opened._parts.flush_lock.held():
                typeindex.rebuild(opened._parts)
    assert_right(store)
    above = git(store, "rev-list", TYPES).split()
    assert (at in above) == (spoil in (_move_back, _claim_another_feed))


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    """A missing line, one of no event, and disorder are told apart; being behind is not wrong."""
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        lines = [opened.append(event("Noted", f"task-{n}", seconds=n)).commit for n in range(3)]
        opened.index_types()
        with opened._parts.flush_lock.held():
            for change, said in (
                (lambda text: text.partition("\n")[2], "lacks 1 lines"),
                (lambda text: text + text.replace("task-0", "task-9"), "of no event"),
                (lambda text: "".join(reversed(text.splitlines(keepends=True))), "in order"),
            ):
                typeindex.rebuild(opened._parts)
                _replace_note(store, change)
                assert any(said in finding for finding in typechecks.check_types(opened._parts))
        assert len(lines) == 3
    git(store, "update-ref", "-d", TYPES)
    with reopen(store) as opened:
        assert check(opened) == []
        opened.index_types()
        opened.append(event("Noted"))
        opened.flush()
        assert check(opened) == []


def _replace_note(store: Path, change: Callable[[str], str]) -> None:
    listed = git(store, "notes", "--ref=types", "list").split()
    text = change(git(store, "cat-file", "blob", listed[0]))
    blob = git(store, "hash-object", "-w", "--stdin", stdin=text).strip()
    key = listed[1]
    note = f"100644 blob {blob}\t{key[2:]}\n"
    part = git(store, "mktree", stdin=note).strip()
    root = git(store, "ls-tree", TYPES)
    root = re.sub(rf"tree [0-9a-f]+\t{key[:2]}\n", f"tree {part}\t{key[:2]}\n", root)
    made = git(store, "mktree", stdin=root).strip()
    forged = re.sub("tree .*", f"tree {made}", git(store, "cat-file", "commit", TYPES), count=1)
    commit = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).strip()
    git(store, "update-ref", TYPES, commit)


def test_death_at_any_step_of_an_update(place: Path) -> None:
    """Kill -9 between any two steps: nothing is left over, and the next update is right."""
    template = place / "template.git"
    before = filled(template)
    deaths = crash_everywhere(template, place / "deaths", "types")
    assert any("notes/types" in step for step, _, _ in deaths)
    for _, store, acks in deaths[-30:]:
        assert_sound(store, [*before, *acks])
        assert_right(store)


class Clock:
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = DAY

    def __call__(self) -> datetime:
        return self.now


def test_a_large_store_does_not_pay_for_each_command(tmp_path: Path) -> None:
    """Closing writes where 1 % is missing or a minute has gone by; a small store always."""
    store = tmp_path / "events.git"
    clock = Clock()

    def command(number: int = 1) -> str:
        with GitEventStore.open(store, stamper=Stamper(clock=clock)) as opened:
            opened.append_many([event("Noted", f"task-{n}") for n in range(number)])
        return git(store, "log", "-1", "--format=%s", TYPES).strip()

    assert command() == "complete to position 1"
    assert command(999) == "complete to position 1000"
    assert command() == "complete to position 1000"
    clock.now += timedelta(seconds=61)
    assert command() == "complete to position 1002"
    assert command(10) == "complete to position 1002"
    assert command() == "complete to position 1013"


def test_a_failure_to_write_it_fails_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Derived data: closing goes on and says so; asked for by name it is an error."""
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        opened.append(event("Noted"))
    git(store, "update-ref", "-d", TYPES)
    (store / TYPES / "in").mkdir(parents=True)
    (store / TYPES / "in" / "the-way").write_text("x")
    with reopen(store) as opened:
        opened.append(event("Noted"))
    assert "the type index is behind" in caplog.text
    with reopen(store) as opened, pytest.raises(Exception, match="could not be moved"):
        opened.index_types()


def test_a_long_process_keeps_it_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the background, some time after an append, without a close; in both flush modes."""
    monkeypatch.setattr(background, "_LATER", 0.3)
    for mode in ("background", "append"):
        store = tmp_path / f"{mode}.git"
        with reopen(store, flush=mode) as opened:
            for number in (1, 2):
                opened.append(event("Noted"))
                _wait_for(store, f"complete to position {number}")


def _wait_for(store: Path, subject: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if git(store, "log", "-1", "--format=%s", TYPES, check=False).strip() == subject:
            return
    raise AssertionError(f"never {subject}")


def test_moving_it_looks_like_no_stream_moved(tmp_path: Path) -> None:
    """Else each update would have all stream refs looked through."""
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        opened.append_many([event("Noted", f"task-{n}") for n in range(300)])
        opened.flush()
        before = opened._parts.refs.signature()
        opened.index_types()
        assert opened._parts.refs.signature() == before == opened._parts.journal.state().refs


def test_streams_that_wait_are_not_left_out_later(tmp_path: Path) -> None:
    """A ref that cannot be moved holds the index below its event, not the event out of it."""
    store = tmp_path / "events.git"
    with reopen(store) as opened:
        opened.append(event("Noted", "task-1"))
        opened.flush()
        (store / "refs/streams/task-2.lock").touch()  # a git process, for two seconds and more
        opened.append(event("Noted", "task-2"))
        opened.append(event("Noted", "task-3"))
    assert git(store, "log", "-1", "--format=%s", TYPES).strip() == "complete to position 1"
    (store / "refs/streams/task-2.lock").unlink()
    assert_right(store)


def test_it_travels_by_plain_pushes_and_fetches(tmp_path: Path) -> None:
    """Without force, there and back, update after update."""
    store, remote, clone = (tmp_path / name for name in ("events.git", "remote.git", "clone.git"))
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    subprocess.run(["git", "init", "--quiet", "--bare", str(clone)], check=True)
    for number in range(3):
        with reopen(store) as opened:
            opened.append(event("Noted", day=number))
            if number == 2:
                git(store, "update-ref", TYPES, "main")  # and a rebuild after that is one too
                git(store, "update-ref", TYPES, git(remote, "rev-parse", TYPES).strip())
        git(store, "push", "--quiet", str(remote), f"{TYPES}:{TYPES}")
        git(clone, "fetch", "--quiet", str(remote), f"{TYPES}:{TYPES}")
    assert len(notes(clone)) == 3
    assert notes(clone) == notes(store)


def test_lines_in_their_form_are_read_back() -> None:
    """What is written is what is read; rubbish is refused."""
    line = typenotes.line_of(-1, "a b@2 c", 7, b"\x0f" * 20)
    text = typenotes.encode_note([line])
    assert text == b"1969-12-31T23:59:59.999999Z a b@2 c@7 " + b"0f" * 20 + b"\n"
    assert list(typenotes.decode_note(text)) == [(-1, "a b@2 c", 7, "0f" * 20)]
    assert typenotes.split_note(text) == [line]
    for rubbish in (b"x\n", text[1:], text.replace(b"@7", b""), text.replace(b"-12-", b"-13-")):
        with pytest.raises(Exception, match="not in its form"):
            list(typenotes.decode_note(rubbish))


def test_the_reader_goes_on_after_a_damaged_object(tmp_path: Path) -> None:
    """What is missing, of another kind, or damaged is ``StoreCorrupted``; the next read works."""
    store = tmp_path / "events.git"
    filled(store, 3)
    blob = git(store, "hash-object", "-w", "--stdin", stdin="whole").strip()
    damaged = git(store, "hash-object", "-w", "--stdin", stdin="x" * 200).strip()
    path = store / "objects" / damaged[:2] / damaged[2:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9] + b"broken...")
    with ObjectReader(store) as reader:
        for wrong in (damaged, "f" * 40, git(store, "rev-parse", "main").strip()):
            with pytest.raises(StoreCorrupted):
                reader.read(wrong, "blob")
            assert reader.read(blob, "blob") == b"whole"
