"""Checkpoints: where all streams stood, as plain git reads it, and as nothing else may pass."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitstore import DomainEvent, StoreCorrupted, StoreUnavailable, UnsupportedFormat
from gitstore.backends.git import checkpointing
from gitstore.backends.git.checkpointing import Made
from gitstore.backends.git.checkpoints import (
    CheckpointCommit,
    decode_checkpoint,
    decode_tree,
    encode_checkpoint,
    encode_tree,
    entry_of,
)
from gitstore.backends.git.commits import EMPTY_TREE
from gitstore.backends.git.store import GitEventStore
from gitstore.core.names import encode_name
from tests.backends.git.programs import start
from tests.backends.git.witness import assert_sound, filled, git, reopen

LAPTOP = "refs/checkpoints/laptop"
HOSTILE = ["a", "a-b", "a.b", "a/b", "ab", "git~1", ".git", ".gitmodules", "-x", "日本", "x" * 300]
"""Names that sort oddly, that git forbids in trees, and that have to be hashed."""
SAID = CheckpointCommit(
    EMPTY_TREE, "a" * 40, 1_795_000_000, "laptop", 1, 1_234, "an-id", "b" * 40, 1_300
)


@pytest.fixture
def store(place: Path) -> Iterator[GitEventStore]:
    """A store of twelve events in three streams."""
    filled(place / "events.git")
    with reopen(place / "events.git") as opened:
        yield opened


def make(store: GitEventStore, *, signed: bool = False) -> Made:
    """A checkpoint of the machine called laptop."""
    return store.exchange.checkpoint("laptop", signed=signed)


def note(store: GitEventStore, *streams: str) -> None:
    """Append an event to each."""
    store.append_many([DomainEvent(stream, "Noted") for stream in streams])


def tree_of(store: GitEventStore, commit: str) -> dict[str, str]:
    """What plain git lists: name → id; everything is a commit elsewhere."""
    found = {}
    listed = git(store.exchange.layout.root, "ls-tree", "-z", commit)
    for line in listed.split("\0")[:-1]:
        facts, name = line.split("\t")
        mode, kind, found[name] = facts.split(" ")
        assert (mode, kind) == ("160000", "commit")
    return found


def stream_refs(store: GitEventStore) -> dict[str, str]:
    """Name as in refs → tip, as plain git lists them."""
    form = "--format=%(refname:lstrip=2) %(objectname)"
    listed = git(store.exchange.layout.root, "for-each-ref", form, "refs/streams")
    return dict(line.split(" ") for line in listed.splitlines())


def test_a_checkpoint_is_the_list_of_all_tips(store: GitEventStore) -> None:
    """Also of streams with hostile names, and of events that were not in git before."""
    note(store, *HOSTILE)
    made = make(store)
    assert made == (LAPTOP, made.commit, made.said, 14, True)
    assert tree_of(store, LAPTOP) == stream_refs(store)
    assert len(tree_of(store, LAPTOP)) == 14
    root = store.exchange.layout.root
    assert git(root, "rev-parse", LAPTOP).strip() == made.commit
    said = git(root, "cat-file", "commit", LAPTOP).partition("\n\n")[2]
    feed = git(root, "rev-parse", "refs/feed").strip()
    assert said == (
        "checkpoint of laptop: 14 streams, 23 events\n\n"
        f"Store: {store.store_id}\nFeed: {feed}\nPosition: 23\n"
    )


def test_gits_own_diff_lists_the_streams_that_changed(store: GitEventStore) -> None:
    """Moved, new, and none that is as it was; each checkpoint is the parent of the next."""
    make(store)
    note(store, "task-1", "zoo", "task-1", "aaa")
    made = make(store)
    root = store.exchange.layout.root
    names = git(root, "diff", "--name-only", f"{LAPTOP}~", LAPTOP).split()
    assert names == ["aaa", "task-1", "zoo"]
    assert made.changed == 3
    assert git(root, "rev-list", "--count", LAPTOP).strip() == "2"


def test_an_unchanged_store_has_no_new_checkpoint(store: GitEventStore) -> None:
    """Whoever asks again gets the one that is there."""
    made = make(store)
    before = git(store.exchange.layout.root, "count-objects", "-v")
    assert make(store) == made._replace(changed=0, is_new=False)
    assert git(store.exchange.layout.root, "count-objects", "-v") == before


def test_a_store_without_events_has_a_checkpoint_too(place: Path) -> None:
    """Of no stream; what comes later differs from it."""
    with reopen(place / "new.git") as opened:
        made = make(opened)
        assert (made.said.streams, made.said.events, made.said.position) == (0, 0, 0)
        assert made.said.tree == EMPTY_TREE
        note(opened, "a")
        assert make(opened).changed == 1
        assert tree_of(opened, LAPTOP) == stream_refs(opened)


def test_what_is_patched_is_what_is_made_anew(
    store: GitEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every few events the tree is the one that a look at all streams gives."""
    make(store)
    for streams in (["task-1"], ["0", "zz", "task-1"], ["a/b", "a", "a-b", "a.b", "task-10"]):
        note(store, *streams)
        patched = make(store)
        assert tree_of(store, LAPTOP) == stream_refs(store)
        assert (patched.changed, patched.said.events) == (
            len(streams),
            patched.said.position,
        )
        git(store.exchange.layout.root, "update-ref", LAPTOP, f"{patched.commit}~")
        with monkeypatch.context() as patch:
            patch.setattr(checkpointing, "_FEW", -1)
            anew = make(store)
        assert (anew.said.tree, anew.changed) == (patched.said.tree, patched.changed)


