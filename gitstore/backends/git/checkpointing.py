"""Making a checkpoint: where all streams stand now, on the ref of this machine.

The tips are those of one moment, when all that was recorded is in git. Tree and commit are made and
signed with no lock held, for signing may ask a person for a password; then the ref is moved, from
where it was. What is killed in between leaves nothing that counts, and may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitstore.backends.disk.files import make_directory
from gitstore.backends.git import feed, signing
from gitstore.backends.git.checkpoints import (
    CheckpointCommit,
    Entry,
    decode_checkpoint,
    differing,
    encode_checkpoint,
    encode_tree,
    entry_of,
    patch,
    split_tree,
    without_signature,
)
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.layout import CHECKPOINTS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.upkeep import Upkeep
from gitstore.core.errors import EventStoreError, StoreCorrupted, StoreUnavailable
from gitstore.core.names import encode_name
from gitstore.core.timestamps import to_microseconds

_FEW = 10_000
"""Up to so many events after the last checkpoint its tree is patched: 3 times as fast."""
_MOST_COMMIT = 1 << 16


class Made(NamedTuple):
    """A checkpoint, as it stands on ``ref``.

    ``changed``: how many streams do not stand where they stood in the one before it. ``is_new``:
    whether it was made now; else nothing has changed since, and it is the last one.
    """

    ref: str
    commit: str
    said: CheckpointCommit
    changed: int
    is_new: bool


class _Now(NamedTuple):
    """The store at one moment; ``tips``: of all streams, or of those that may have changed."""

    position: int
    feed: str
    streams: int
    events: int
    tips: Sequence[tuple[str, int, bytes]]
    is_all: bool


def make(parts: Parts, upkeep: Upkeep, machine: str, *, signed: bool = False) -> Made:
    """Commit where all streams stand on ``refs/checkpoints/<machine>``, unless it says so already.

    ``signed``: by git, as its user has configured it; also makes one where nothing has changed and
    the last one has no signature. Raises ``SigningFailed``, ``StoreUnavailable`` where the ref
    cannot be moved, and ``StoreCorrupted`` where it holds no checkpoint: then nothing was written.
    """
    ref = CHECKPOINTS + machine
    tip = parts.refs.read(ref)
    last = None if tip is None else _read(parts, ref, tip)
    with upkeep.still():
        now = _look(parts, last)
    entries, changed = _entries(parts, last, now)
    if tip and last and changed == 0 and (last.is_signed or not signed):
        return Made(ref, tip, last, 0, is_new=False)
    tree = encode_tree(entries)
    said = CheckpointCommit(
        tree.id,
        tip,
        to_microseconds(parts.stamper.clock()) // 1_000_000,
        machine,
        now.streams,
        now.events,
        parts.journal.state().store_id,
        now.feed,
        now.position,
        signed,
    )
    commit = _commit(parts, tree, said)
    _put(parts, upkeep, RefUpdate(ref, commit.id, frozenset({tip})), tree, commit)
    return Made(ref, commit.id, said, changed, is_new=True)


def read_checkpoint(parts: Parts, commit: str) -> CheckpointCommit:
    """What the checkpoint at ``commit`` says; ``StoreCorrupted`` where that is none.

    Raises ``UnsupportedFormat`` where a newer version made it.
    """
    return decode_checkpoint(parts.objects.read_at_most(_MOST_COMMIT, commit))


def _read(parts: Parts, ref: str, tip: str) -> CheckpointCommit:
    try:
        return read_checkpoint(parts, tip)
    except StoreCorrupted as error:
        raise StoreCorrupted(
            f"{ref} is at {tip}, on which no checkpoint can follow: {error}",
            hint=f"Move it out of the way with plain git: `git update-ref -d {ref}`.",
        ) from error


def _look(parts: Parts, last: CheckpointCommit | None) -> _Now:
    """The store as it is; the flush lock is held."""
    position, tip = parts.index.state()
    is_few = last is not None and _goes_on(parts, last, position, tip)
    since = last.position if last and is_few else 0
    tips = parts.index.tips_since(since) if is_few else parts.index.tips()
    return _Now(position, tip, *parts.index.totals(), tips, not is_few)


def _goes_on(parts: Parts, last: CheckpointCommit, position: int, tip: str) -> bool:
    """Whether few events came since the last checkpoint, and nothing was lost: the feed says so."""
    if last.store != parts.journal.state().store_id or not 0 <= position - last.position <= _FEW:
        return False
    at: str | None = tip
    while at is not None and at != last.feed:
        span = feed.span_of(parts.objects.read(at))
        if span.last <= last.position:
            return False
        at = span.parent
    return at is not None


def _entries(parts: Parts, last: CheckpointCommit | None, now: _Now) -> tuple[list[Entry], int]:
    """The entries of the new tree, and how many of them are not those of the last one."""
    entries = [entry_of(encode_name(name), commit) for name, _, commit in now.tips]
    before = split_tree(parts.objects.read(last.tree, "tree")) if last else []
    if now.is_all:
        return sorted(entries), differing(before, entries)
    changed = patch(before, entries)
    if len(before) != now.streams:
        raise StoreCorrupted(
            f"the tree of the last checkpoint, {last.tree if last else ''}, is not as it was made",
            hint=f"Delete the ref below {CHECKPOINTS} with `git update-ref -d`, and make it anew.",
        )
    return before, changed


def _commit(parts: Parts, tree: GitObject, said: CheckpointCommit) -> GitObject:
    commit = encode_checkpoint(said)
    if not said.is_signed:
        return commit
    signed = signing.sign(parts.layout.root, tree, commit)
    if without_signature(signed.content) != commit.content or signed.id == commit.id:
        raise EventStoreError(
            "git made another commit of the checkpoint than it was to sign; nothing was written",
            hint="This is a bug: report it with the version of git.",
        )
    return signed


def _put(
    parts: Parts, upkeep: Upkeep, update: RefUpdate, tree: GitObject, commit: GitObject
) -> None:
    """Write the objects, then move the ref; all of it durable."""
    folder = parts.layout.root / CHECKPOINTS
    if not folder.is_dir():
        make_directory(folder)
    for failure in upkeep.move_refs([update], [tree, commit]):
        raise StoreUnavailable(
            f"{update.name} could not be moved: {failure.why}",
            hint="Another checkpoint may have been made just now; try again.",
        )
