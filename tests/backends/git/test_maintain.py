"""Maintenance: the store becomes small, beside everybody, and nothing is ever dropped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from gitstore import DomainEvent, EventStoreError, StoreUnavailable
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git import background, maintaining
from gitstore.backends.git.gitchild import MaintenanceEnded
from gitstore.backends.git.store import GitEventStore
from tests.backends.git.witness import Ack, assert_sound, filled, git, promise, reopen
from tests.backends.processes import lines

Begin = Callable[..., Popen[str]]
TEXT = "the section describes how a session resumes after its worktree moved "


def grown(store: Path, batches: int = 5, size: int = 300) -> list[Ack]:
    """A store of some packs; gives what was acknowledged."""
    acks: list[Ack] = []
    with reopen(store) as opened:
        for batch in range(batches):
            events = [
                DomainEvent(f"task-{n % 40}", "Noted", {"n": n, "batch": batch, "text": TEXT})
                for n in range(size)
            ]
            acks += map(promise, opened.append_many(events))
    return acks


def packs(store: Path) -> set[str]:
    """The names of the store's packs."""
    return {path.name for path in (store / "objects" / "pack").glob("*.pack")}


def trimmed(store: Path) -> None:
    """Drop all bodies from the index, so that every read goes to git's objects."""
    with reopen(store) as opened, opened._parts.flush_lock.held():
        opened._parts.index.drop_bodies(0, 1 << 40)


def child_of(process: Popen[str], doing: str = "") -> int | None:
    """The process id of a process's git child, where it has one now that does this."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        found = children.read_text().split()
        return next(
            (int(c) for c in found if doing in Path(f"/proc/{c}/cmdline").read_text()), None
        )
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_for_child(process: Popen[str]) -> int:
    """The one that packs, once it is there."""
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc to find the child in")
    end = time.monotonic() + 20
    while (child := child_of(process, "pack-objects")) is None:
        assert time.monotonic() < end, "git never ran"
        time.sleep(0.001)
    return child


def test_many_packs_become_one(place: Path) -> None:
    """Packs, loose objects and refs are put together; the report says so, and all is there."""
    store = place / "events.git"
    acks = grown(store)
    for number in range(5):
        git(store, "hash-object", "-w", "--stdin", stdin=f"loose {number}")
    with reopen(store) as opened:
        opened.append(DomainEvent("task-loose", "Noted", {}))
        report = opened.maintain()
    assert report.before.packs > 1
    assert (report.after.packs, report.after.loose) == (len(packs(store)), 0)
    assert len(packs(store)) == 1
    assert report.before.loose == 5
    assert report.after.size < report.before.size
    assert list(report.seconds) == [
        "flush",
        "type index",
        "repack",
        "pack-refs",
        "checkpoint",
        "commit-graph",
    ]
    assert not [p for p in (store / "refs" / "streams").rglob("*") if p.is_file()]
    assert git(store, "commit-graph", "verify") == ""
    assert len(assert_sound(store, acks)) == len(acks) + 1


def test_a_second_run_has_nothing_to_do(place: Path) -> None:
    """Running again converges: the packs stay as they are, byte for byte and in time."""
    store = place / "events.git"
    grown(store)
    with reopen(store) as opened:
        opened.maintain()
        before = {p: p.stat().st_mtime_ns for p in (store / "objects" / "pack").iterdir()}
        opened.maintain()
    assert {p: p.stat().st_mtime_ns for p in (store / "objects" / "pack").iterdir()} == before


def test_new_packs_beside_a_large_one_leave_it_alone(place: Path) -> None:
    """A few new events are packed by themselves; what was compressed once is not copied again."""
    store = place / "events.git"
    grown(store, batches=6, size=800)
    with reopen(store) as opened:
        opened.maintain()
    large = packs(store)
    assert len(large) == 1
    more = grown(store, batches=2)
    with reopen(store) as opened:
        opened.maintain()
    assert large < packs(store)
    assert len(packs(store)) == 2
    assert_sound(store, more)


def test_packs_are_no_larger_than_gits_best(place: Path) -> None:
    """At most 1.5 times what ``git gc --aggressive`` makes of the same store."""
    store, theirs = place / "events.git", place / "theirs.git"
    grown(store)
    shutil.copytree(store, theirs)
    with reopen(store) as opened:
        opened.maintain()
    git(theirs, "gc", "--aggressive", "--quiet")
    sizes = [
        sum(path.stat().st_size for path in (which / "objects" / "pack").glob("*.pack"))
        for which in (store, theirs)
    ]
    assert sizes[0] <= 1.5 * sizes[1]


def test_what_nothing_reaches_is_kept(place: Path) -> None:
    """Objects no ref holds, loose or packed, and tips in quarantine are all still there."""
    store = place / "events.git"
    grown(store, batches=2)
    loose = git(store, "hash-object", "-w", "--stdin", stdin="nobody's").strip()
    packed = git(store, "hash-object", "-w", "--stdin", stdin="packed").strip()
    git(store, "pack-objects", "-q", str(store / "objects/pack/pack"), stdin=f"{packed}\n")
    git(store, "prune-packed")
    foreign = git(store, "rev-parse", "refs/heads/main").strip()
    git(store, "update-ref", "refs/streams/task-0", foreign)
    with reopen(store) as opened:
        opened.maintain()
        assert opened.status().notes
    for wanted in (loose, packed, foreign):
        git(store, "cat-file", "-e", wanted)
    assert git(store, "for-each-ref", "refs/quarantine").strip()


def test_a_trimmed_index_reads_from_git(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trimming drops older bodies, gives the space back, and changes no event."""
    store = place / "events.git"
    acks = grown(store)
    monkeypatch.setattr(maintaining, "BODIES_KEPT", 100)
    index = store / "gitstore" / "index.db"
    with reopen(store) as opened:
        before = list(opened.read_all())
    size = index.stat().st_size
    with reopen(store) as opened:
        opened.maintain(trim=True)
        assert list(opened.read_all()) == before
        rows = opened._parts.index._db().execute("SELECT count(*) FROM events WHERE data NOT NULL")
        assert rows.fetchone()[0] == 100
    assert index.stat().st_size < 0.7 * size
    assert_sound(store, acks)