@pytest.mark.parametrize("how", ["other store", "other feed", "later"])
def test_a_checkpoint_of_another_history_is_not_patched(store: GitEventStore, how: str) -> None:
    """What a repair left out, or a copy of a store never had, is not in the next tree."""
    made = make(store)
    note(store, "task-1")
    gone = entry_of("gone", bytes.fromhex(made.commit))
    tree = put(store, encode_tree(sorted([gone])).content, "tree")
    facts = made.said._replace(tree=tree, streams=1)
    facts = {
        "other store": facts._replace(store="another"),
        "other feed": facts._replace(feed=made.commit),
        "later": facts._replace(position=1_000),
    }[how]
    forged = put(store, encode_checkpoint(facts).content)
    git(store.exchange.layout.root, "update-ref", LAPTOP, forged)
    again = make(store)
    assert tree_of(store, LAPTOP) == stream_refs(store)
    assert again.changed == 4


def test_git_is_content_with_it(store: GitEventStore, place: Path) -> None:
    """fsck, gc with prune, push, clone and fetch: nobody follows what the tree names."""
    root = store.exchange.layout.root
    note(store, *HOSTILE)
    make(store)
    note(store, "task-1")
    made = make(store)
    before = tree_of(store, LAPTOP)
    assert "error" not in git(root, "fsck", "--full", "--strict")
    git(root, "-c", "gc.pruneExpire=now", "gc", "--quiet")
    git(root, "repack", "-a", "-d", "-q")
    assert tree_of(store, LAPTOP) == before
    git(place, "init", "--quiet", "--bare", str(place / "hub.git"))
    for setting in ("submodule.recurse=true", "push.recurseSubmodules=check"):
        git(root, "-c", setting, "push", "--quiet", str(place / "hub.git"), f"{LAPTOP}:{LAPTOP}")
    assert git(place / "hub.git", "rev-parse", LAPTOP).strip() == made.commit
    git(place / "hub.git", "fsck", "--full", "--strict")
    git(place, "clone", "--quiet", "--mirror", str(place / "hub.git"), str(place / "copy.git"))
    git(place / "copy.git", "fetch", "--quiet", "--recurse-submodules")
    assert git(place / "copy.git", "ls-tree", LAPTOP) == git(root, "ls-tree", LAPTOP)
    store.maintain()
    assert store.verify(deep=True).ok
    assert tree_of(store, LAPTOP) == before


def test_a_ref_with_something_else_is_left_as_it_is(store: GitEventStore) -> None:
    """It is named, with what to do; nothing follows on it."""
    root = store.exchange.layout.root
    git(root, "update-ref", LAPTOP, "refs/feed")
    with pytest.raises(StoreCorrupted, match="no checkpoint can follow") as caught:
        make(store)
    assert f"git update-ref -d {LAPTOP}" in caught.value.hint
    assert git(root, "rev-parse", LAPTOP) == git(root, "rev-parse", "refs/feed")
    git(root, "update-ref", "-d", LAPTOP)
    assert make(store).is_new


