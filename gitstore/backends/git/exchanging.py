"""Exchange: the inside of a git store for those who bring histories in and take them out.

Nothing here speaks to a remote. What a remote has is fetched into ``incoming()``; ``track`` notes
where its refs stand, and ``adopt`` takes its streams in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping

from gitstore.backends.disk.files import disk_errors_told
from gitstore.backends.git import checkpointing, typejoining
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.incoming import Incoming
from gitstore.backends.git.layout import STREAMS, StoreLayout
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rebasing import RebaseRule
from gitstore.backends.git.takingin import Adoption, TakingIn, Wish
from gitstore.backends.git.tracking import Tracking
from gitstore.backends.git.upkeep import Upkeep
from gitstore.core.findings import Progress, silent
from gitstore.core.subscriptions import Subscriptions


class Exchange:
    """What a store gives to push, pull, clone and compare."""

    def __init__(
        self, parts: Parts, flusher: Flusher, upkeep: Upkeep, subscriptions: Subscriptions
    ) -> None:
        self.parts = parts
        self._flusher = flusher
        self._upkeep = upkeep
        self._subscriptions = subscriptions
        self._tracking = Tracking(parts, upkeep, flusher)

    @property
    def layout(self) -> StoreLayout:
        """Where things lie in the store."""
        return self.parts.layout

    @property
    def contested(self) -> dict[str, str]:
        """Streams whose refs the last flush could not move, and why; they wait in the journal."""
        return dict(self._flusher.contested)

    def tips(self) -> dict[str, str]:
        """Our stream refs, full names, and the commits they stand at, after a flush.

        Raises what ``GitEventStore.flush`` does.
        """
        self._upkeep.flush()
        return self.parts.refs.under(STREAMS)

    def incoming(self) -> Incoming:
        """A place to fetch into, for a ``with`` block."""
        return Incoming(self.parts)

    def adopt(
        self,
        tips: Mapping[str, str],
        source: str,
        incoming: Incoming | None = None,
        progress: Progress | None = None,
        *,
        is_new: bool = False,
        rebase: RebaseRule | None = None,
        dry_run: bool = False,
    ) -> Adoption:
        """Take in the streams of a remote called ``source``, as far as they pass every check.

        ``tips``: full names under ``refs/streams/`` there, and their commits, which are in the
        store or in ``incoming``; that is kept where anything comes of it. Streams of ours that are
        not among them are left as they are. ``is_new``: the store is being made, nobody else knows
        it, and it is thrown away where this raises or is cut short. ``rebase``: which diverged
        streams are rebased, our events after theirs; ``None``: none, all stay as they are.
        ``dry_run``: find out what would come of it, and record nothing.

        A stream that continues ours is recorded, as if it were appended here: in an order that
        depends on the events alone, with positions, for followers and subscribers. A ref whose
        history fails a check is kept as ``refs/quarantine/<source>/streams/<name>`` until it is
        in order again. Cut short at any point, a repetition goes on from there.

        Raises ``StoreUnavailable`` where the store cannot be written; what was recorded until then
        stays.
        """
        wish = Wish(progress or silent, rebase, dry_run, is_new)
        run = TakingIn(self.parts, self._flusher, self._upkeep, self._subscriptions, wish)
        ours = self.parts.refs.under(STREAMS)
        left = {name: tip for name, tip in tips.items() if ours.get(name) != tip}
        with contextlib.ExitStack() as ends:
            ends.enter_context(disk_errors_told(self.layout.root))
            place = incoming or ends.enter_context(self.incoming())
            while left:
                left = self._upkeep.with_sound_index(
                    lambda: run.take_in(left, place)  # noqa: B023
                )
        if not dry_run:
            self._tracking.keep_aside(tips, source, run.adoption.refused)
        return run.adoption

    def track(
        self, moves: Mapping[str, str | None], seen: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Note where a remote's refs stand; see ``Tracking.track``."""
        return self._upkeep.with_sound_index(lambda: self._tracking.track(moves, seen))

    def incomplete(
        self, commits: Collection[str], whole: Collection[str] | None = None
    ) -> set[str]:
        """Those of these ids that are not here with all they reach; see ``Tracking``."""
        return self._tracking.incomplete(commits, whole)

    def checkpoint(self, machine: str, *, signed: bool) -> checkpointing.Made:
        """Commit where all streams stand; see ``checkpointing.make``."""
        with disk_errors_told(self.layout.root):
            return self._upkeep.with_sound_index(
                lambda: checkpointing.make(self.parts, self._upkeep, machine, signed=signed)
            )

    def join_types(self, theirs: str | None) -> str | None:
        """Bring our type index up to date on top of a remote's, whose objects are here.

        See ``typejoining.join``, for what it gives too; waits for the flush lock.
        """

        def join() -> str | None:
            with self.parts.flush_lock.held():
                return typejoining.join(self.parts, theirs)

        return self._upkeep.with_sound_index(join)
