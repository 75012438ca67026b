"""Programs of a machine that is killed at any moment: its writers, exchanges and consumers.

``python -m tests.sync.surviving NAME ARGUMENTS…``, run by ``test_rebase_survival``.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from gitstore import Checkpoint, DomainEvent, RecordedEvent, StaleCheckpoint
from gitstore.sync.pulling import pull
from gitstore.sync.pushing import push
from tests.backends.git.witness import reopen

STREAMS = 50


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a program; its standard output and errors are pipes."""
    command = [sys.executable, "-m", "tests.sync.surviving", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=pipe, stderr=pipe, text=True
    )


def write(store: str, seed: str, count: str) -> None:
    """Append so many events to shared streams; says each id once it is acknowledged."""
    chance = random.Random(int(seed))
    with reopen(Path(store)) as opened:
        _say("ready")
        for number in range(int(count)):
            size = chance.choice((1, 1, 1, 4))
            streams = [f"task-{chance.randrange(STREAMS)}" for _ in range(size)]
            done = opened.append_many(
                [DomainEvent(stream, "Noted", {"by": seed, "n": number}) for stream in streams]
            )
            _say(*(recorded.event.id for recorded in done))
            time.sleep(chance.uniform(0, 0.02))


def exchange(store: str, how: str, other: str) -> None:
    """Push to a remote, or pull from it or another store; says whether all went through."""
    with reopen(Path(store)) as opened:
        _say("ready")
        if how == "push":
            _say(push(opened, other).is_complete)
        else:
            _say(pull(opened, other, rebase=True).ok)


def count(store: str, notes: str, until: str) -> None:
    """Count events: each is noted once, with its position, which is all that is kept.

    Ends at the position ``until``.
    """
    done = _noted(Path(notes))
    position = done[-1][0] if done else 0
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with reopen(Path(store)) as opened:
        _say("ready")
        if position >= int(until):
            return
        for event in opened.follow(position, superseded=True):
            if event.replaces is None:
                os.write(descriptor, f"{event.position} {event.event.id}\n".encode())
            if event.position >= int(until):
                return


def _noted(notes: Path) -> list[tuple[int, str]]:
    """What was counted; a line that was begun only is none, and goes."""
    if not notes.exists():
        return []
    content = notes.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(notes, len(whole))
    lines = [line.split(" ") for line in whole.decode().splitlines()]
    return [(int(position), event) for position, event in lines]


def counted(notes: Path) -> list[str]:
    """The ids of the events that were counted, in that order."""
    return [event for _, event in _noted(notes)]


State = dict[str, str]
"""Stream → a digest of its events in their order: of what a projection makes of them."""


def fold(events: Iterable[RecordedEvent], state: State | None = None) -> State:
    """Go on with a state, or begin one."""
    state = {} if state is None else state
    for event in events:
        before = state.get(event.stream_id, "")
        said = f"{before} {event.version} {event.event.id}"
        state[event.stream_id] = hashlib.sha1(said.encode()).hexdigest()
    return state


def project(store: str, file: str, until: str) -> None:
    """Keep a projection of what is live in a file; ends at the position ``until``."""
    with reopen(Path(store)) as opened:
        _say("ready")
        checkpoint, state = _kept(Path(file)) or (opened.checkpoint(), {})
        while checkpoint.position < int(until):
            try:
                checkpoint = opened.resume(checkpoint)
                for event in opened.follow(checkpoint.position):
                    checkpoint = checkpoint.after(event)
                    _keep(Path(file), checkpoint, fold([event], state))
                    if checkpoint.position >= int(until):
                        return
            except StaleCheckpoint:
                checkpoint, state = opened.checkpoint(), {}


def _keep(file: Path, checkpoint: Checkpoint, state: State) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps([checkpoint.to_dict(), state]))
    new.replace(file)


def _kept(file: Path) -> tuple[Checkpoint, State] | None:
    if not file.exists():
        return None
    checkpoint, state = json.loads(file.read_text())
    return Checkpoint.from_dict(checkpoint), state


def projected(file: Path) -> State:
    """What a projection came to."""
    kept = _kept(file)
    return kept[1] if kept else {}


def _say(*values: object) -> None:
    for value in values:
        os.write(1, json.dumps(value).encode() + b"\n")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