def test_the_next_flush_need_not_look_through_refs(place: Path) -> None:
    """Packed refs look other than before, but nobody moved them; a real move is still noticed."""
    store = place / "events.git"
    grown(store, batches=1)
    filled(store, 30, 30)
    with reopen(store) as opened:
        opened.maintain()
        assert not opened._upkeep._reconciler.is_due()
        git(store, "update-ref", "-d", "refs/streams/task-7")
        assert opened._upkeep._reconciler.is_due()
        time.sleep(0.01)
        opened.append(DomainEvent("task-8", "Noted", {}))
        opened.flush()
        git(store, "rev-parse", "--verify", "refs/streams/task-7")


def test_small_packs_stay_while_somebody_maintains(place: Path) -> None:
    """Git must not lose packs it is copying from, so flushes merge none meanwhile."""
    store = place / "events.git"
    filled(store)
    other = FileLock(store / "gitstore" / "maintain.lock")
    with reopen(store) as opened:
        with other.held():
            for number in range(25):
                opened.append(DomainEvent("task-1", "Noted", number))
                opened.flush()
            assert len(packs(store)) >= 25
            assert opened.maintain_if_due() is None
        opened.append(DomainEvent("task-1", "Noted", {}))
        opened.flush()
        assert len(packs(store)) < 12
    other.close()


