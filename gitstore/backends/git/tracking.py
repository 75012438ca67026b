"""Refs about others: where a remote's refs stood when we looked, and tips that failed a check.

None of them is part of a stream. A ref holds objects, for git and for whoever fetches next: what is
not here with all it reaches gets none.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping

from gitstore.backends.disk.files import disk_errors_told
from gitstore.backends.git.commits import EventCommit
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import QUARANTINE, REMOTES, STREAMS
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.sameness import content_of, is_live
from gitstore.backends.git.upkeep import Upkeep
from gitstore.core.errors import StoreCorrupted, UnsupportedFormat
from gitstore.core.names import encode_name, is_encoded

_LOG = logging.getLogger("gitstore.exchange")
_FEW = 100
_MOST_TRIES = 200
_MOST_KEPT = 20
"""Tips of one stream that are kept of a remote which rewrites it again and again."""


class Tracking:
    """The refs under ``refs/remotes/`` and ``refs/quarantine/`` of one store."""

    def __init__(self, parts: Parts, upkeep: Upkeep, flusher: Flusher) -> None:
        self._parts = parts
        self._upkeep = upkeep
        self._flusher = flusher

    def track(
        self, moves: Mapping[str, str | None], seen: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Note where a remote's refs stand: refs under ``refs/remotes/``, ``None`` to forget one.

        ``seen``: where they stood here when the remote was looked at; one that another process has
        moved since is left to it. A stream's old tip that only this ref held, because the remote
        has rewritten or deleted the stream and we have not taken it in, is kept as
        ``refs/quarantine/<remote>/rewritten/…``. Gives the refs that could not be moved, and why.
        """
        assert all(name.startswith(REMOTES) for name in moves), "not the refs of a remote"
        olds = self._standing(moves)
        moved = {
            name: new
            for name, new in moves.items()
            if olds.get(name) != new and (seen is None or olds.get(name) == seen.get(name))
        }
        kept = dict(self._rewritten(moved, olds))
        return self._move({**kept, **moved}, olds)

    def keep_aside(self, tips: Mapping[str, str], source: str, refused: Collection[str]) -> None:
        """Keep the refused of these tips under refs of their own; let go of those in order again.

        As ``refs/quarantine/<source>/streams/<name>``, but for tips that are not here as a whole.
        """
        prefix = f"{QUARANTINE}{source}/streams/"
        kept = self._parts.refs.under(prefix)
        if not (kept or refused):
            return
        broken = self.incomplete({tips[name] for name in refused if name in tips})
        moves: dict[str, str | None] = {}
        for name in sorted(tips):
            place = prefix + _leaf(name.removeprefix(STREAMS))
            if name in refused and tips[name] not in broken:
                while moves.get(place) is not None:  # a foreign name, encoded, is another's own
                    place += "_"
                moves[place] = tips[name]
            elif place in kept:
                moves.setdefault(place, None)
        self._move({name: new for name, new in moves.items() if kept.get(name) != new}, kept)

    def incomplete(
        self, commits: Collection[str], whole: Collection[str] | None = None
    ) -> set[str]:
        """Those of these ids that are not here with all they reach, as git's own fetch looks.

        ``whole``: ids below which all is here, so that nobody looks; ``None``: our streams' tips.
        """
        git = Git(self._parts.layout.root)
        broken: set[str] = set()
        groups = [sorted(commits)] if commits else []
        tries = 0
        while groups:
            group = groups.pop()
            tries += 1
            given = "".join(f"{each}\n" for each in group).encode()
            below = ["--not", f"--glob={STREAMS}"] if whole is None else []
            given += "".join(f"^{each}\n" for each in whole or ()).encode()
            try:
                git.run("rev-list", "--objects", "--quiet", "--stdin", *below, stdin=given)
            except GitFailed:
                if len(group) == 1 or tries > _MOST_TRIES:
                    broken.update(group)
                else:
                    groups += [group[len(group) // 2 :], group[: len(group) // 2]]
        return broken

    def _standing(self, names: Collection[str]) -> Mapping[str, str]:
        """Where refs stand; a look at each costs less than one at all only where they are few."""
        if len(names) > _FEW:
            return self._parts.refs.under(REMOTES)
        found = ((name, self._parts.refs.read(name)) for name in names)
        return {name: tip for name, tip in found if tip is not None}

    def _rewritten(
        self, moves: Mapping[str, str | None], olds: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Where to keep the old tips of streams that nothing else holds."""
        for name, new in moves.items():
            remote, is_stream, leaf = name.removeprefix(REMOTES).partition("/streams/")
            old = olds.get(name)
            if old is not None and is_stream and self._is_only_copy(old, new):
                place = self._free_place(f"{QUARANTINE}{remote}/", _leaf(leaf), old)
                if place is not None:
                    _LOG.warning("%s was rewritten there; what it held is kept", name)
                    yield place, old

    def _is_only_copy(self, old: str, new: str | None) -> bool:
        """Whether ``old`` is an event that is neither ours nor below ``new``, nor moved aside.

        What a rebase has moved aside stands in our stream, or below ``new``, by its id.
        """
        try:
            event = self._parts.objects.read_foreign(old)
        except (StoreCorrupted, UnsupportedFormat):
            return False
        if self._is_ours(old, event) or (new and self._flusher.continues(new, old)):
            return False
        try:
            left = self._not_ours(old)
            return bool(left) and (new is None or not self._holds(new, left))
        except (StoreCorrupted, UnsupportedFormat):
            return True  # what cannot be compared is kept

    def _is_ours(self, commit: str, event: EventCommit) -> bool:
        ours = self._parts.index.commit_at(event.stream_id, event.version)
        return ours is not None and ours.hex() == commit

    def _not_ours(self, tip: str) -> dict[str, EventCommit]:
        """The events up to a foreign commit that are not in our stream, by their ids."""
        found: dict[str, EventCommit] = {}
        for commit, event in self._chain(tip):
            if self._is_ours(commit, event):
                break
            if not is_live(self._parts, event):
                found[event.event_id] = event
        return found

    def _holds(self, tip: str, wanted: Mapping[str, EventCommit]) -> bool:
        """Whether all these events are among those up to a commit, in the same stream."""
        left = dict(wanted)
        for _, event in self._chain(tip):
            twin = left.get(event.event_id)
            if twin and twin.stream_id == event.stream_id and content_of(twin) == content_of(event):
                del left[event.event_id]
            if not left:
                return True
        return False

    def _chain(self, tip: str) -> Iterator[tuple[str, EventCommit]]:
        """The events up to a foreign commit, the last one first."""
        at: str | None = tip
        while at is not None:
            event = self._parts.objects.read_foreign(at)
            yield at, event
            at = event.parent

    def _free_place(self, prefix: str, leaf: str, tip: str) -> str | None:
        """Where to keep a tip; ``None`` where it is kept, or too many of its stream are."""
        numbers = ("", *(f"-{number}" for number in range(2, _MOST_KEPT + 1)))
        rewritten = [f"{prefix}rewritten/{leaf}{number}" for number in numbers]
        for place in (f"{prefix}streams/{leaf}", *rewritten):
            found = self._parts.refs.read(place)
            if found == tip:
                return None
            if found is None and place in rewritten:
                return place
        _LOG.warning("the remote rewrites %s again and again: its old tips are let go", leaf)
        return None

    def _move(self, moves: Mapping[str, str | None], olds: Mapping[str, str]) -> dict[str, str]:
        """Move refs as far as they can be; gives those that could not, and why."""
        # What goes first may be a file where a folder has to be.
        updates = [
            RefUpdate(name, moves[name], frozenset({olds.get(name)}))
            for name in sorted(moves, key=lambda name: moves[name] is not None)
        ]
        with disk_errors_told(self._parts.layout.root):
            failures = self._upkeep.move_refs(updates) if updates else []
        for failure in failures:
            _LOG.warning("%s could not be moved: %s", failure.update.name, failure.why)
        return {failure.update.name: failure.why for failure in failures}


def _leaf(leaf: str) -> str:
    """The name under which a foreign ref is kept: as it is, or encoded where no stream has it."""
    if is_encoded(leaf):
        return leaf
    return encode_name(leaf.encode(errors="backslashreplace").decode())
