"""Half-read iterators, threads, flushes, batches and verification at the same time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from gitstore import DomainEvent, StoreUnavailable
from gitstore.backends.git.store import GitEventStore
from tests.backends.git.witness import Ack, assert_sound, filled, promise, reopen
from tests.backends.processes import lines

Begin = Callable[..., Popen[str]]


def test_half_read_iterators_skip_nothing(place: Path) -> None:
    """Readers begun anywhere and advanced between flushes and batches see no gap and no twin."""
    chance = random.Random(5)
    store = place / "events.git"
    with reopen(store) as opened:
        readers: list[tuple[int, object, list[int]]] = []
        last = 0
        for step in range(160):
            what = chance.choice(["one", "one", "few", "flush", "batch", "reader", "reader"])
            if what == "one":
                last = opened.append(DomainEvent(f"task-{step % 7}", "One", {})).position
            elif what == "flush":
                opened.flush()
            elif what in ("few", "batch"):
                size = 20 if what == "few" else 256
                if what == "few" or chance.random() < 0.3:
                    events = [DomainEvent(f"task-{n % 9}", "Some", n) for n in range(size)]
                    last = opened.append_many(events)[-1].position
            else:
                after = chance.randrange(last + 1)
                readers.append((after, opened.read_all(after), []))
            for _, reader, seen in readers:
                for _ in range(chance.choice([0, 3, 40])):
                    event = next(reader, None)  # type: ignore[call-overload]
                    if event is not None:
                        seen.append(event.position)
        for after, reader, seen in readers:
            seen += [event.position for event in reader]  # type: ignore[attr-defined]
            assert seen == list(range(after + 1, after + 1 + len(seen)))
        backwards = [event.position for event in opened.read_all(backwards=True)]
        assert backwards == list(range(last, 0, -1))
    assert len(assert_sound(store)) == last


def read_until(store: GitEventStore, stop: threading.Event, faults: list[str], seed: int) -> None:
    """Read from anywhere, again and again; note every gap."""
    chance = random.Random(seed)
    while not stop.is_set():
        after = chance.randrange(store.last_position() + 1)
        seen = [event.position for event in store.read_all(after)]
        if seen != list(range(after + 1, after + 1 + len(seen))):
            faults.append(f"after {after}: {seen[:20]}")
        stream = f"task-{chance.randrange(5)}"
        versions = [event.version for event in store.read_stream(stream)]
        if versions != list(range(1, len(versions) + 1)):
            faults.append(f"{stream}: {versions[:20]}")


def verify_until(store: GitEventStore, stop: threading.Event, faults: list[str], _: int) -> None:
    """Verify and flush, again and again; note every finding."""
    while not stop.is_set():
        report = store.verify()
        if not report.ok:
            faults.append(str(report.findings[:3]))
        store.flush()


@pytest.mark.parametrize("writers", [1, 4])
def test_threads_append_read_verify_and_flush(place: Path, begin: Begin, writers: int) -> None:
    """Threads of one store object, and a process beside them, disturb each other in nothing."""
    store = place / "events.git"
    acks: list[Ack] = filled(store, 5)
    faults: list[str] = []
    with reopen(store) as opened:
        stop = threading.Event()

        def append(seed: int) -> None:
            for number in range(60):
                event = DomainEvent(f"task-{number % 5}", "Threaded", {"seed": seed})
                acks.append(promise(opened.append(event)))
            many = [DomainEvent(f"task-{n % 5}", "Threaded", n) for n in range(260)]
            acks.extend(map(promise, opened.append_many(many)))

        def guarded(work: Callable[..., None], *arguments: object) -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - a thread's error is the test's
                faults.append(repr(error))

        helpers = [
            threading.Thread(target=guarded, args=(work, opened, stop, faults, seed))
            for seed, work in enumerate((read_until, read_until, verify_until))
        ]
        workers = [threading.Thread(target=guarded, args=(append, n)) for n in range(writers)]
        beside = begin("write", str(store), "small", 3, 5, 20)
        for thread in (*helpers, *workers):
            thread.start()
        for thread in workers:
            thread.join()
        for said in lines(beside)[1:]:
            acks += said  # type: ignore[arg-type]
        stop.set()
        for thread in helpers:
            thread.join()
    assert not faults, faults[:5]
    assert len(assert_sound(store, acks)) == len(acks)


def test_followers_in_threads(place: Path) -> None:
    """Followers of one store object see what its threads append, each once and in order."""
    store = place / "events.git"
    with reopen(store) as opened:
        stop = threading.Event()
        seen: list[list[int]] = [[], []]

        def follow(into: list[int]) -> None:
            for event in opened.follow(stop=stop):
                into.append(event.position)
                if event.position == 400:
                    return

        followers = [threading.Thread(target=follow, args=(into,)) for into in seen]
        for thread in followers:
            thread.start()
        for number in range(100):
            opened.append(DomainEvent("task-1", "One", number))
        opened.append_many([DomainEvent("task-2", "Many", n) for n in range(300)])
        for thread in followers:
            thread.join(30)
        stop.set()
    assert seen == [list(range(1, 401))] * 2


def read_to_the_end(
    opened: GitEventStore, begun: threading.Barrier, faults: list[BaseException]
) -> None:
    """Read again and again until the store is closed."""
    begun.wait(10)
    try:
        while len(list(opened.read_all())) == 5:
            pass
    except StoreUnavailable:
        return
    except BaseException as error:  # noqa: BLE001 - a thread's error is the test's
        faults.append(error)


def follow_to_the_end(opened: GitEventStore, begun: threading.Barrier) -> None:
    """Follow until the store is closed."""
    for event in opened.follow():
        if event.position == 5:
            begun.wait(10)


def test_closing_beside_readers(place: Path) -> None:
    """A store closed while other threads follow and read it ends them; it harms no process."""
    store = place / "events.git"
    filled(store, 5)
    faults: list[BaseException] = []
    for _ in range(20):
        opened = reopen(store)
        begun = threading.Barrier(4)
        readers = [
            threading.Thread(target=follow_to_the_end, args=(opened, begun)),
            threading.Thread(target=read_to_the_end, args=(opened, begun, faults)),
            threading.Thread(target=read_to_the_end, args=(opened, begun, faults)),
        ]
        for thread in readers:
            thread.start()
        begun.wait(10)
        opened.close()
        for thread in readers:
            thread.join(10)
            assert not thread.is_alive()
        assert not faults
