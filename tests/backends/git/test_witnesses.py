"""Equal histories give equal refs, plain git agrees, and no configuration changes a byte."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen

import git as gitpython
import pytest

from gitstore import DomainEvent
from tests.backends.git.witness import (
    assert_git_agrees,
    assert_sound,
    filled,
    git,
    promise,
    reopen,
)
from tests.backends.processes import lines

Begin = Callable[..., Popen[str]]
STREAMS = ["task-AUTH-001", "worktree-feature/auth", "a", "a/b", "..", "x.lock", "@{", "-x", "🎉"]


def history(path: Path, events: int, seed: int = 11) -> Path:
    """Write a generated history: every event with id, time and version, times out of order."""
    chance = random.Random(seed)
    begun = datetime(2026, 11, 23, 8, tzinfo=UTC)
    versions = dict.fromkeys([*STREAMS, *(f"session-{n}" for n in range(60))], 0)
    with path.open("w") as file:
        for number in range(events):
            stream = chance.choice(list(versions))
            versions[stream] += 1
            when = begun + timedelta(seconds=number - chance.randrange(900))
            event = {
                "id": f"{seed:08x}-0000-7000-8000-{number:012x}",
                "streamId": stream,
                "type": chance.choice(["TaskOpened", "Noted", "Größe"]),
                "version": versions[stream],
                "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "data": {"n": number, "text": "é" * chance.choice([0, 3, 9_000 // 2])},
                "metadata": {"userId": chance.choice(["user-1", "Zoë <z@x>", ""])},
            }
            file.write(json.dumps(event) + "\n")
    return path


def stream_refs(store: Path) -> str:
    """Every stream ref with its commit."""
    return git(store, "for-each-ref", "refs/streams")


def test_equal_histories_give_equal_refs(place: Path, begin: Begin) -> None:
    """Batch sizes, stream orders and processes leave no trace in the streams."""
    source = history(place / "history.jsonl", 900)
    found = []
    for number, (batch, by) in enumerate([(1, "time"), (900, "stream"), (37, "reversed")]):
        store = place / f"{number}.git"
        lines(begin("load", str(store), str(source), batch, by))
        found.append(stream_refs(store))
        assert_sound(store)
    assert found[0] == found[1] == found[2]


def test_gitpython_and_git_agree(place: Path, begin: Begin) -> None:
    """Two witnesses that know nothing of this package count and read the same."""
    source = history(place / "history.jsonl", 300)
    store = place / "events.git"
    lines(begin("load", str(store), str(source), 50, "time"))
    events = assert_sound(store)
    with gitpython.Repo(store) as repository:
        commits = {
            commit.hexsha: commit
            for ref in repository.refs
            if ref.path.startswith("refs/streams/")
            for commit in repository.iter_commits(ref.path)
        }
        assert len(commits) == len(events)
        for event in events:
            place_name = f"{event.event.type} {event.stream_id}@{event.version}"
            assert str(commits[event.commit or ""].message).split("\n")[0] == place_name
        heads = [str(commit.message).split("\n")[0] for commit in repository.iter_commits("feed")]
        assert heads[-1].startswith("feed ")


HOUSEKEEPING = [
    ["gc", "--prune=now", "--aggressive", "--quiet"],
    ["repack", "-a", "-d", "-q"],
    ["pack-refs", "--all"],
    ["reflog", "expire", "--expire=now", "--all"],
    ["prune", "--expire=now"],
]


def test_housekeeping_changes_nothing(place: Path) -> None:
    """Gc, repack, prune, pack-refs and reflog expiry change no event, and the store goes on."""
    store = place / "events.git"
    acks = filled(store, 30, 5)
    with reopen(store) as opened:
        for number, command in enumerate(HOUSEKEEPING):
            git(store, *command)
            acks.append(promise(opened.append(DomainEvent("task-0", "Between", number))))
            many = [DomainEvent(f"task-{n}", "Many", n) for n in range(300)]
            acks += map(promise, opened.append_many(many))
            opened.flush()
            assert_git_agrees(store, list(opened.read_all()))
    assert_sound(store, acks)


BESIDE_WRITERS = [
    ["gc", "--aggressive", "--quiet"],
    ["repack", "-a", "-d", "-q"],
    ["pack-refs", "--all"],
    ["reflog", "expire", "--expire=now", "--all"],
]
"""Without ``--prune=now``, of which git says that it may corrupt a repository others write to."""


def test_housekeeping_beside_writers(place: Path, begin: Begin) -> None:
    """The same while processes append: nothing acknowledged is pruned away."""
    store = place / "events.git"
    filled(store, 5)
    writers = [
        begin("write", str(store), how, 5, 12, most)
        for how, most in (("single", 250), ("batch", 6), ("append", 80))
    ]
    for _ in range(2):
        for command in BESIDE_WRITERS:
            # Two of git's own commands may be in each other's way, or meet a ref being moved.
            git(store, *command, check=False)
    acks = [ack for writer in writers for said in lines(writer)[1:] for ack in said]  # type: ignore[attr-defined]
    assert len(assert_sound(store, acks)) == len(acks) + 5


def hostile_configuration(home: Path) -> dict[str, str]:
    """A user's configuration and environment that would change or break nearly everything."""
    hooks, template = home / "hooks", home / "template"
    for folder in (hooks, template / "hooks"):
        folder.mkdir(parents=True)
        for name in ("reference-transaction", "post-checkout", "pre-auto-gc", "post-update"):
            (folder / name).write_text("#!/bin/sh\nexit 1\n")
            (folder / name).chmod(0o755)
    (template / "config").write_text("[core]\n\tlogAllRefUpdates = always\n")
    (home / "hostile").write_text(
        f"""
[user]
	name = Mallory
	email = mallory@example.org
	signingKey = 0xDEADBEEF
[commit]
	gpgSign = true
[tag]
	gpgSign = true
[gpg]
	program = /bin/false
[i18n]
	commitEncoding = ISO-8859-1
	logOutputEncoding = ISO-8859-1
[core]
	hooksPath = {hooks}
	logAllRefUpdates = always
	compression = 9
	autocrlf = true
	sharedRepository = all
[init]
	templateDir = {template}
	defaultBranch = trunk
	defaultObjectFormat = sha256
	defaultRefFormat = reftable
[safe]
	bareRepository = explicit
[transfer]
	fsckObjects = true
[gc]
	auto = 1
"""
    )
    return {
        "GIT_CONFIG_GLOBAL": str(home / "hostile"),
        "GIT_DIR": str(home / "nowhere"),
        "GIT_WORK_TREE": str(home),
        "GIT_OBJECT_DIRECTORY": str(home / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(home / "alternates"),
        "GIT_INDEX_FILE": str(home / "index"),
        "GIT_NAMESPACE": "other",
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_TEMPLATE_DIR": str(template),
        "GIT_AUTHOR_NAME": "Mallory",
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z",
        "GIT_COMMITTER_NAME": "Mallory",
        "GIT_COMMITTER_EMAIL": "mallory@example.org",
        "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "false",
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
    }


def test_a_hostile_configuration_changes_no_byte(place: Path, home: Path, begin: Begin) -> None:
    """Signing, encodings, hooks, templates, identities and GIT_* variables reach no commit."""
    source = history(place / "history.jsonl", 300)
    calm, hostile = place / "calm.git", place / "hostile.git"
    lines(begin("load", str(calm), str(source), 40, "time"))
    environment = os.environ | hostile_configuration(home)
    lines(begin("load", str(hostile), str(source), 300, "stream", env=environment))
    assert stream_refs(calm) == stream_refs(hostile)
    assert git(calm, "rev-parse", "HEAD") == git(hostile, "rev-parse", "HEAD")
    assert_sound(hostile)
    assert not (hostile / "logs").exists()
    assert not (hostile / "hooks").exists()
    assert not list(home.glob("nowhere*"))
    for name in ("objects", "alternates", "index"):
        assert not (home / name).exists()
    lines(begin("write", str(hostile), "append", 1, 5, 20, env=environment))
    lines(begin("write", str(hostile), "batch", 1, 5, 1, env=environment))
    assert_sound(hostile)


def test_replace_refs_forge_nothing(place: Path) -> None:
    """A ``refs/replace`` that shows another message under a true id changes no read and no log."""
    store = place / "events.git"
    acks = filled(store, 6, 2)
    commit = str(acks[0][3])
    forged = git(store, "cat-file", "commit", commit).replace('{"n":0}', '{"n":9}')
    other = git(store, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).strip()
    git(store, "update-ref", f"refs/replace/{commit}", other)
    for path in (store / "gitstore").glob("index.db*"):
        path.unlink()
    events = assert_sound(store, acks)
    assert events[0].event.data == {"n": 0}
    assert '{"n":0}' in git(store, "log", "--format=%B", "refs/streams/task-0")


@pytest.mark.parametrize("events", [5, 400])
def test_files_are_the_users_alone(place: Path, events: int) -> None:
    """No file of a store may be read by others, whatever the umask."""
    before = os.umask(0)
    try:
        store = place / "events.git"
        with reopen(store) as opened:
            opened.append_many([DomainEvent(f"task-{n % 80}", "N", n) for n in range(events)])
            opened.append(DomainEvent("task-0", "N", {}))
        open_to_others = [p for p in store.rglob("*") if p.lstat().st_mode & 0o077]
    finally:
        os.umask(before)
    assert not open_to_others
