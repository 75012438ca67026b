"""Checkpoints as bytes: where all streams stood, as a git tree. FORMAT.md, "Checkpoints".

The tree is flat: an entry a stream, of git's mode for a commit elsewhere, which git neither follows
nor looks for. So git's own diff of two checkpoints lists the streams that changed. Nothing here
touches a file.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice
from operator import lt
from typing import NamedTuple

from gitstore.backends.git.commits import COMMITTER, GitObject
from gitstore.core.errors import StoreCorrupted, UnsupportedFormat

MOST_BYTES = 1 << 28
"""Of a tree: some four million streams."""

Entry = bytes
"""One stream in a tree, ``160000 <name> NUL <20 bytes of the commit's id>``, as git keeps it."""

_HEAD = re.compile(
    rb"tree ([0-9a-f]{40})\n(?:parent ([0-9a-f]{40})\n)?author %b (\d{1,11}) \+0000\n"
    rb"committer %b \3 \+0000\n" % (re.escape(COMMITTER), re.escape(COMMITTER))
)
_SIGNATURE = re.compile(rb"gpgsig [^\n]*\n(?: [^\n]*\n)*")
_MESSAGE = re.compile(
    rb"\ncheckpoint of ([!-~]{1,100}): (0|[1-9][0-9,]{0,24}) streams?, "
    rb"(0|[1-9][0-9,]{0,24}) events?\n\n"
    rb"Store: ([!-~]{1,100})\nFeed: ([0-9a-f]{40})\nPosition: (0|[1-9][0-9]{0,18})\n"
    rb"((?:[A-Za-z0-9-]+: [^\n]*\n)*)"
)
_ENTRY = re.compile(rb"160000 [^\0/]+\0.{20}", re.DOTALL)
_ID_BYTES = 20
_NONE = "it is no checkpoint: its commit is not in the form of one"


class CheckpointCommit(NamedTuple):
    """What the commit of a checkpoint says.

    - ``tree``, ``feed``, and ``parent`` (the checkpoint before it, or ``None``): 40 hex digits;
      ``date``: seconds since 1970.
    - ``machine``: who made it; ``store``: the id of the store it was made in.
    - ``streams``, ``events``: how many there were; ``position``: the last one ``feed`` lists.
    - ``is_signed``: whether it has a signature, good or not.
    """

    tree: str
    parent: str | None
    date: int
    machine: str
    streams: int
    events: int
    store: str
    feed: str
    position: int
    is_signed: bool = False


def encode_checkpoint(said: CheckpointCommit) -> GitObject:
    """The commit, without a signature."""
    above = f"parent {said.parent}\n" if said.parent else ""
    who = f"{COMMITTER.decode()} {said.date} +0000"
    streams, events = _counted(said.streams, "stream"), _counted(said.events, "event")
    text = (
        f"tree {said.tree}\n{above}author {who}\ncommitter {who}\n\n"
        f"checkpoint of {said.machine}: {streams}, {events}\n\n"
        f"Store: {said.store}\nFeed: {said.feed}\nPosition: {said.position}\n"
    )
    return GitObject.of("commit", text.encode())


def decode_checkpoint(content: bytes) -> CheckpointCommit:
    """What a checkpoint's commit says; ``StoreCorrupted`` where it is none.

    Raises ``UnsupportedFormat`` for a trailer of a newer version.
    """
    unsigned = without_signature(content)
    head = _HEAD.match(content)
    message = _MESSAGE.fullmatch(unsigned, head.end()) if head else None
    if head is None or message is None:
        raise StoreCorrupted(_NONE)
    *facts, newer = (group.decode(errors="replace") for group in message.groups())
    if newer:
        name = newer.partition(":")[0]
        raise UnsupportedFormat(f"the checkpoint has a trailer {name!r} this version does not know")
    machine, streams, events, store, feed, position = facts
    tree, parent, date = head.groups()
    said = CheckpointCommit(
        tree.decode(),
        parent.decode() if parent else None,
        int(date),
        machine,
        int(streams.replace(",", "")),
        int(events.replace(",", "")),
        store,
        feed,
        int(position),
        len(unsigned) < len(content),
    )
    if encode_checkpoint(said).content != unsigned:
        raise StoreCorrupted(_NONE)
    return said


def without_signature(content: bytes) -> bytes:
    """A commit without the signature after its headers, if it has one."""
    head = _HEAD.match(content)
    signature = _SIGNATURE.match(content, head.end()) if head else None
    return content[: signature.start()] + content[signature.end() :] if signature else content


def entry_of(name: str, commit: bytes) -> Entry:
    """The entry of a stream: its name as in refs, and the 20 bytes of its last commit's id."""
    return b"160000 %b\0%b" % (name.encode(), commit)


def name_of(entry: Entry) -> bytes:
    """The stream's name as in refs."""
    return entry[7 : -_ID_BYTES - 1]


def commit_of(entry: Entry) -> str:
    """The id of the stream's last commit, 40 hex digits."""
    return entry[-_ID_BYTES:].hex()


def encode_tree(entries: Iterable[Entry]) -> GitObject:
    """The tree of these entries, which are sorted as bytes."""
    return GitObject.of("tree", b"".join(entries))


def decode_tree(content: bytes) -> list[Entry]:
    """The entries of a checkpoint's tree, sorted as bytes, each name once.

    Raises ``StoreCorrupted`` where anything else is in it. Names may be such as no stream has.
    """
    entries = split_tree(content)
    keys = [entry[:-_ID_BYTES] for entry in entries]
    if not all(map(lt, keys, islice(keys, 1, None))):
        raise StoreCorrupted("the checkpoint's tree is not sorted, or holds a name twice")
    return entries


def split_tree(content: bytes) -> list[Entry]:
    """``decode_tree`` in half the time, for a tree of our own: order and names go unchecked."""
    entries: list[Entry] = _ENTRY.findall(content)
    if sum(map(len, entries)) != len(content):
        raise StoreCorrupted("the checkpoint's tree holds something else than commits of streams")
    return entries


def patch(entries: list[Entry], changed: Iterable[Entry]) -> int:
    """Put ``changed`` in the place of what stands there under their names; how many differ."""
    count = 0
    for entry in changed:
        key = entry[:-_ID_BYTES]
        at = bisect_left(entries, key)
        if at == len(entries) or not entries[at].startswith(key):
            entries.insert(at, entry)
        elif entries[at] != entry:
            entries[at] = entry
        else:
            continue
        count += 1
    return count


def differing(one: Iterable[Entry], other: Iterable[Entry]) -> int:
    """How many streams do not stand the same in both."""
    return len({name_of(entry) for entry in set(one) ^ set(other)})


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
