"""A store object on the same place in another process, for the tests of several processes.

Run as a program, this module opens a store and does one job after another that comes in a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import EventStoreError, WrongExpectedVersion
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY

_JSON = Any


class Elsewhere:
    """Another process that has the store open; killed at the end of the ``with`` block.

    ``opening``: Python that binds ``store``, as ``import mine; store = mine.open_it("x.db")``.
    """

    def __init__(self, opening: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, opening],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, job: str, *arguments: _JSON) -> None:
        """Let it begin a job, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([job, *arguments]) + "\n")
        self._process.stdin.flush()

    def told(self) -> _JSON:
        """The next thing it has to say; waits for it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the other process ended"
        return json.loads(line)

    def ask(self, job: str, *arguments: _JSON) -> _JSON:
        """What it says of a job."""
        self.begin(job, *arguments)
        return self.told()

    def kill(self) -> list[_JSON]:
        """Kill it, in the middle of whatever it does; what it had said and nobody read."""
        self._process.kill()
        assert self._process.stdout is not None
        lines = self._process.stdout.read().splitlines(keepends=True)
        self._process.wait()
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()


def told_of(recorded: RecordedEvent) -> list[_JSON]:
    """What the other process says of an event."""
    event = recorded.event
    return [recorded.position, recorded.stream_id, recorded.version, event.id, event.data]


def _append(store: BaseEventStore, stream: str, event_id: str, expected: int | None) -> _JSON:
    try:
        event = DomainEvent(stream, "Happened", id=event_id)
        return told_of(store.append(event, ANY if expected is None else expected))
    except EventStoreError as error:
        return type(error).__name__


def _fill(store: BaseEventStore, stream: str, count: int) -> _JSON:
    return [told_of(store.append(DomainEvent(stream, "Happened", n))) for n in range(count)]


def _batches(store: BaseEventStore, size: int) -> Iterator[_JSON]:
    """Batches over two streams without an end, each told when it is recorded."""
    while True:
        batch = (DomainEvent(f"batched-{n % 2}", "Happened") for n in range(size))
        yield [told_of(recorded) for recorded in store.append_many(batch)]


def compete(store: BaseEventStore, stream: str, rounds: int) -> list[int]:
    """Try for each version in turn; those that were won."""
    won: list[int] = []
    for version in range(rounds):
        try:
            won.append(store.append(DomainEvent(stream, "Happened"), version).version)
        except WrongExpectedVersion:
            continue
    return won


def _read(store: BaseEventStore) -> _JSON:
    return list(map(told_of, store.read_all()))


def _follow(store: BaseEventStore, after: int, count: int) -> Iterator[_JSON]:
    following = store.follow(after)
    for _ in range(count):
        yield told_of(next(following))


_JOBS: dict[str, Callable[..., _JSON]] = {
    "append": _append,
    "fill": _fill,
    "batches": _batches,
    "compete": compete,
    "read": _read,
    "follow": _follow,
}


def _say(value: _JSON) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _main() -> None:
    scope: dict[str, Any] = {}
    exec(sys.argv[1], scope)
    with scope["store"] as store:
        _say("ready")
        for line in sys.stdin:
            job, *arguments = json.loads(line)
            answer = _JOBS[job](store, *arguments)
            for each in answer if isinstance(answer, Iterator) else [answer]:
                _say(each)


if __name__ == "__main__":
    _main()
