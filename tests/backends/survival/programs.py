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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitstore import DomainEvent, EventStoreError, WrongExpectedVersion, open_store
from gitstore.backends.disk import locks
from gitstore.core.base import BaseEventStore

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a file, it has only its own folder
from tests.backends.survival.witness import Ack, promise

PROGRAMS: dict[str, Callable[..., None]] = {}
ALONE = ("unshare", "--user", "--map-root-user", "--mount")
"""Runs a program where it may mount a disk that nobody else sees."""


def program(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a program."""
    PROGRAMS[function.__name__] = function
    return function


def start(name: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a program; its standard output is a pipe of JSON lines."""
    of_crashes = ("crash_everywhere", "fail_everywhere", "cut_power")
    file = Path(__file__).with_name("crashing.py" if name in of_crashes else "programs.py")
    command = [sys.executable, str(file), name, *map(json.dumps, arguments)]
    if name == "fill_a_disk":
        command = [*ALONE, *command]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def say(value: object) -> None:
    """Give the test one line."""
    text = memoryview(json.dumps(value).encode() + b"\n")
    while text:
        text = text[os.write(1, text) :]


def acks(done: list[Any]) -> list[Ack]:
    """What a writer was promised about some events."""
    return [promise(recorded) for recorded in done]


@program
def write(where: str, how: str, seed: int, streams: int, most: int) -> None:
    """Append until killed, or ``most`` times; says what was acknowledged.

    ``how``: ``single``, ``batch`` (256 to 300 events at once), ``small`` (2 to 9).
    """
    chance = random.Random(seed)
    names = [f"task-{chance.randrange(streams)}" for _ in range(streams)]
    with open_store(where) as store:
        say("ready")
        for number in range(most):
            size = {"batch": chance.randint(256, 300), "small": chance.randint(2, 9)}.get(how, 1)
            events = [
                DomainEvent(chance.choice(names), f"Noted{seed % 3}", {"seed": seed, "n": number})
                for _ in range(size)
            ]
            say(acks([store.append(events[0])] if size == 1 else store.append_many(events)))


@program
def compete(where: str, stream: str, rounds: int) -> None:
    """Append once a round with an exact expectation; says the rounds won."""
    with open_store(where) as store:
        say("ready")
        sys.stdin.readline()
        for number in range(rounds):
            event = DomainEvent(stream, "Claimed", {"by": os.getpid()})
            with contextlib.suppress(WrongExpectedVersion):
                say(["won", number, promise(store.append(event, number))])
            while store.stream_version(stream) <= number:
                time.sleep(0.001)


@program
def follow(where: str, last: int, how: str) -> None:
    """Say each event as a follower, or as one who polls ``read_all``, up to position ``last``."""
    with open_store(where) as store:
        say("ready")
        if how == "follow":
            for recorded in store.follow():
                say(promise(recorded))
                if recorded.position >= last:
                    return
        after = 0
        while after < last:
            for recorded in store.read_all(after):
                say(promise(recorded))
                after = recorded.position


@program
def create_at_once(where: str, number: int) -> None:
    """Create the store and one stream when told, beside others who do the same."""
    say("ready")
    sys.stdin.readline()
    with open_store(where) as store:
        say(promise(store.append(DomainEvent("task-1", "TaskOpened", {"by": number}))))


@program
def insist(where: str, number: int) -> None:
    """Append one event of a fixed id again and again; says each answer."""
    with open_store(where) as store:
        say("ready")
        sys.stdin.readline()
        for turn in range(number):
            event = DomainEvent("task-1", "Insisted", {"turn": turn}, id=f"event-{turn}")
            say(promise(store.append(event)))


@program
def bounded(where: str, limit: int, how: str) -> None:
    """Append under ``RLIMIT_FSIZE``, lift it, append again: says acknowledgements and errors."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    store = None
    with _errors_said():
        store = open_store(where)
    if store is not None:
        _grow(store, how)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    with store or open_store(where) as opened:
        say([promise(opened.append(DomainEvent("task-after", "WentOn", {})))])


@program
def fill_a_disk(how: str) -> None:
    """Append on a disk of two megabytes until it is full, make room, go on; says what bounded says.

    Run as the first process of a mount namespace of its own. Then says what is there.
    """
    logging.disable(logging.CRITICAL)
    folder = tempfile.mkdtemp()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    kind, how = how.split("-")
    where = f"{kind}:{folder}/events"
    ballast = Path(folder, "ballast")
    ballast.write_bytes(b"x" * 1_000_000)
    store = open_store(where)
    _grow(store, how, 40 if how == "batch" else 2_500)
    ballast.unlink()
    say([promise(store.append(DomainEvent("task-after", "WentOn", {})))])
    with _errors_said():
        store.close()
    with open_store(where) as again:
        say(["there", acks(list(again.read_all())), str(again.verify().findings)])


def _grow(store: BaseEventStore, how: str, times: int = 40) -> None:
    for _ in range(times):
        events = [
            DomainEvent(f"task-{n % 7}", "Grew", {"t": "x" * 200})
            for n in range(300 if how == "batch" else 1)
        ]
        with _errors_said():
            say(acks(store.append_many(events)))


@contextlib.contextmanager
def _errors_said() -> Any:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - judged by the test
        hint = error.hint if isinstance(error, EventStoreError) else None
        say(["error", type(error).__name__, str(error), hint])


@program
def forked(where: str, ending: str) -> None:
    """Fork with an open store; the child uses it, then ends; the parent goes on."""
    store = open_store(where)
    store.append(DomainEvent("task-1", "Before", {}))
    child = os.fork()
    if child == 0:
        _use_after_fork(store)
        if ending == "exit":
            sys.exit(0)  # runs what is registered for the interpreter's end
        del store
        os._exit(0)
    _, status = os.waitpid(child, 0)
    say(["child", status])
    say(promise(store.append(DomainEvent("task-1", "After", {}))))
    store.close()


def _use_after_fork(store: BaseEventStore) -> None:
    uses: list[Callable[[], object]] = [
        lambda: store.append(DomainEvent("task-1", "InChild", {})),
        lambda: store.append_many([DomainEvent("task-1", "InChild", {})]),
        lambda: list(store.read_all()),
        lambda: next(store.follow()),
        lambda: list(store.read_stream("task-1")),
        lambda: list(store.streams()),
        lambda: store.stream_version("task-1"),
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


@program
def reopened_after_fork(where: str) -> None:
    """Fork with an open store; the child opens it anew and appends, the parent closes its own.

    Waits for a line of input before the child's second append.
    """
    store = open_store(where)
    store.append(DomainEvent("task-1", "Before", {}))
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    child = os.fork()
    if child == 0:
        again = open_store(where)
        say(promise(again.append(DomainEvent("task-1", "InChild", {}))))
        os.write(from_child, b".")
        os.read(to_child, 1)
        say(promise(again.append(DomainEvent("task-2", "InChild", {}))))
        os.kill(os.getpid(), signal.SIGKILL)
    os.read(to_parent, 1)
    store.close()
    say(["closed"])
    sys.stdin.readline()
    os.write(from_parent, b".")
    os.waitpid(child, 0)


@program
def killed_beside_a_worker(where: str) -> None:
    """Fork a worker while every lock is held, as another thread may hold one, and die."""
    store = open_store(where)
    say(promise(store.append(DomainEvent("task-1", "Before", {}))))
    for lock in list(locks._alive):
        lock.acquire()
    worker = os.fork()
    if worker == 0:
        os.close(sys.stdout.fileno())  # it must not keep the test waiting for more
        time.sleep(60)
        os._exit(0)
    say(["worker", worker])
    os.kill(os.getpid(), signal.SIGKILL)


@program
def unprivileged(where: str) -> None:
    """Use a store without leave to write, as nobody: says what came of it."""
    if os.getuid() == 0:
        _import_all(where.partition(":")[0])
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    store = None
    try:
        store = open_store(where, create=False)
        say(acks(list(store.read_all())))
        say(sorted(store.streams()))
        say([event.version for event in store.read_stream("task-1")])
        say([str(finding) for finding in store.verify().findings])
        say(store.status().events)
        store.append(DomainEvent("task-1", "Refused", {}))
    except EventStoreError as error:
        say([type(error).__name__, str(error), error.hint])
    if store is not None:
        store.close()
    say("closed")


def _import_all(kind: str) -> None:
    """Import everything while there is leave to."""
    with tempfile.TemporaryDirectory() as folder, open_store(f"{kind}:{folder}/events") as other:
        other.append(DomainEvent("task-1", "Imported", {}))
        assert other.verify().ok
        assert other.status().events == len(list(other.read_all()))


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*map(json.loads, sys.argv[2:]))
