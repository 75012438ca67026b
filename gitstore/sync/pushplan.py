"""What a push is to send: our refs held against the remote's."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import CHECKPOINTS, FEEDS, FORMAT, STREAMS, TYPES, tracked
from gitstore.backends.git.relating import Relation, relate
from gitstore.backends.git.repository import format_objects
from gitstore.backends.git.store import GitEventStore
from gitstore.backends.git.typejoining import TypesNotInOrder
from gitstore.core.errors import FlushFailed, StoreCorrupted, UnsupportedFormat
from gitstore.core.names import encode_name
from gitstore.sync import remotes
from gitstore.sync.fetching import check_theirs, fetch_parts
from gitstore.sync.theirs import check_format, sort_out
from gitstore.sync.transport import Transport


class OurStream(NamedTuple):
    """Where a stream ends here."""

    name: str
    version: int
    commit: str


@dataclass(frozen=True, slots=True)
class Ours:
    """One look at what is here: streams by their refs' names, and the feed that lists them.

    ``format``: the commit of our format ref, which an earlier release may have worded otherwise.
    ``checkpoints``: our refs for them; all that they list is in the streams.
    ``waiting``: streams with events that cannot be moved into git now, and why.
    """

    streams: Mapping[str, OurStream]
    feed: str
    format: str
    waiting: Mapping[str, str]
    checkpoints: Mapping[str, str]

    @classmethod
    def of(cls, store: GitEventStore) -> Ours:
        """Look at the store, after bringing all into git that can be."""
        exchange = store.exchange
        waiting: dict[str, str] = {}
        checkpoints = exchange.parts.refs.under(CHECKPOINTS)
        try:
            store.flush()
        except FlushFailed:
            waiting = exchange.contested
            if not waiting:
                raise
        # The feed first: what it lists is there when the streams are looked at.
        _, feed = exchange.parts.index.state()
        streams = {
            STREAMS + encode_name(name): OurStream(name, head.version, head.commit.hex())
            for name, head in exchange.parts.index.heads()
            if name not in waiting
        }
        form = exchange.parts.refs.read(FORMAT)
        assert form is not None, "a store is opened with its format ref only"
        return cls(streams, feed, form, waiting, checkpoints)


@dataclass(slots=True)
class Plan:
    """What to send, and what not.

    - ``streams``, ``others``: refs to be pushed, the remote's names → commits. ``others``: the type
      index, the feed and checkpoints, which list what the streams hold.
    - ``new``: how many of the streams the remote does not have.
    - ``before``: stream → its version there, for those that it does have.
    - ``behind``, ``diverged``, ``foreign``: as in ``PushReport``.
    - ``unclear``: refs that moved there before they could be fetched.
    """

    streams: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    new: int = 0
    before: dict[str, int] = field(default_factory=dict)
    behind: dict[str, Relation] = field(default_factory=dict)
    diverged: dict[str, Relation] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)


class Planner:
    """Plans pushes of what is here to one remote."""

    def __init__(self, store: GitEventStore, remote: str, transport: Transport, ours: Ours) -> None:
        self._exchange = store.exchange
        self._remote = remote
        self._transport = transport
        self._ours = ours
        self._store_id = store.store_id
        self.machine = remotes.machine(self._exchange.layout.root)
        self.renamed: str | None = None
        self.declined: dict[str, str] = {}
        """Refs the remote does not take, and why; they are not tried again."""

    def check(self, theirs: Mapping[str, str]) -> bool:
        """Whether a store with these refs is there; ``False`` where it is ours to begin.

        Raises ``UnsupportedFormat`` for one of another format, and for what is no event store.
        """
        shown, found = f"remote {self._transport.name!r}", sort_out(dict(theirs))
        tip, objects = theirs.get(FORMAT), self._exchange.parts.objects
        if tip is None or tip == format_objects()[-1].id or objects.holds(tip):
            check_format(shown, found, objects.read)
        else:
            with self._exchange.incoming() as incoming:
                check_theirs(self._transport, shown, found, incoming)
                incoming.keep()
                self._exchange.track({tracked(self._remote, FORMAT): tip})
        return tip is not None

    def plan(self, theirs: Mapping[str, str]) -> Plan:
        """What to send to a remote with these refs, all of it a continuation of what is there."""
        plan = Plan(unclear=self._learn(theirs))
        for ref, ours in self._ours.streams.items():
            if theirs.get(ref) != ours.commit and not (ref in self.declined or ref in plan.unclear):
                self._plan_stream(plan, ref, ours, theirs.get(ref))
        types = None if TYPES in plan.unclear else self._types(theirs)
        others = {
            TYPES: types,
            self._feed_ref(theirs): self._ours.feed,
            **self._checkpoints(theirs, plan.unclear),
        }
        for ref, commit in others.items():
            if commit is not None and ref not in self.declined and theirs.get(ref) != commit:
                plan.others[ref] = commit
        return plan

    def _plan_stream(self, plan: Plan, ref: str, ours: OurStream, there: str | None) -> None:
        if there is None:
            plan.new += 1
            plan.streams[ref] = ours.commit
            return
        try:
            relation = relate(
                self._exchange.parts, ours.name, there, self._exchange.parts.objects.read
            )
        except (StoreCorrupted, UnsupportedFormat) as error:
            plan.foreign[ours.name] = str(error)
            return
        if relation.behind == 0:
            plan.streams[ref] = ours.commit
            plan.before[ours.name] = relation.fork
        elif relation.ahead == 0:
            plan.behind[ours.name] = relation
        else:
            plan.diverged[ours.name] = relation

    def _learn(self, theirs: Mapping[str, str]) -> dict[str, str]:
        """Fetch what others pushed over streams of ours, and their type index, unless known.

        Gives the refs whose commits cannot be had, and why: they may have moved again meanwhile.
        """
        objects = self._exchange.parts.objects
        unknown = {
            ref: there
            for ref, there in theirs.items()
            if self._concerns_us(ref, there) and not objects.holds(there)
        }
        if not unknown:
            return {}
        with self._exchange.incoming() as incoming:
            lost = fetch_parts(self._transport, sorted({*unknown.values()}), incoming.path)
            incoming.keep()
            lacking = {ref: tip for ref, tip in unknown.items() if not objects.holds(tip)}
            known = unknown.keys() - lacking.keys()
            self._exchange.track({tracked(self._remote, ref): unknown[ref] for ref in known})
        return {ref: lost.get(tip, "it is moved all the time") for ref, tip in lacking.items()}

    def _concerns_us(self, ref: str, there: str) -> bool:
        if ref in self.declined or ref in self._ours.streams:
            return ref not in self.declined and self._ours.streams[ref].commit != there
        return ref == TYPES or self._ours.checkpoints.get(ref, there) != there

    def _types(self, theirs: Mapping[str, str]) -> str | None:
        """Our type index on top of theirs; ``None`` where there is nothing to say."""
        if TYPES in self.declined:
            return None
        try:
            return self._exchange.join_types(theirs.get(TYPES))
        except TypesNotInOrder as error:
            self.declined[TYPES] = error.why
            return None

    def _feed_ref(self, theirs: Mapping[str, str]) -> str:
        """Where our feed belongs there; under another name where somebody else has taken ours."""
        ref = FEEDS + self.machine
        feed = self._ours.feed
        if ref in self.declined or self._continues(feed, theirs.get(ref)):
            return ref
        renamed = f"{self.machine}-{self._store_id[:8]}"
        if self.renamed is None and self._continues(feed, theirs.get(FEEDS + renamed)):
            remotes.set_machine(self._exchange.layout.root, renamed)
            self.machine, self.renamed = renamed, self.machine
            return FEEDS + renamed
        self.declined[ref] = "the feed of another store stands there"
        return ref

    def _checkpoints(self, theirs: Mapping[str, str], unclear: Container[str]) -> dict[str, str]:
        """Our checkpoints that go on from those there, or are the first of their machine."""
        found: dict[str, str] = {}
        for ref, ours in self._ours.checkpoints.items():
            there = theirs.get(ref)
            if ref in self.declined or ref in unclear or there == ours:
                continue
            if self._continues(ours, there):
                found[ref] = ours
            elif there is not None and not self._continues(there, ours):
                self.declined[ref] = "checkpoints of another machine stand there"
        return found

    def _continues(self, ours: str, there: str | None) -> bool:
        """Whether our feed, or a checkpoint, goes on from the one at ``there``."""
        if there is None or there == ours:
            return True
        if not self._exchange.parts.objects.holds(there):
            return False  # ours is all here
        git = Git(self._exchange.layout.root)
        try:
            git.run("merge-base", "--is-ancestor", there, ours)
        except GitFailed:
            return False
        return True
