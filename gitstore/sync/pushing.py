"""Push: what happened here, brought to a remote, without ever taking anything back there.

One look at our refs and one at the remote's decide what goes: streams that continue what is there,
the format and the type index, checkpoints, and the feed under this machine's name. It goes in
chunks, each from a view (``pushview``) with exactly its refs, and git on the other side compares
and swaps each. What somebody else moved in between is looked at again. Nothing is locked meanwhile;
what is appended while it lasts goes with the next push. A push that was cut short is completed by
the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from gitstore.backends.git.layout import (
    CHECKPOINTS,
    FEED,
    FEEDS,
    FORMAT,
    STREAMS,
    TYPES,
    tracked,
)
from gitstore.backends.git.store import GitEventStore
from gitstore.core.findings import Progress, silent
from gitstore.core.names import is_encoded
from gitstore.sync import remotes
from gitstore.sync.fetching import note_fetch
from gitstore.sync.pushplan import Ours, Plan, Planner
from gitstore.sync.pushreport import Estimate, PushReport, estimate
from gitstore.sync.pushview import EVERYTHING, PushView, clear_leftovers, push_view
from gitstore.sync.theirs import sort_out
from gitstore.sync.transport import RemoteFailed, Transport

_AT_ONCE = 20_000
"""Refs a chunk; what a remote has taken of a push that breaks off is not sent again.

