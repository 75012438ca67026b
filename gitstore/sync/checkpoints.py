"""Checkpoints between machines: made here, and the store held against those of others.

``git push`` and ``git fetch`` carry them as any ref: ours is ``refs/checkpoints/<machine>``, those
of a remote are tracked as ``refs/remotes/<remote>/checkpoints/<machine>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitstore.backends.git.checkpointing import Made
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import CHECKPOINTS, REMOTES, tracked
from gitstore.backends.git.proving import Proof, prove
from gitstore.backends.git.store import GitEventStore
from gitstore.core.errors import EventStoreError, StoreCorrupted, UnsupportedFormat
from gitstore.core.findings import Progress, silent
from gitstore.sync import remotes
from gitstore.sync.fetching import refresh
from gitstore.sync.sources import Source
from gitstore.sync.transport import Transport

_MAKE = "`sc-events checkpoint` makes one; `sc-events push` brings it to a remote."


class NoCheckpoint(EventStoreError):
    """What was named is no checkpoint, and no remote that has some."""

    hint = _MAKE


@dataclass(frozen=True, slots=True)
class Checked:
    """One checkpoint that the store was held against.

    ``ref``: its full name, or what it was named by; ``commit``: where it is. ``proof``: what came
    of it; ``None`` where there is no checkpoint at all in a ref for such, and ``why``.
    """

    ref: str
    commit: str
    proof: Proof | None
    why: str = ""


def checkpoint(store: GitEventStore, *, signed: bool = False) -> Made:
    """Commit where all streams stand on ``refs/checkpoints/<machine>``.

    ``signed``: through git, with the user's own key. Where nothing has changed since the last one,
    that is given, and nothing is written, unless it lacks the signature asked for. Raises
    ``SigningFailed`` where git cannot sign: then nothing was written.
    """
    exchange = store.exchange
    return exchange.checkpoint(remotes.machine(exchange.layout.root), signed=signed)


def check_against(
    store: GitEventStore,
    named: str,
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> list[Checked]:
    """Hold the store against the checkpoint ``named``, or against all of the remote of that name.

    A remote is fetched first, and nothing is taken in. What it had when it was last fetched, and
    has taken back since, is held against too: who shortens a stream may hide what tells. A
    checkpoint is named by its ref, in full or as git shortens it, by its machine, or by its
    commit's id. Raises ``NoCheckpoint`` where none is meant, and what ``pull`` does where the
    remote cannot be fetched.
    """
    tell = progress or silent
    root = store.examine(lambda parts: parts.layout.root)
    if named in store.examine(lambda parts: remotes.urls(parts.layout.root)):
        transport = Transport(root, named, timeout=timeout, progress=progress)
        known = _tracked(store, named)
        refresh(store.exchange, transport, Source(named, named, named, named))
        found = [*_tracked(store, named).items()]
        found += [one for one in known.items() if not _is_below(root, one[1], dict(found))]
        if not found:
            raise NoCheckpoint(f"remote {named!r} has no checkpoints")
        return [_checked(store, ref, tip, tell) for ref, tip in found]
    ref, commit = _find(root, named)
    return [_checked(store, ref, commit, tell)]


def _tracked(store: GitEventStore, remote: str) -> dict[str, str]:
    """The checkpoints of a remote, as it was last fetched."""
    return store.examine(lambda parts: parts.refs.under(tracked(remote, CHECKPOINTS)))


def _is_below(root: Path, commit: str, tips: Mapping[str, str]) -> bool:
    """Whether one of these tips is the commit or descends from it."""
    if commit in tips.values():
        return True
    try:
        return not Git(root).run("rev-list", "--max-count=1", commit, "--not", *tips.values())
    except GitFailed:
        return False  # it cannot be read; that is told of it


def _checked(store: GitEventStore, ref: str, commit: str, progress: Progress) -> Checked:
    try:
        proof = store.examine(lambda parts: prove(parts, commit, progress))
    except (StoreCorrupted, UnsupportedFormat) as error:
        return Checked(ref, commit, None, str(error))
    return Checked(ref, commit, proof)


def _find(root: Path, named: str) -> tuple[str, str]:
    """The ref that is meant, or what was said, and the commit."""
    git = Git(root)
    forms = (named, f"{CHECKPOINTS}{named}") if named[:1] not in {"", "-", "^"} else ()
    for form in forms:
        try:
            said = git.run("rev-parse", "--verify", "--quiet", f"{form}^{{commit}}").decode()
            full = git.run("rev-parse", "--symbolic-full-name", form).decode(errors="replace")
        except GitFailed:
            continue
        return full.strip() or named, said.strip()
    known = git.run("for-each-ref", "--format=%(refname)", CHECKPOINTS, f"{REMOTES}*/checkpoints")
    names = known.decode(errors="replace").split()
    raise NoCheckpoint(
        f"{named!r} is no checkpoint, and no remote",
        hint=f"There are: {', '.join(names)}." if names else _MAKE,
    )