def with_many_packs(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a store in which maintenance is due."""
    grown(store, batches=6)
    monkeypatch.setattr(maintaining, "MOST_PACKS", 3)


def test_a_store_in_use_maintains_itself(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then while it is written to, off the caller's path, once there are too many packs."""
    store = place / "events.git"
    with_many_packs(store, monkeypatch)
    monkeypatch.setattr(background, "_LATER", 0.05)
    with reopen(store) as opened:
        opened.append(DomainEvent("task-1", "Noted", {}))
        end = time.monotonic() + 20
        while len(packs(store)) > 2:
            assert time.monotonic() < end, packs(store)
            time.sleep(0.02)
    assert_sound(store)


def test_the_stores_configuration_can_say_no(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``gitstore.autoMaintain = false`` is heeded by what runs by itself, not by who asks."""
    store = place / "events.git"
    with_many_packs(store, monkeypatch)
    with reopen(store) as opened:
        assert opened._maintainer.is_due()
        git(store, "config", "gitstore.autoMaintain", "false")
        assert opened.maintain_if_due() is None
        git(store, "config", "gitstore.autoMaintain", "true")
        assert opened.maintain_if_due() is not None
        assert opened.maintain_if_due() is None


def test_many_loose_objects_make_it_due(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimated from one folder, as git does."""
    store = place / "events.git"
    filled(store)
    monkeypatch.setattr(maintaining, "MOST_LOOSE", 100)
    with reopen(store) as opened:
        assert not opened._maintainer.is_due()
        number = 0
        while not (store / "objects" / "17").exists():
            git(store, "hash-object", "-w", "--stdin", stdin=f"{number}")
            number += 1
        assert opened._maintainer.is_due()
        assert opened.maintain_if_due() is not None
        assert not opened._maintainer.is_due()


def test_what_fails_by_itself_is_not_tried_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged pack stops maintenance, is left as it is, and the next try waits ten minutes."""
    store = place / "events.git"
    with_many_packs(store, monkeypatch)
    victim = max((store / "objects" / "pack").glob("*.pack"), key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0xFF
    victim.chmod(0o600)
    victim.write_bytes(content)
    before = packs(store)
    with reopen(store) as opened:
        with pytest.raises(EventStoreError) as caught:
            opened.maintain_if_due()
        assert caught.value.hint
        assert packs(store) == before
        assert not opened._maintainer.is_due()
        failed = store / "gitstore" / "maintain.failed"
        os.utime(failed, (0, 0))
        assert opened._maintainer.is_due()


def slow(place: Path) -> tuple[Path, list[Ack]]:
    """A store whose maintenance takes a while."""
    store = place / "events.git"
    return store, grown(store, batches=5, size=500)


def test_closing_ends_maintenance(place: Path) -> None:
    """``close`` does not wait for git to finish, and nothing half done is left."""
    store, acks = slow(place)
    opened = reopen(store)
    ended: list[object] = []
    begun = threading.Event()

    def maintain() -> None:
        try:
            ended.append(opened.maintain(progress=lambda *_: begun.set()))
        except StoreUnavailable as error:
            ended.append(error)

    thread = threading.Thread(target=maintain)
    thread.start()
    assert begun.wait(20)
    opened.close()
    thread.join(10)
    assert isinstance(ended[0], MaintenanceEnded)
    assert not (store / "gitstore" / "repacking").exists()
    assert_sound(store, acks)


def test_a_child_that_is_left_alone_holds_the_lock(place: Path, begin: Begin) -> None:
    """Git of a killed maintainer may still copy: nobody else begins before it has ended."""
    store, acks = slow(place)
    process = begin("maintain", str(store), 1, 0)
    child = wait_for_child(process)
    os.kill(child, signal.SIGSTOP)
    process.kill()
    process.wait()
    lock = FileLock(store / "gitstore" / "maintain.lock")
    assert not lock.try_acquire(0.2)
    with reopen(store) as opened:  # which does not keep anybody from writing
        acks.append(promise(opened.append(DomainEvent("task-1", "Beside", {}))))
    os.kill(child, signal.SIGCONT)
    assert lock.try_acquire(30)
    lock.release()
    lock.close()
    with reopen(store) as opened:
        opened.maintain()
    assert not (store / "gitstore" / "repacking").exists()
    assert_sound(store, acks)


def kill_maintenance(begin: Begin, place: Path, seed: int, kills: int) -> None:
    """Kill maintainers, and sometimes their git, at random moments; the store converges."""
    chance = random.Random(seed)
    template = place / f"{seed}-template.git"
    acks = grown(template, batches=5)
    took = time.monotonic()
    shutil.copytree(template, place / f"{seed}-timed.git")
    lines(begin("maintain", str(place / f"{seed}-timed.git"), 1, 0))
    took = time.monotonic() - took
    for number in range(kills):
        store = place / f"{seed}-{number}.git"
        shutil.copytree(template, store)
        process = begin("maintain", str(store), 1, 0)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * took)
        child = child_of(process)
        victims = chance.choice([[process.pid], [process.pid, child], [child]])
        for victim in filter(None, victims):
            os.kill(victim, signal.SIGKILL)
        process.wait()
        with reopen(store) as opened:
            opened.maintain()
        assert len(packs(store)) <= 2  # what opening a copy added is small, and stays by itself
        assert not (store / "gitstore" / "repacking").exists()
        assert len(assert_sound(store, acks)) == len(acks)
        shutil.rmtree(store)


def test_killed_maintenance_loses_nothing(place: Path, begin: Begin) -> None:
    """Kill -9 of the process and of its git: run again, and all is there, nothing left over."""
    kill_maintenance(begin, place, seed=1, kills=4)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(5))
def test_maintenance_killed_many_times_loses_nothing(place: Path, begin: Begin, seed: int) -> None:
    """The same many times."""
    kill_maintenance(begin, place, seed, kills=40)


def test_two_at_once(place: Path, begin: Begin) -> None:
    """The second waits for the first, and both end well."""
    store = place / "events.git"
    acks = grown(store)
    both = [begin("maintain", str(store), 2, 0) for _ in range(2)]
    for process in both:
        assert lines(process) == ["ready", 1, 1]
    assert_sound(store, acks)


HOUSEKEEPING = [
    ["multi-pack-index", "write"],
    ["gc", "--quiet"],
    ["repack", "-a", "-d", "-q"],
    ["repack", "-a", "-d", "-b", "-q"],
    ["notes", "prune"],
    ["pack-refs", "--all"],
    ["reflog", "expire", "--expire=now", "--all"],
    ["gc", "--prune=now", "--quiet"],
]


def beside_everybody(store: Path, begin: Begin, singles: int, rounds: int) -> None:
    """Maintain beside writers, readers of old packs, and a user's own housekeeping."""
    acks = grown(store, batches=6)
    trimmed(store)
    readers = [begin("reread", str(store), len(acks), stdin=PIPE) for _ in range(2)]
    writers = [
        begin("write", str(store), how, 5, 12, most)
        for how, most in (("single", singles), ("batch", singles // 25))
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == '"ready"\n'
    maintainer = begin("maintain", str(store), rounds, 0)
    while maintainer.poll() is None:
        for command in HOUSEKEEPING:
            # Two of git's own commands may be in each other's way, or meet a ref being moved.
            git(store, *command, check=False)
    said = lines(maintainer)
    assert [one for one in said[1:] if not isinstance(one, int)] == []
    written = [ack for writer in writers for said in lines(writer)[1:] for ack in said]  # type: ignore[attr-defined]
    for reader in readers:
        out, _ = reader.communicate("")
        assert reader.returncode == 0
        assert int(out) > 0
    assert len(assert_sound(store, [*acks, *written])) == len(acks) + len(written)


def test_beside_everybody(place: Path, begin: Begin) -> None:
    """No reader misses an object, no writer an event, and no maintenance fails for others."""
    beside_everybody(place / "events.git", begin, singles=100, rounds=3)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(5))
def test_beside_everybody_for_long(place: Path, begin: Begin, seed: int) -> None:
    """The same for longer."""
    beside_everybody(place / "events.git", begin, singles=4_000, rounds=80)


@pytest.mark.parametrize("limit", [4_096, 60_000, 200_000])
def test_a_disk_that_fills(place: Path, begin: Begin, limit: int) -> None:
    """A clear error, the old packs stay, and the next run does it."""
    store = place / "events.git"
    acks = grown(store)
    before = packs(store)
    ready, said = lines(begin("maintain", str(store), 1, limit))
    assert ready == "ready"
    if isinstance(said, list):
        assert said[:2] in (["error", "GitFailed"], ["error", "StoreUnavailable"])
        # Git is killed by the limit (25 is SIGXFSZ); on a full disk it says so.
        assert any(why in said[2] for why in ("File too large", "disk I/O", "(-25)")), said
        assert packs(store) == before or len(packs(store)) == 1
    assert not (store / "gitstore" / "repacking").exists()
    with reopen(store) as opened:
        opened.maintain()
    assert len(packs(store)) == 1
    assert_sound(store, acks)


@pytest.mark.parametrize("command", [["multi-pack-index", "write"], ["repack", "-adbq"]])
def test_what_the_user_made_for_old_packs_goes_with_them(place: Path, command: list[str]) -> None:
    """A multi-pack-index or bitmap of packs that are gone would mislead git."""
    store = place / "events.git"
    acks = grown(store)
    git(store, *command)
    with reopen(store) as reader:
        assert len(list(reader.read_all())) == len(acks)
        acks += grown(store, batches=10)
        with reopen(store) as opened:
            opened.maintain()
    assert not list((store / "objects" / "pack").glob("multi-pack-index*"))
    assert_sound(store, acks)


def test_a_damaged_commit_graph_is_written_anew(place: Path) -> None:
    """It is git's cache: what is wrong with it is no reason to fail."""
    store = place / "events.git"
    acks = grown(store)
    with reopen(store) as opened:
        opened.maintain()
        graph = next((store / "objects" / "info" / "commit-graphs").glob("*.graph"))
        graph.chmod(0o600)
        graph.write_bytes(graph.read_bytes()[:400])
        acks.append(promise(opened.append(DomainEvent("task-1", "Noted", {}))))
        opened.maintain()
    assert git(store, "commit-graph", "verify") == ""
    assert_sound(store, acks)


def test_a_read_only_store_is_not_maintained(place: Path) -> None:
    """Whoever may not write gets told so."""
    store = place / "events.git"
    filled(store)
    with reopen(store) as opened:
        assert isinstance(opened, GitEventStore)
        object.__setattr__(opened._parts, "read_only", True)
        with pytest.raises(StoreUnavailable, match="read only"):
            opened.maintain()
        object.__setattr__(opened._parts, "read_only", False)
