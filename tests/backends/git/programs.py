"""Programs that the tests of survival run as processes of their own, and kill.

``python programs.py NAME JSON-ARGUMENTS…``; what a program has to say goes to its standard output,
one JSON value a line, each line flushed. Nothing here is imported by a test but ``start``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitstore import DomainEvent, EventStoreError, RecordedEvent, WrongExpectedVersion, open_store
from gitstore.backends.disk import connections
from gitstore.backends.git import arrivals
from gitstore.backends.git.store import GitEventStore
from gitstore.core.timestamps import parse_timestamp

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a file, it has only its own folder
from tests.backends.git.forging import Peer, fetch, pull

PROGRAMS: dict[str, Callable[..., None]] = {}
BEFORE = DomainEvent("task-0", "Before", id="before", timestamp=datetime(2026, 11, 23, tzinfo=UTC))
"""What is appended right before a rebase; the same at each repetition."""


def program(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a program."""
    PROGRAMS[function.__name__] = function
    return function


def start(name: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a program; its standard output is a pipe of JSON lines."""
    file = Path(__file__).with_name("crashing.py" if name == "crash_everywhere" else "programs.py")
    command = [sys.executable, str(file), name, *map(json.dumps, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def say(value: object) -> None:
    """Give the test one line, in one write."""
    os.write(1, json.dumps(value).encode() + b"\n")


def ack(recorded: RecordedEvent) -> list[object]:
    """What a writer was promised about one event."""
    event = recorded.event
    return [recorded.stream_id, recorded.version, recorded.position, recorded.commit, event.id]


def open_git(path: str, **options: Any) -> GitEventStore:
    """Open a git store."""
    store = open_store(path, **options)
    assert isinstance(store, GitEventStore)
    return store


@program
def write(path: str, how: str, seed: int, streams: int, most: int) -> None:
    """Append until killed, or ``most`` times; says what was acknowledged.

    ``how``: ``single``, ``batch`` (256 to 300 events at once), ``small`` (2 to 9), ``append``
    (``flush="append"``).
    """
    chance = random.Random(seed)
    names = [f"task-{chance.randrange(streams)}" for _ in range(streams)]
    with open_git(path, flush="append" if how == "append" else "background") as store:
        say("ready")
        for number in range(most):
            size = {"batch": chance.randint(256, 300), "small": chance.randint(2, 9)}.get(how, 1)
            events = [
                DomainEvent(chance.choice(names), "Noted", {"seed": seed, "n": number})
                for _ in range(size)
            ]
            done = [store.append(events[0])] if size == 1 else store.append_many(events)
            say([ack(recorded) for recorded in done])


@program
def compete(path: str, stream: str, rounds: int) -> None:
    """Append once a round with an exact expectation; says the rounds won."""
    with open_git(path) as store:
        say("ready")
        sys.stdin.readline()
        for number in range(rounds):
            event = DomainEvent(stream, "Claimed", {"by": os.getpid()})
            with contextlib.suppress(WrongExpectedVersion):
                say(["won", number, ack(store.append(event, number))])
            while store.stream_version(stream) <= number:
                time.sleep(0.001)


@program
def follow(path: str, last: int, how: str) -> None:
    """Say each position as a follower, or as one who polls ``read_all``, up to ``last``."""
    with open_git(path) as store:
        say("ready")
        if how == "follow":
            for recorded in store.follow():
                say(recorded.position)
                if recorded.position >= last:
                    return
        after = 0
        while after < last:
            for recorded in store.read_all(after):
                say(recorded.position)
                after = recorded.position


@program
def create_at_once(path: str, number: int) -> None:
    """Create the store and one stream when told, beside others who do the same."""
    say("ready")
    sys.stdin.readline()
    with open_git(path) as store:
        say(ack(store.append(DomainEvent("task-1", "TaskOpened", {"by": number}))))


@program
def hold(path: str, pending: int) -> None:
    """Open a store, then do what each line of standard input says, and say what came of it."""
    logging.basicConfig(stream=sys.stderr)
    connections._BUSY_SECONDS = 2  # what is damaged may look busy, and need not be waited for long
    store = open_git(path)
    say([ack(store.append(DomainEvent("task-held", "Held", {}))) for _ in range(pending)])
    for line in sys.stdin:
        word, *rest = line.split()
        try:
            if word == "append":
                say(ack(store.append(DomainEvent(rest[0], "Held", {}))))
            elif word == "read":
                say([recorded.position for recorded in store.read_all()])
            elif word == "flush":
                store.flush()
                say("flushed")
            elif word == "close":
                store.close()
                say("closed")
                return
        except EventStoreError as error:
            say(["error", type(error).__name__, str(error)])


@program
def bounded(path: str, limit: int, how: str) -> None:
    """Append under ``RLIMIT_FSIZE``, lift it, append again: says acknowledgements and errors."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    store = None
    try:
        store = open_git(path)
    except EventStoreError as error:
        say(["error", type(error).__name__])
    if store is not None:
        for number in range(40):
            size = 300 if how == "batch" else 1
            text = "x" * 200
            events = [DomainEvent(f"task-{n % 7}", "Grew", {"t": text}) for n in range(size)]
            try:
                done = store.append_many(events)
                if number % 10 == 9:
                    store.flush()
                say([ack(recorded) for recorded in done])
            except EventStoreError as error:
                say(["error", type(error).__name__])
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    if store is None:
        store = open_git(path)
    say([ack(store.append(DomainEvent("task-after", "WentOn", {})))])
    store.flush()
    store.close()


@program
def forked(path: str, ending: str) -> None:
    """Fork with an open store; the child uses it, then ends; the parent goes on."""
    store = open_git(path)
    store.append(DomainEvent("task-1", "Before", {}))
    if ending == "flushing":  # with a flush under way, its locks held by another thread
        stop = threading.Event()
        flusher = threading.Thread(target=_flush_until, args=(store, stop))
        flusher.start()
    child = os.fork()
    if child == 0:
        _use_after_fork(store)
        if ending == "exit":
            sys.exit(0)  # runs what is registered for the interpreter's end
        del store
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if ending == "flushing":
        stop.set()
        flusher.join()
    say(["child", status])
    say(ack(store.append(DomainEvent("task-1", "After", {}))))
    store.close()


@program
def reopened_after_fork(path: str) -> None:
    """Fork with an open store; the child opens it anew and appends, the parent closes its own.

    Waits for a line of input before the child's second append.
    """
    store = open_git(path)
    store.append(DomainEvent("task-1", "Before", {}))
    store.flush()
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    child = os.fork()
    if child == 0:
        again = open_git(path)
        say(ack(again.append(DomainEvent("task-1", "InChild", {}))))
        os.write(from_child, b".")
        os.read(to_child, 1)
        say(ack(again.append(DomainEvent("task-2", "InChild", {}))))
        os.kill(os.getpid(), signal.SIGKILL)
    os.read(to_parent, 1)
    store.close()
    say(["closed"])
    sys.stdin.readline()
    os.write(from_parent, b".")
    os.waitpid(child, 0)


@program
def killed_beside_a_worker(path: str) -> None:
    """Fork a worker while the write lock is held, as another thread may, and die."""
    store = open_git(path)
    say(ack(store.append(DomainEvent("task-1", "Before", {}))))
    store._parts.write_lock.acquire()
    worker = os.fork()
    if worker == 0:
        os.close(sys.stdout.fileno())  # it must not keep the test waiting for more
        time.sleep(60)
        os._exit(0)
    say(["worker", worker])
    os.kill(os.getpid(), signal.SIGKILL)


def _use_after_fork(store: GitEventStore) -> None:
    uses: list[Callable[[], object]] = [
        lambda: store.append(DomainEvent("task-1", "InChild", {})),
        lambda: list(store.read_all()),
        lambda: list(store.read_stream("task-1")),
        lambda: list(store.streams()),
        lambda: store.stream_version("task-1"),
        store.flush,
        store.verify,
        store.status,
    ]
    for use in uses:
        try:
            use()
        except EventStoreError as error:
            say(["error", type(error).__name__])
        else:
            say(["worked"])
    store.close()


def _flush_until(store: GitEventStore, stop: threading.Event) -> None:
    while not stop.is_set():
        store.append(DomainEvent("task-2", "Beside", {}))
        store.flush()


def _become_nobody() -> None:
    if os.getuid() == 0:
        # Import all while there is leave to.
        with (
            tempfile.TemporaryDirectory() as folder,
            open_git(f"{folder}/events.git") as other,
        ):
            other.append(DomainEvent("task-1", "Imported", {}))
            other.index_types()
            assert other.verify().ok
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


@program
def unprivileged(path: str) -> None:
    """Use a store without leave to write, as nobody: says what came of it."""
    _become_nobody()
    try:
        store = open_git(path, create=False)
        say([recorded.position for recorded in store.read_all()])
        say(sorted(store.streams()))
        say(store.verify().ok)
        store.append(DomainEvent("task-1", "Refused", {}))
    except EventStoreError as error:
        say([type(error).__name__, str(error)])
    store.close()
    say("closed")


@program
def read_clone(path: str, type_name: str, since: str | None, everything: bool) -> None:
    """Read a clone without leave to write, as nobody: events of a type, or all there is."""
    _become_nobody()
    start = None if since is None else parse_timestamp(since)
    with open_git(path, create=False) as store:
        before = _private_directories()
        try:
            for event in store.get_events_by_type(type_name, start):
                say([event.stream_id, event.version, event.data])
            say("built" if _private_directories() != before else "done")
            if everything:
                say([recorded.position for recorded in store.read_all()])
                say([recorded.version for recorded in store.read_stream("task-1")])
                say(sorted(store.streams()))
                say(store.verify().ok)
                say([event.version for event in store.get_events_by_type(type_name, start)])
                assert _private_directories() != before
        except EventStoreError as error:
            say(["error", type(error).__name__, str(error), error.hint])
        for use in (lambda: store.append(DomainEvent("task-1", "Refused", {})), store.flush):
            try:
                use()
            except EventStoreError as error:
                say(["error", type(error).__name__, str(error)])
    assert _private_directories() == before, "what was built is removed"
    say("closed")


def _private_directories() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("gitstore-*") if os.access(p, os.W_OK)}


