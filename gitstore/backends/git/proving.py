"""Holding the store against a checkpoint: does each stream still hold what it held then.

A commit names all that came before it. So where a checkpoint's commit is in a stream, nothing up to
it was changed or left out since; where it is not, something must say what became of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from gitstore.backends.git.checkpoints import (
    MOST_BYTES,
    CheckpointCommit,
    commit_of,
    decode_checkpoint,
    decode_tree,
    name_of,
)
from gitstore.backends.git.commits import MOST_BYTES as MOST_OF_EVENT
from gitstore.backends.git.layout import STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.relating import Relation, read_commit, read_tip, relate
from gitstore.backends.git.sameness import is_live
from gitstore.backends.git.signing import Signature, check_signature
from gitstore.core.errors import StoreCorrupted, UnsupportedFormat
from gitstore.core.findings import Progress
from gitstore.core.names import decode_name, encode_name, is_encoded

State = Literal[
    "stands", "behind", "rebased", "unverifiable",
    "rewritten", "truncated", "missing", "lost", "invalid",
]  # fmt: skip
"""How a stream stands to a checkpoint; see ``Proof``."""
FAULTS: frozenset[State] = frozenset({"rewritten", "truncated", "missing", "lost", "invalid"})
"""Where a stream does not hold what the checkpoint says it held."""

_EVERY = 1_000
_SHORT = 7


class Finding(NamedTuple):
    """A stream that is not simply as it was, or has not simply gone on.

    ``stream``: its name, or as the checkpoint spells it where nothing here has that name;
    ``commit``: where the checkpoint says it ended; ``message``: what can be said of that.
    """

    stream: str
    state: State
    commit: str
    message: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of holding the store against the checkpoint at ``commit``; see ``findings``.

    - ``stands``: the checkpoint's commit is in the stream.
    - ``behind``: it goes on from where the stream ends here; a pull brings that.
    - ``rebased``: it was moved aside here, and each event it had is in the stream, with equal
      content under the same id.
    - ``unverifiable``: it is not here, but an event of the stream says that it stands for it.
    - ``rewritten``: it is here, and other events stand in the place of some of its.
    - ``truncated``: this very store had it, and the stream now ends before it.
    - ``missing``: there is no such stream here.
    - ``lost``: it is not here, and nothing here says what became of it.
    - ``invalid``: it is no commit of that stream, so nobody's stream can have ended there.
    """

    commit: str
    said: CheckpointCommit
    signature: Signature
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> dict[State, int]:
        """How many streams there are in each state."""
        counts = Counter(finding.state for finding in self.findings)
        counts["stands"] = self.said.streams - len(self.findings)
        return {state: count for state, count in counts.items() if count}

    @property
    def agrees(self) -> bool:
        """Whether all streams hold what they held, as far as that can be told."""
        return not any(finding.state in FAULTS for finding in self.findings)


def prove(parts: Parts, commit: str, progress: Progress) -> Proof:
    """Hold the store against the checkpoint at ``commit``, whose objects are here.

    What is not in git yet is left out. Raises ``StoreCorrupted`` where it is no checkpoint, and
    ``UnsupportedFormat`` where a newer version made it.
    """
    said = decode_checkpoint(parts.objects.read_at_most(MOST_OF_EVENT, commit))
    entries = decode_tree(parts.objects.read_at_most(MOST_BYTES, said.tree, "tree"))
    if len(entries) != said.streams:
        raise StoreCorrupted(
            f"it is no checkpoint: it speaks of {said.streams} streams, and lists {len(entries)}"
        )
    signature = Signature("unsigned")
    if said.is_signed:
        signature = check_signature(parts.layout.root, commit)
    ours = {encode_name(name).encode(): (name, tip) for name, _, tip in parts.index.tips()}
    judge = _Judge(parts, is_own=said.store == parts.journal.state().store_id)
    findings: list[Finding] = []
    for done, entry in enumerate(entries):
        if done % _EVERY == 0:
            progress("Checking streams", done, len(entries))
        stream, tip = ours.get(name_of(entry), (None, b""))
        if stream is None or not entry.endswith(tip):
            leaf = name_of(entry).decode(errors="backslashreplace")
            commit_there = commit_of(entry)
            state, message = judge.stream(leaf, stream, commit_there)
            if state != "stands":
                shown = stream or decode_name(leaf) or leaf
                findings.append(Finding(shown, state, commit_there, message))
    return Proof(commit, said, signature, tuple(findings))


class _Judge:
    """Says of one stream after the other what became of the commit a checkpoint has for it.

    ``is_own``: the checkpoint was made in this very store, so that all of it was here.
    """

    def __init__(self, parts: Parts, *, is_own: bool) -> None:
        self._parts = parts
        self._is_own = is_own
        self._read = partial(parts.objects.read_at_most, MOST_OF_EVENT)

    def stream(self, leaf: str, ours: str | None, tip: str) -> tuple[State, str]:
        """The state, and what there is to say of it; ``ours``: our stream of that name in refs."""
        if not is_encoded(leaf):
            return "invalid", "no stream has such a name"
        if not self._parts.objects.holds(tip):
            return self._not_here(ours, tip)
        try:
            event = read_tip(STREAMS + leaf, tip, self._read)
        except UnsupportedFormat as error:
            return "unverifiable", str(error)
        except StoreCorrupted as error:
            return "invalid", str(error)
        return self._here(event.stream_id, tip)

    def _here(self, stream: str, tip: str) -> tuple[State, str]:
        try:
            relation = relate(self._parts, stream, tip, self._read)
            return self._related(stream, tip, relation)
        except (StoreCorrupted, UnsupportedFormat) as error:
            return "lost", str(error)

    def _not_here(self, ours: str | None, tip: str) -> tuple[State, str]:
        if ours is None:
            return "missing", "there is no such stream here"
        # What this very store had, a rebase has kept here: then nothing excuses that it is gone.
        if not self._is_own and self._parts.index.is_origin(ours, bytes.fromhex(tip)):
            return (
                "unverifiable",
                f"{tip[:_SHORT]} was rebased elsewhere, and is not here to compare",
            )
        return "lost", f"{tip[:_SHORT]} is not here, and nothing says what became of it"

    def _related(self, stream: str, tip: str, relation: Relation) -> tuple[State, str]:
        here, then = relation.fork + relation.ahead, relation.fork + relation.behind
        if relation.behind == 0:
            return "stands", ""
        if relation.ahead:
            return self._replaced(stream, tip, relation.fork)
        if not self._is_own:
            ends = f"it ends at {here}" if here else "there is no such stream yet"
            return "behind", f"it went on to version {then}, here {ends}: pull"
        if here == 0:
            return "missing", f"there is no such stream here; this store had {then} of its events"
        return "truncated", f"this store had it up to version {then}, and now it ends at {here}"

    def _replaced(self, stream: str, tip: str, fork: int) -> tuple[State, str]:
        """Whether all events above the fork have a place in the stream as it is now."""
        at: str | None = tip
        count = 0
        while at is not None:
            event = read_commit(stream, at, self._read)
            if event.version <= fork:
                break
            if not is_live(self._parts, event):
                place = f"{stream}@{event.version}"
                return "rewritten", f"{place} was {event.event_id}, which is no more in the stream"
            at = event.parent
            count += 1
        return "rebased", f"its last {count} events stand in other places since a rebase"
