"""Clones: what plain git copied is a store, also where it may not be written."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitstore import DomainEvent
from gitstore.backends.git.layout import FEED, TYPES
from tests.backends.git.programs import start
from tests.backends.git.witness import assert_sound, git, picture, reopen

DAY = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="clones-"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)
    shutil.rmtree(folder)


def event(number: int) -> DomainEvent:
    """The events of these tests: two types, three streams, a day each, times falling."""
    kind = ("Even", "Odd")[number % 2]
    when = DAY + timedelta(days=number // 4, hours=-number % 4)
    return DomainEvent(f"task-{number % 3}", kind, number, timestamp=when)


def store_with(path: Path, indexed: int, more: int = 0) -> list[int]:
    """A store whose type index knows so many events; gives the numbers of the Even ones."""
    with reopen(path) as opened:
        for number in range(indexed):
            opened.append(event(number))
        opened.index_types()
        tip = git(path, "rev-parse", TYPES).strip()
        for number in range(indexed, indexed + more):
            opened.append(event(number))
            opened.flush()
    git(path, "update-ref", TYPES, tip)
    return [number for number in range(indexed + more) if number % 2 == 0]


def mirror(source: Path, name: str) -> Path:
    """A ``git clone --mirror`` beside the source."""
    target = source.with_name(name)
    subprocess.run(
        ["git", "clone", "--quiet", "--mirror", "--no-hardlinks", str(source), str(target)],
        check=True,
    )
    return target


def read_as_nobody(
    clone: Path, since: datetime | None = None, *, everything: bool = False
) -> tuple[list[int], list[object]]:
    """The data of the Even events another user reads there, and what else was said."""
    subprocess.run(["chmod", "-R", "a+rX,a-w", str(clone)], check=True)
    before = picture(clone), sorted(clone.rglob("*"))
    text = since.isoformat() if since else None
    scratch = clone.with_name("scratch")
    scratch.mkdir()
    scratch.chmod(0o777)
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with start("read_clone", str(clone), "Even", text, everything, env=environment) as child:
        assert child.stdout is not None
        said = [json.loads(line) for line in child.stdout]
    assert child.returncode == 0, said
    assert (picture(clone), sorted(clone.rglob("*"))) == before, "nothing is written into it"
    assert said.pop() == "closed"
    refused = f"{clone} is read only"
    assert said.pop() == ["error", "StoreUnavailable", refused], "there is nothing to flush"
    assert said.pop() == ["error", "StoreUnavailable", refused], "it takes no events"
    events = list(itertools.takewhile(lambda line: isinstance(line, list), said))
    return [line[2] for line in events], said[len(events) :]


def test_a_types_events_through_the_type_index(place: Path) -> None:
    """By position, those younger than the index too, without any local state."""
    even = store_with(place / "events.git", 20, 5)
    data, rest = read_as_nobody(mirror(place / "events.git", "clone.git"))
    assert data == even
    assert rest == ["done"]


def test_since_looks_at_those_days_only(place: Path) -> None:
    """Inclusive; what lies before it is not read: here, gone."""
    even = store_with(place / "events.git", 20, 4)
    since = event(8).timestamp
    assert since is not None
    clone = mirror(place / "events.git", "clone.git")
    data, _ = read_as_nobody(clone, since)
    assert data == [n for n in even if (event(n).timestamp or DAY) >= since]
    assert 8 in data


def test_without_a_feed_by_time(place: Path) -> None:
    """As a plain remote has it: what the notes list, by time, stream and version."""
    store_with(place / "events.git", 20, 4)
    clone = mirror(place / "events.git", "clone.git")
    git(clone, "update-ref", "-d", FEED)
    data, rest = read_as_nobody(clone, everything=True)
    numbers = [n for n in range(20) if n % 2 == 0]
    assert data == sorted(numbers, key=lambda n: (event(n).timestamp, event(n).stream_id))
    done, error = rest
    assert done == "done"
    assert error[1] == "StoreUnavailable"  # type: ignore[index]
    assert "where it can be written" in error[3]  # type: ignore[index]


def test_everything_else_through_the_feed(place: Path) -> None:
    """All reads work; what that needs is built aside, and gone when the store is closed."""
    even = store_with(place / "events.git", 20, 5)
    data, rest = read_as_nobody(mirror(place / "events.git", "clone.git"), everything=True)
    assert data == even
    _, positions, versions, streams, ok, by_type = rest
    assert positions == list(range(1, 26))
    assert versions == list(range(1, 9))
    assert streams == ["task-0", "task-1", "task-2"]
    assert ok is True
    assert by_type == [event_version(n) for n in even]


def event_version(number: int) -> int:
    """The version of an event: three streams take turns."""
    return number // 3 + 1


@pytest.mark.parametrize("tip", ["foreign", "missing", "damaged"])
def test_a_type_index_that_is_not_ours(place: Path, tip: str) -> None:
    """With a feed nothing depends on it."""
    even = store_with(place / "events.git", 20, 5)
    clone = mirror(place / "events.git", "clone.git")
    if tip == "foreign":
        git(clone, "-c", "user.name=a", "-c", "user.email=a@b", "notes", "--ref=types", "add",
            "-m", "mine", "refs/streams/task-1")  # fmt: skip
    elif tip == "missing":
        git(clone, "update-ref", "-d", TYPES)
    else:
        forged = re.sub("^tree .*", f"tree {'f' * 40}", git(clone, "cat-file", "commit", TYPES))
        made = git(clone, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).strip()
        git(clone, "update-ref", TYPES, made)
    data, (how, *_) = read_as_nobody(clone)
    assert data == even
    assert how == ("done" if tip == "foreign" else "built")


@pytest.mark.parametrize("has_feed", [True, False], ids=["feed", "no-feed"])
def test_a_clone_that_can_be_written_becomes_a_store(place: Path, has_feed: bool) -> None:
    """Opening makes its local state; without a feed positions are given anew."""
    store_with(place / "events.git", 20)
    clone = mirror(place / "events.git", "clone.git")
    if not has_feed:
        git(clone, "update-ref", "-d", FEED)
    with reopen(clone) as opened:
        assert opened.append(event(20)).position == 21
        opened.index_types()
    assert git(clone, "log", "-1", "--format=%s", TYPES).strip() == "complete to position 21"
    git(clone, "merge-base", "--is-ancestor", git(place / "events.git", "rev-parse", TYPES).strip(),
        TYPES)  # fmt: skip
    assert len(assert_sound(clone)) == 21
