"""Stores that are broken at random, and what anybody can still read of them."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gitstore import DomainEvent
from gitstore.backends.git.background import BackgroundFlush
from tests.backends.git.witness import reopen

NAMES = ("task-1", "task-2", "worktree-feature/auth", "ünï-ćode", "-x..lock", "a@{b}~^:?*[\\")
_START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def build(place: Path) -> Path:
    """A store with all that one can have, as a killed process leaves it: some events wait."""
    store, copy = place / "building.git", place / "template.git"
    chance = random.Random(11)
    wake = BackgroundFlush.wake
    with reopen(store) as opened:
        BackgroundFlush.wake = lambda self: None  # type: ignore[method-assign]
        try:
            opened.append_many([_event(chance, n) for n in range(300)])
            for n in range(300, 324):
                opened.append(_event(chance, n))
                if n % 2:
                    opened.flush()
            opened.flush()
            opened.append_many([_event(chance, n) for n in range(324, 330)])
            _fold(store)
            shutil.copytree(store, copy)
        finally:
            BackgroundFlush.wake = wake  # type: ignore[method-assign]
    return copy


def _event(chance: random.Random, number: int) -> DomainEvent:
    spilled = "s" * 9_000 if number % 60 == 7 else ""
    return DomainEvent(
        chance.choice(NAMES),
        chance.choice(("Noted", "TaskOpened", "Über")),
        {"n": number, "text": "t" * chance.randrange(80), "spilled": spilled, "f": 1.5e-9},
        {"userId": chance.choice(("ada", "Bö <b>")), "trace": {"n": number}},
        timestamp=_START + timedelta(minutes=number),
    )


def _fold(store: Path) -> None:
    """Bring the databases' logs into their files, as a checkpoint does."""
    for name in ("journal.db", "index.db"):
        with contextlib.closing(sqlite3.connect(store / "gitstore" / name)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# Breaking


def files(store: Path) -> list[Path]:
    """Every file that holds something; logs of SQLite, locks and the salvage are none of them.

    A log is left out because SQLite ends it at the first frame whose checksum fails, as after a
    power cut: what stood behind is gone without a trace, and no reader can know of it.
    """
    passed = ("-wal", "-shm", ".lock")
    return sorted(
        path
        for path in store.rglob("*")
        if path.is_file()
        and not path.name.endswith(passed)
        and path.stat().st_size
        and "salvage" not in path.parts
        and path.name != "description"
    )


def flip(store: Path, chance: random.Random) -> str:
    """Turn over bits of one byte of one file."""
    path = chance.choice(files(store))
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content))
    bits = chance.choice((0xFF, 1 << chance.randrange(8)))
    content[at] ^= bits
    path.write_bytes(content)
    return f"{path.relative_to(store)}: byte {at} xor {bits:#x}"


def cut(store: Path, chance: random.Random) -> str:
    """Keep the beginning of a file."""
    path = chance.choice(files(store))
    path.chmod(0o600)
    size = chance.randrange(path.stat().st_size)
    path.write_bytes(path.read_bytes()[:size])
    return f"{path.relative_to(store)}: cut to {size} bytes"


def remove(store: Path, chance: random.Random) -> str:
    """Delete a file."""
    path = chance.choice(files(store))
    path.unlink()
    return f"{path.relative_to(store)}: removed"


def move_ref(store: Path, chance: random.Random) -> str:
    """Point a ref elsewhere with plain git, or delete it."""
    refs = _git(store, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")[:-1]
    name, at = chance.choice(refs).split(" ")
    how = chance.randrange(3)
    if how == 0:
        _git(store, "update-ref", "-d", name)
        return f"{name}: deleted"
    to = chance.choice(refs).split(" ")[1]
    if how == 1:
        commits = _git(store, "rev-list", at).split()
        to = chance.choice(commits)
    _git(store, "update-ref", name, to)
    return f"{name}: {at} → {to}"


def change_row(store: Path, chance: random.Random) -> str:
    """Change one value of a row of the index by SQL."""
    columns = "stream version type time event_id commit_id user correlation data metadata position"
    column = chance.choice(columns.split())
    values = (0, 1, 2, 77, "x", b"x", b"{}", b'{"n":1}', None, -1)
    value, at = chance.choice(values), chance.randrange(1, 320)
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db:
        with contextlib.suppress(sqlite3.IntegrityError), db:
            db.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (value, at))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return f"index.db: {column} = {value!r} at position {at}"