Measured with 100,000 new streams: in one push 16 s, in five chunks 28 s, in twenty 62 s, because
for each chunk both sides look at all the refs there are by then. But a remote with a hook for each
ref forks a process that grows with the refs it was given: 2.2 ms a ref with 2,500, 2.5 ms with
20,000, 3.3 ms with 40,000, and there the chunks win minutes.
"""
_ROUNDS = 5
_TRACKED = (STREAMS, FEEDS, FORMAT, TYPES)


def push(
    store: GitEventStore,
    remote: str,
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
    expect: Callable[[Estimate], None] | None = None,
) -> PushReport:
    """Push streams, format, type index, feed and checkpoints to ``remote``, a configured name.

    Nothing is forced. ``timeout``: seconds of silence after which the remote is given up, 300 where
    ``None``. ``expect`` is called before what is likely to take long. Streams that the remote has
    moved, or that it declines, are named in the report; all others go through.

    Raises ``RemoteFailed`` where the remote cannot be reached or breaks off (what it had taken by
    then stays, and the next push goes on from there), ``UnsupportedFormat`` where it is no event
    store of this format, and ``RemoteRefused`` where none of that name is configured: then nothing
    was sent.
    """
    known = remotes.urls(store.exchange.layout.root)
    if remote not in known:
        raise remotes.unknown(remote, known)
    transport = Transport(store.exchange.layout.root, remote, timeout=timeout, progress=progress)
    return _Push(store, remote, transport, progress or silent, expect or (lambda _: None)).run()


class _Push:
    """One push of what is here now."""

    def __init__(
        self,
        store: GitEventStore,
        remote: str,
        transport: Transport,
        progress: Progress,
        expect: Callable[[Estimate], None],
    ) -> None:
        self._exchange = store.exchange
        self._remote = remote
        self._transport = transport
        self._progress = progress
        self._expect = expect
        self._ours = Ours.of(store)
        self._planner = Planner(store, remote, transport, self._ours)
        self._taken: dict[str, str] = {}
        """The refs that the remote has taken: their names there → commits."""
        self._before: dict[str, int] = {}
        self._said: tuple[str, ...] = ()

    def run(self) -> PushReport:
        clear_leftovers(self._exchange.layout)
        theirs = self._transport.refs()
        for left in reversed(range(_ROUNDS)):
            plan, rejected = self._round(theirs)
            if not rejected:
                break
            seen, theirs = theirs, self._transport.refs()
            # What stands as it stood was declined; elsewhere somebody was faster: look again.
            stands = [ref for ref in rejected if not left or theirs.get(ref) == seen.get(ref)]
            self._planner.declined.update({ref: rejected[ref] for ref in stands})
            if FORMAT in stands:
                raise RemoteFailed(
                    self._transport.name,
                    f"it declined {FORMAT}, with which a store begins: {rejected[FORMAT]}",
                    hint="Push to a bare repository (`git init --bare PATH`) that takes all refs.",
                )
            if len(stands) == len(rejected):
                break
        self._note_look(theirs)
        return self._report(plan, theirs)

    def _note_look(self, theirs: Mapping[str, str]) -> None:
        """Where all that is there is known now, the push was as good as a fetch."""
        tracked_refs = self._exchange.parts.refs.under(tracked(self._remote))
        stands = {**sort_out({**theirs}).refs, **self._taken}
        if all(tracked_refs.get(tracked(self._remote, ref)) == stands[ref] for ref in stands):
            note_fetch(self._exchange.layout, self._remote)

    def _round(self, theirs: Mapping[str, str]) -> tuple[Plan, dict[str, str]]:
        """Look at both sides and push; gives the plan, and what did not go through and why."""
        is_store = self._planner.check(theirs)
        plan = self._planner.plan(theirs)
        self._before = plan.before | self._before  # where it stood when we saw it first
        rejected = plan.unclear | self._send(plan, theirs, is_store=is_store)
        planned = {**plan.streams, **plan.others}
        taken = {ref: tip for ref, tip in planned.items() if self._taken.get(ref) == tip}
        self._track({**self._taken, **theirs, **taken})
        return plan, rejected

    def _send(self, plan: Plan, theirs: Mapping[str, str], *, is_store: bool) -> dict[str, str]:
        """Push what is planned; gives the refs that were rejected, and why."""
        if not plan.streams and not plan.others:
            return {}
        expected = estimate(plan.new)
        if expected:
            self._expect(expected)
        rejected: dict[str, str] = {}
        done, total = 0, len(plan.streams)
        with push_view(self._exchange.layout) as view:
            if not is_store:
                rejected = self._send_chunk(view, {FORMAT: self._ours.format})
                if rejected:
                    return rejected
            for chunk in _chunks(plan, is_machine=FEED in theirs):
                rejected |= self._send_chunk(view, chunk)
                done = min(done + len(chunk), total)
                self._progress("Pushing streams", done, total)
        return rejected

    def _send_chunk(self, view: PushView, refs: Mapping[str, str]) -> dict[str, str]:
        view.show(refs)
        said = self._transport.push([EVERYTHING], view.path)
        rejected = {ref.name: ref.why for ref in said if ref.status == "rejected"}
        if rejected:
            self._said = self._transport.said
        taken = [ref.name for ref in said if ref.status in {"new", "updated"}]
        self._taken |= {ref: refs[ref] for ref in taken}
        return rejected

    def _track(self, theirs: Mapping[str, str]) -> None:
        """Note where the remote's refs stand, as a fetch would; those whose commits are here."""
        parts = self._exchange.parts
        known = parts.refs.under(tracked(self._remote))
        moved = {
            ref: tip
            for ref, tip in theirs.items()
            if (ref in {FORMAT, TYPES} or ref.startswith((STREAMS, FEEDS, CHECKPOINTS)))
            and ref.count("/") == 2
            and is_encoded(ref.rpartition("/")[2])
            and known.get(tracked(self._remote, ref)) != tip
        }
        moves = {
            tracked(self._remote, ref): tip
            for ref, tip in moved.items()
            if self._taken.get(ref) == tip or parts.objects.lists(tip)
        }
        if moves:
            self._exchange.track(moves)

    def _report(self, plan: Plan, theirs: Mapping[str, str]) -> PushReport:
        ours = self._ours.streams
        planner = self._planner
        return PushReport(
            self._remote,
            planner.machine,
            planner.renamed,
            pushed={
                ours[ref].name: (self._before.get(ours[ref].name, 0), ours[ref].version)
                for ref in self._taken
                if ref in ours
            },
            behind=plan.behind,
            diverged=plan.diverged,
            only_there=sum(ref.startswith(STREAMS) and ref not in ours for ref in theirs),
            foreign=plan.foreign,
            refused={
                ours[ref].name if ref in ours else ref: why for ref, why in planner.declined.items()
            },
            said=self._said if planner.declined else (),
            waiting=self._ours.waiting,
            checkpoints=tuple(sorted(ref for ref in self._taken if ref.startswith(CHECKPOINTS))),
        )


def _chunks(plan: Plan, *, is_machine: bool) -> Iterator[dict[str, str]]:
    """What to push, a chunk at a time; last what lists the streams, once these are there.

    ``is_machine``: the remote looks like somebody's store. Such a one hides its streams, but would
    take the rest, so nothing else is pushed before it took a stream.
    """
    streams = iter(plan.streams.items())
    chunks = list(iter(lambda: dict(islice(streams, _AT_ONCE)), {}))
    if not is_machine:
        chunks = chunks or [{}]
        chunks[-1] |= plan.others
    elif chunks:
        chunks.append(plan.others)
    yield from filter(None, chunks)