@program
def load(path: str, source: str, batch: int, by: str) -> None:
    """Import a file of events, in batches, by ``time`` or stream after ``stream``."""
    lines = Path(source).read_bytes().splitlines()
    events = [DomainEvent.from_json(line) for line in lines]
    if by == "stream":
        events.sort(key=lambda event: event.stream_id)
    elif by == "reversed":
        events.sort(key=lambda event: event.stream_id, reverse=True)
    with open_git(path) as store:
        for first in range(0, len(events), batch):
            store.append_many(events[first : first + batch])
    say("done")


@program
def maintain(path: str, times: int, limit: int) -> None:
    """Maintain so many times, with files that may not grow beyond ``limit`` bytes where given."""
    logging.disable(logging.CRITICAL)
    with open_git(path, create=False) as store:
        if limit:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        say("ready")
        for _ in range(times):
            try:
                say(store.maintain().after.packs)
            except EventStoreError as error:
                say(["error", type(error).__name__, str(error)])
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@program
def reread(path: str, first: int) -> None:
    """Read the first events again and again through one open store, until told to end."""
    with open_git(path, create=False) as store:
        say("ready")
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        rounds = 0
        while not ended.is_set():
            count = sum(1 for _ in store.read_all(limit=first))
            assert count == first, count
            rounds += 1
        say(rounds)


@program
def take_in(path: str, remote: str, chunk: int) -> None:
    """Adopt another store's streams, in chunks of some events; says how many came in."""
    arrivals.AT_ONCE = chunk
    with open_git(path) as store:
        say("ready")
        say(pull(store, Peer(Path(remote)), track=True).events)


@program
def fetch_and_wait(path: str, remote: str) -> None:
    """Fetch from another store, keep what came, and wait to be killed."""
    with open_git(path) as store, store.exchange.incoming() as incoming:
        fetch(Path(remote), incoming)
        incoming.keep()
        say("kept")
        time.sleep(3_600)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*map(json.loads, sys.argv[2:]))