def test_a_ref_that_moves_meanwhile_is_not_overwritten(
    store: GitEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them at once: one stands, the other says so."""
    root = store.exchange.layout.root
    encode = checkpointing.encode_checkpoint

    def encode_and_lose(said: CheckpointCommit) -> object:
        git(root, "update-ref", LAPTOP, "refs/feed")
        return encode(said)

    monkeypatch.setattr(checkpointing, "encode_checkpoint", encode_and_lose)
    with pytest.raises(StoreUnavailable, match="could not be moved"):
        make(store)
    assert git(root, "rev-parse", LAPTOP) == git(root, "rev-parse", "refs/feed")


def test_beside_writers_every_checkpoint_is_one_moment(store: GitEventStore) -> None:
    """Its feed's commit ends with its position, and its tips are those of that position."""
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            note(store, "one", "other")

    writer = threading.Thread(target=write)
    writer.start()
    made = [make(store) for _ in range(20)]
    done.set()
    writer.join()
    root = store.exchange.layout.root
    for one in made:
        tips = tree_of(store, one.commit)
        assert one.said.events == one.said.position
        versions = [git(root, "rev-list", "--count", tip).strip() for tip in tips.values()]
        assert sum(map(int, versions)) == one.said.events


def test_death_at_any_step_of_a_checkpoint(place: Path) -> None:
    """Kill -9 leaves the last checkpoint or the new one, and the next one can be made."""
    template = place / "template.git"
    before = filled(template)
    with start("crash_everywhere", str(template), str(place / "deaths"), "checkpoint") as child:
        assert child.stdout is not None
        said = [json.loads(line) for line in child.stdout]
    assert child.returncode == 0
    assert said[-1][1] == "completed"
    assert len(said) > 10
    for k, _, acks in said[:-1:2]:
        path = place / "deaths" / str(k) / "events.git"
        assert_sound(path, [*before, *acks])
        with reopen(path) as opened:
            make(opened)
            assert tree_of(opened, LAPTOP) == stream_refs(opened)
            assert opened.verify(deep=True).ok
        shutil.rmtree(path)


def put(store: GitEventStore, content: bytes, kind: str = "commit") -> str:
    """Write an object with plain git, however malformed."""
    path = store.exchange.layout.root / "forged"
    path.write_bytes(content)
    return git(path.parent, "hash-object", "-w", "-t", kind, "--literally", str(path)).strip()


def test_what_is_written_is_read_back() -> None:
    """With and without a parent, a signature, one of each and many."""
    for said in (SAID, SAID._replace(parent=None), SAID._replace(streams=1_000_000, events=1)):
        content = encode_checkpoint(said).content
        assert decode_checkpoint(content) == said
        signed = content.replace(b"+0000\n\n", b"+0000\ngpgsig -----BEGIN\n abc\n -----END\n\n", 1)
        assert decode_checkpoint(signed) == said._replace(is_signed=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"checkpoint of", b"Checkpoint of"),
        (b"1 stream,", b"1 streams,"),
        (b"1,234 events", b"1234 events"),
        (b"1,234 events", b"12,34 events"),
        (b"1,234 events", b"1,234 event"),
        (b"Position: 1300", b"Position: 01300"),
        (b"Position: 1300\n", b"Position: 1300"),
        (b"Position: 1300\n", b""),
        (b"laptop", b"lap\ntop"),
        (b"\n\nStore", b"\n\n\nStore"),
        (b"author scopecraft", b"author somebody"),
        (b"1795000000 +0000\n\n", b"1795000001 +0000\n\n"),
        (b"1795000000 +0000\n\n", b"1795000000 +0000\nencoding latin1\n\n"),
        (b"parent", b"parent " + b"c" * 40 + b"\nparent"),
    ],
    ids=str,
)
def test_another_commit_is_no_checkpoint(old: bytes, new: bytes) -> None:
    """Whatever is not in the one form."""
    content = encode_checkpoint(SAID).content
    assert old in content
    with pytest.raises(StoreCorrupted, match="no checkpoint"):
        decode_checkpoint(content.replace(old, new, 1))


def test_a_trailer_of_a_newer_version_is_said_to_be_one() -> None:
    """Upgrade, instead of believing in damage."""
    with pytest.raises(UnsupportedFormat, match="'Epoch'"):
        decode_checkpoint(encode_checkpoint(SAID).content + b"Epoch: 7\n")


ONE, TWO = entry_of("a", b"\0" * 20), entry_of("b", b"160000 c\0" + b"x" * 11)


def test_a_tree_is_read_back_whatever_the_ids_hold() -> None:
    """Twenty bytes may look like an entry."""
    entries = sorted([ONE, TWO, *(entry_of(encode_name(name), b"\n" * 20) for name in HOSTILE[1:])])
    assert decode_tree(encode_tree(entries).content) == entries
    assert decode_tree(b"") == []


@pytest.mark.parametrize(
    "content",
    [
        ONE.replace(b"160000", b"100644") + TWO,
        ONE.replace(b"160000", b"40000"),
        ONE + ONE,
        ONE + entry_of("a", b"\1" * 20),
        TWO + ONE,
        ONE + TWO[:-1],
        ONE + b"\n",
        b"160000 \0" + b"x" * 20,
        b"160000 a/b\0" + b"x" * 20,
    ],
    ids=["blob", "tree", "twice", "two of a name", "order", "short", "more", "no name", "slash"],
)
def test_another_tree_is_none_of_a_checkpoint(content: bytes) -> None:
    """Only commits of streams, sorted, each name once."""
    with pytest.raises(StoreCorrupted, match="the checkpoint's tree"):
        decode_tree(content)
