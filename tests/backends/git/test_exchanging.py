"""Pulls among other processes, killed ones among them; fetched objects, and refs of remotes."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import DomainEvent, RecordedEvent
from gitstore.backends.git.layout import tracked
from tests.backends.git.forging import STREAMS, Forge, Peer, fetch, pull
from tests.backends.git.test_damage import first_line
from tests.backends.git.witness import (
    assert_sound,
    assert_whole,
    filled,
    git,
    leftovers,
    promise,
    reopen,
)

Begin = Callable[..., Popen[str]]


def peer(path: Path, events: int, streams: int) -> Peer:
    """Another machine's store."""
    with reopen(path) as store:
        store.append_many(
            DomainEvent(f"there-{n % streams:03}", "Noted", {"n": n}) for n in range(events)
        )
    return Peer(path)


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_adoption_converges(place: Path, begin: Begin, seed: int) -> None:
    """Killed at any moment, the store is sound; the next pull brings what is missing, once."""
    remote = peer(place / "there.git", 3_000, 40)
    store = place / "events.git"
    ours = filled(store, 4)
    chance = random.Random(seed)
    for _ in range(3):
        child = begin("take_in", str(store), str(remote.path), 200)
        first_line(child)
        time.sleep(chance.uniform(0.05, 0.9))
        child.kill()
        child.wait()
        with reopen(store) as opened:
            assert_whole(list(opened.read_all()), ours)
    with reopen(store) as opened:
        pull(opened, remote)
        assert pull(opened, remote).adopted == {}
        assert not list((store / "gitstore" / "incoming").iterdir())
    assert len(assert_sound(store, ours)) == 3_004


def test_a_pack_that_a_killed_fetch_moved_by_half_is_completed(place: Path) -> None:
    """Its index, which was to come last, still lies where it was fetched; the next look brings it.

    A pack without its index would be garbage for good, and a complaint of every ``verify``.
    """
    remote = peer(place / "there.git", 20, 4)
    store = place / "events.git"
    filled(store)
    with reopen(store) as opened:
        with opened.exchange.incoming() as incoming:
            fetch(remote.path, incoming)
            dead = incoming.folder.with_name("dead")
            shutil.copytree(incoming.folder, dead)
        (pack,) = dead.rglob("pack-*.pack")
        pack.rename(opened.exchange.layout.packs / pack.name)
        assert not opened.verify().ok
        with opened.exchange.incoming():
            assert not dead.exists()
        assert opened.verify().ok
    assert len(assert_sound(store)) == 12


def test_appends_go_on_during_a_large_adoption(place: Path, begin: Begin) -> None:
    """Another process appends meanwhile: nothing is lost, nobody waits longer than a flush."""
    remote = peer(place / "there.git", 20_000, 500)
    store = place / "events.git"
    filled(store, 1)
    child = begin("take_in", str(store), str(remote.path), 2_000)
    first_line(child)
    acks, waits = [], []
    with reopen(store) as opened:
        while child.poll() is None:
            started = time.monotonic()
            acks.append(promise(opened.append(DomainEvent("task-here", "Noted", {}))))
            waits.append(time.monotonic() - started)
            time.sleep(0.002)
    assert child.returncode == 0
    assert len(acks) > 20
    assert max(waits) < 3, "a flush of 2,000 events takes a tenth of that on a slow machine"
    assert len(assert_sound(store, acks)) == 20_001 + len(acks)


def test_a_follower_gets_every_adopted_event(place: Path) -> None:
    """A follower sees each position once and in order, beside events that are appended here."""
    remote = peer(place / "there.git", 1_000, 20)
    store = place / "events.git"
    seen: list[RecordedEvent] = []
    with reopen(store) as reader, reopen(store) as opened:

        def follow() -> None:
            for recorded in reader.follow():
                seen.append(recorded)
                if recorded.event.type == "Last":
                    return

        thread = threading.Thread(target=follow)
        thread.start()
        opened.append(DomainEvent("task-here", "Noted", {}))
        pull(opened, remote)
        opened.append(DomainEvent("task-here", "Last", {}))
        thread.join(30)
        assert not thread.is_alive()
        assert seen == list(opened.read_all())
    assert [e.position for e in seen] == list(range(1, 1_003))


def test_two_pulls_at_once(place: Path, begin: Begin) -> None:
    """Two processes that take in the same history record it once."""
    remote = peer(place / "there.git", 2_000, 30)
    store = place / "events.git"
    filled(store, 1)
    children = [begin("take_in", str(store), str(remote.path), 100) for _ in range(2)]
    for child in children:
        first_line(child)
        assert child.stdout is not None
        assert child.stdout.read().strip().isdigit()
        assert child.wait() == 0
    assert len(assert_sound(store)) == 2_001