def delete_row(store: Path, chance: random.Random) -> str:
    """Take a row of one of the index's tables away."""
    table = chance.choice(("events", "streams", "words", "state"))
    with contextlib.closing(sqlite3.connect(store / "gitstore" / "index.db")) as db:
        rows = [row for (row,) in db.execute(f"SELECT rowid FROM {table}")]
        row = chance.choice(rows)
        with db:
            db.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return f"index.db: row {row} of {table} deleted"


BREAKS: tuple[Callable[[Path, random.Random], str], ...] = (
    flip,
    flip,
    flip,
    flip,
    cut,
    remove,
    move_ref,
    change_row,
    delete_row,
)


def break_it(store: Path, seed: int) -> str:
    """Break a store as this seed says; in words."""
    chance = random.Random(seed)
    return chance.choice(BREAKS)(store, chance)


def _git(store: Path, *arguments: str) -> str:
    command = ["git", f"--git-dir={store}", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(
        errors="surrogateescape"
    )


# Looking


@dataclass(frozen=True, slots=True)
class Sight:
    """What every way of reading gives: all events, streams, refs, and what ``git fsck`` says."""

    events: tuple[Any, ...]
    by_stream: tuple[Any, ...]
    by_filter: tuple[Any, ...]
    refs: str


def look(store: Path) -> Sight:
    """Everything a reader can see of a store; raises what a reader would get.

    ``git fsck`` must find nothing, but for broken links of what no ref reaches: where a pack was
    damaged, parts of the type index before it was made anew may be left.
    """
    with reopen(store) as opened:
        opened.flush()
        events = tuple(map(_whole, opened.read_all()))
        backwards = tuple(map(_whole, opened.read_all(backwards=True)))
        assert backwards == events[::-1]
        by_stream = tuple(
            (name, *map(_whole, opened.read_stream(name))) for name in opened.streams()
        )
        by_filter = tuple(_filtered(opened))
    _check_git(store)
    refs = _git(store, "for-each-ref", "--format=%(refname) %(objectname)", "refs/streams")
    return Sight(events, by_stream, by_filter, refs)


def _check_git(store: Path) -> None:
    whole, reachable = (
        subprocess.run(
            ["git", f"--git-dir={store}", "fsck", "--strict", "--no-dangling", *how],
            capture_output=True,
            check=False,
        )
        for how in ((), ("--connectivity-only",))
    )
    said = [line.split() for line in whole.stdout.decode().splitlines()]
    assert all(words[0] in {"broken", "to", "missing"} for words in said), said
    for found in (reachable, *(() if said else (whole,))):
        assert found.returncode == 0, (found.stdout + found.stderr).decode(errors="replace")


def readable(store: Path) -> dict[str, tuple[Any, ...]]:
    """Commit → what is read, without the position, which a repair may give anew."""
    with reopen(store) as opened:
        return by_commit(map(_whole, opened.read_all()))


def _filtered(opened: Any) -> Iterator[Any]:
    yield tuple(map(_whole, opened.read_all(types="TaskOpened")))
    yield tuple(map(_whole, opened.read_all(users="ada")))
    yield tuple(map(_whole, opened.read_all(categories="task", since=_START)))
    yield tuple(map(_whole, opened.read_all(since=_START + timedelta(minutes=100))))
    for recorded in opened.read_all(types="Über"):
        found = opened.find_event(recorded.event.id)
        yield _whole(found) if found else None


def _whole(recorded: Any) -> tuple[Any, ...]:
    event = json.dumps(recorded.event.to_dict(), sort_keys=True)
    return (recorded.position, recorded.commit, event)


def by_commit(events: Iterable[tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Commit → what is read, without the position, which a repair may give anew."""
    return {event[1]: event[2:] for event in events}