def test_what_is_fetched_stays_apart(place: Path) -> None:
    """Nothing lies among the store's objects until it is kept; then refs may point there."""
    remote = peer(place / "there.git", 300, 3)
    store = place / "events.git"
    filled(store, 1)
    packs = store / "objects" / "pack"
    before = set(packs.iterdir())
    name, tip = next(iter(remote.refs().items()))
    with reopen(store) as opened:
        with opened.exchange.incoming() as incoming:
            fetch(remote.path, incoming)
            assert set(packs.iterdir()) == before
            assert incoming.objects.read_event(tip).version == 100
            incoming.keep()
            incoming.keep()
            assert len(list(packs.glob("*.keep"))) == 1
            opened.exchange.track({tracked("there", name): tip})
            assert incoming.objects.read_event(tip).version == 100
        assert not list((store / "gitstore" / "incoming").iterdir())
    assert leftovers(store) == []
    assert git(store, "rev-list", "--count", tracked("there", name)).strip() == "100"


def test_loose_objects_are_packed_on_their_way(place: Path) -> None:
    """Objects that git fetched one by one come into the store as a pack."""
    remote = Forge(place / "remote.git")
    remote.stream("task-a", 3)
    store = place / "events.git"
    with reopen(store) as opened, opened.exchange.incoming() as incoming:
        for folder in (remote.path / "objects").glob("??"):
            folder.rename(incoming.path / folder.name)
        assert opened.exchange.adopt(remote.refs(), "there", incoming).events == 3
    assert not list((store / "objects").glob("??"))
    assert_sound(store)


def test_the_next_opening_clears_up_after_a_killed_fetch(place: Path, begin: Begin) -> None:
    """What a dead process fetched goes, its marks too; what a living one has stays."""
    remote = peer(place / "there.git", 500, 5)
    store = place / "events.git"
    filled(store, 1)
    with reopen(store) as opened, opened.exchange.incoming() as alive:
        child = begin("fetch_and_wait", str(store), str(remote.path))
        assert first_line(child) == "kept"
        folders = set((store / "gitstore" / "incoming").iterdir())
        child.kill()
        child.wait()
        with reopen(store):
            pass
        assert set((store / "gitstore" / "incoming").iterdir()) == {alive.path.parent}
        assert alive.path.parent in folders
        assert len(folders) == 2
    assert leftovers(store) == []


def test_tracking_is_no_move_of_streams(place: Path) -> None:
    """Refs of remotes are moved in bulk, and no append looks through all refs because of it."""
    store = place / "events.git"
    filled(store, 6, 3)
    tips = git(store, "for-each-ref", "--format=%(objectname)", STREAMS).split()
    names = [tracked("there", f"{STREAMS}s-{n}") for n in range(2_000)]
    with reopen(store) as opened:
        exchange = opened.exchange
        exchange.track(dict.fromkeys(names, tips[0]))
        assert not opened._upkeep._reconciler.is_due()
        exchange.track({names[0]: tips[1], names[1]: None})
        exchange.track(dict.fromkeys(names[2:], None))
        assert not opened._upkeep._reconciler.is_due()
        opened.append(DomainEvent("task-0", "Noted", {}))
    found = git(store, "for-each-ref", "--format=%(refname) %(objectname)", "refs/remotes")
    assert found.split() == [names[0], tips[1]]
    assert git(store, "for-each-ref", "refs/quarantine") == ""
    assert_sound(store)


def test_a_tracked_tip_that_only_we_have_is_kept(place: Path) -> None:
    """Rewritten or deleted there, and never adopted here: its old tip goes into quarantine."""
    store = place / "events.git"
    remote = Forge(place / "remote.git")
    name = STREAMS + "task-a"
    with reopen(store) as opened:
        opened.append(DomainEvent("task-a", "Ours", {}))
        first = remote.stream("task-a", 2)
        pull(opened, remote, track=True)
        longer = remote.ref(name, remote.chain("task-a", 1, first, 2))
        pull(opened, remote, track=True)
        assert git(store, "for-each-ref", "refs/quarantine") == ""
        rewritten = remote.stream("task-a", 1)
        assert pull(opened, remote, track=True).diverged
        opened.exchange.track({tracked("origin", name): None})
        place_there = "refs/quarantine/origin/rewritten/task-a"
        kept = git(store, "for-each-ref", "--format=%(refname) %(objectname)", "refs/quarantine")
        assert kept.split() == [place_there, longer, f"{place_there}-2", rewritten]
        assert opened.verify().ok
    assert subprocess.run(["git", f"--git-dir={store}", "fsck", "--strict"], check=True)
