"""The git event store: the contract of ``gitstore.core.protocol`` on a bare repository."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from gitstore.backends.disk.files import disk_errors_told, holds_wal
from gitstore.backends.git import clones, repairing, repository
from gitstore.backends.git.automatic import AutomaticMaintenance
from gitstore.backends.git.background import BackgroundFlush
from gitstore.backends.git.clones import ReadOnlyClone
from gitstore.backends.git.exchanging import Exchange
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.gitcommand import check_version
from gitstore.backends.git.heads import Heads
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.maintaining import Maintainer
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.places import EventPlaces, places, superseded_page
from gitstore.backends.git.reading import PAGE, Reader
from gitstore.backends.git.status import take_status
from gitstore.backends.git.upkeep import Upkeep
from gitstore.backends.git.verifying import Verifier, verify_and_repair
from gitstore.backends.git.writing import Appended, JournalReplaced, Writer
from gitstore.backends.stamping import Stamper
from gitstore.core.base import BaseEventStore
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import EventStoreError, FlushFailed, StoreNotFound, StoreUnavailable
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, ExpectedVersion
from gitstore.core.filters import EventFilter, Names
from gitstore.core.findings import Progress, VerifyReport
from gitstore.core.garbage import uncollected
from gitstore.core.idempotence import Proposal
from gitstore.core.names import category_of, check_event_id, check_stream_id
from gitstore.core.protocol import Capabilities, Handler
from gitstore.core.status import StoreStatus
from gitstore.core.subscriptions import Subscriptions
from gitstore.core.upkeep import MaintainReport

_LOG = logging.getLogger("gitstore.store")
T = TypeVar("T")


class GitEventStore(BaseEventStore):
    """Events as commits in a bare git repository. Safe for threads and processes, not over a fork.

    Made by ``open``, or by ``gitstore.open_store``.
    """

    capabilities = Capabilities(durable=True, multi_process=True, commits=True, rebases=True)

    def __init__(
        self,
        parts: Parts,
        flush: Literal["background", "append"],
        clone: ReadOnlyClone | None = None,
    ) -> None:
        self._parts = parts
        self._clone = clone
        self._process = os.getpid()
        self._closed = threading.Event()
        self._flusher = Flusher(parts)
        heads = Heads(parts)
        self._upkeep = Upkeep(parts, self._flusher, heads, self._readmit)
        self._reader = Reader(parts, self._upkeep.repair_index, self._upkeep.look_for_journal)
        self._subscriptions = Subscriptions()
        self._writer = Writer(parts, self._flusher, heads, self._subscriptions.enqueue)
        self._maintainer = Maintainer(parts, self._upkeep)
        self._automatic = AutomaticMaintenance(
            self._maintainer.is_due, lambda: self._maintainer.run_if_due(search=False)
        )
        self._background = BackgroundFlush(self.flush, self._tend)
        self._flush_mode = flush
        self._wrote = False
        self._at_exit = _close_at_exit(self)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = True,
        flush: Literal["background", "append"] = "background",
        stamper: Stamper | None = None,
    ) -> GitEventStore:
        """Open the store at ``path``; see ``gitstore.open_store``."""
        check_version()
        with disk_errors_told(path):
            return cls._open(StoreLayout(path), stamper or Stamper(), flush, create=create)

    @classmethod
    def _open(
        cls,
        layout: StoreLayout,
        stamper: Stamper,
        flush: Literal["background", "append"],
        *,
        create: bool,
    ) -> GitEventStore:
        path = layout.root
        if not path.exists():
            if not create:
                raise StoreNotFound(path)
            repository.create(layout, stamper.clock)
        read_only = not os.access(layout.root, os.W_OK)
        is_clone = clones.is_read_as_clone(layout, read_only=read_only, create=create)
        if is_clone:
            layout, read_only = clones.with_state_elsewhere(layout), True
        wal = holds_wal(path)
        if not wal:
            _LOG.warning("%s is on a network file system: appends are slower there", path)
        parts = Parts.of(
            layout,
            stamper,
            wal=wal,
            read_only=read_only,
            folds_case=_folds_case(layout),
        )
        repository.check_format(layout, parts.refs, parts.objects)
        taken_in = not read_only and repository.take_in(layout)
        store = cls(parts, flush, clones.ReadOnlyClone(parts) if is_clone else None)
        try:
            if not is_clone:
                store._upkeep.prepare(create=create, taken_in=taken_in)
        except BaseException:
            atexit.unregister(store._at_exit)
            store._release()
            raise
        return store

    @property
    def store_id(self) -> str:
        self._check_readable()
        return self._parts.journal.state().store_id

    @property
    def epoch(self) -> int:
        self._check_readable()
        return self._upkeep.with_sound_index(self._reader.epoch)

    def directory_for(self, what: str) -> Path | None:
        return self._parts.layout.local / what if self._clone is None else None

    @property
    def exchange(self) -> Exchange:
        """The way in and out for histories of other stores; see ``exchanging``."""
        self._check_writable()
        self._wrote = True
        return Exchange(self._parts, self._flusher, self._upkeep, self._subscriptions)

    def append(self, event: DomainEvent, expected_version: ExpectedVersion = ANY) -> RecordedEvent:
        proposals = [Proposal.of(one) for one in self._checked([event])]
        return self._append(proposals, {event.stream_id: expected_version}).events()[0]

    def append_many(
        self,
        events: Iterable[DomainEvent],
        expected_versions: Mapping[str, ExpectedVersion] | None = None,
    ) -> list[RecordedEvent]:
        given = list(self._checked(events))
        with uncollected():
            proposals = [Proposal.of(event) for event in given]
            return self._append(proposals, expected_versions or {}).events()

    def append_history(self, events: Iterable[DomainEvent]) -> list[RecordedEvent]:
        given = list(events)
        with uncollected():
            return self._append([Proposal.of(event) for event in given], {}).events()

    def append_encoded(self, events: Sequence[EncodedEvent]) -> None:
        with uncollected():
            self._append([Proposal.of_encoded(event) for event in events], {})

    def read_encoded(self, after_position: int = 0, **filters: Any) -> Iterator[EncodedEvent]:
        superseded = filters.pop("superseded", False)
        if any(value is not None for value in filters.values()):
            return super().read_encoded(after_position, superseded=superseded, **filters)
        self._check_readable()
        return self._reader.encoded(after_position, superseded=superseded)

    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        to_version: int | None = None,
        limit: int | None = None,
        backwards: bool = False,
    ) -> Iterator[RecordedEvent]:
        check_stream_id(stream_id)
        self._check_readable()
        return self._reader.stream(stream_id, after_version, to_version, limit, backwards=backwards)

    def read_all(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        backwards: bool = False,
        *,
        users: Names = None,
        correlations: Names = None,
        superseded: bool = False,
    ) -> Iterator[RecordedEvent]:
        wanted = EventFilter.of(types, streams, categories, users, correlations, since, until)
        self._check_readable()
        return self._reader.all(
            wanted, after_position, limit, backwards=backwards, superseded=superseded
        )

    def follow(
        self,
        after_position: int = 0,
        types: Names = None,
        streams: Names = None,
        categories: Names = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        users: Names = None,
        correlations: Names = None,
        stop: threading.Event | None = None,
        superseded: bool = False,
    ) -> Iterator[RecordedEvent]:
        wanted = EventFilter.of(types, streams, categories, users, correlations, since, until)
        self._check_readable()
        end = stop or threading.Event()
        return self._reader.follow(wanted, after_position, end, self._closed, superseded=superseded)

    def get_events_by_type(self, type: str, since: datetime | None = None) -> Iterator[DomainEvent]:
        wanted = EventFilter.of(types=type, since=since)  # refuses a bound without a zone
        if self._clone is not None and not self._clone.is_built and wanted.types_decide:
            self._check_open()
            found = self._clone.by_type(type, since)
            if found is not None:
                return found
        return super().get_events_by_type(type, since)

    def streams(self, category: str | None = None) -> Iterator[str]:
        self._check_readable()
        waiting = self._parts.journal.streams()
        names = set(self._upkeep.with_sound_index(lambda: self._parts.index.streams(category)))
        names.update(s for s in waiting if category in (None, category_of(s)))
        return iter(sorted(names))

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        self._check_open()
        return self._subscriptions.add(handler)

    def find_event(self, event_id: str) -> RecordedEvent | None:
        check_event_id(event_id)
        self._check_readable()
        return self._upkeep.with_sound_index(lambda: self._reader.by_id(event_id))

    def find_commit(self, prefix: str) -> RecordedEvent | None:
        """The event of the commit with this id, or with this id's first 4 to 40 hex digits.

        Of a commit that a rebase replaced, the event as it was, with ``superseded_by``.
        ``ValueError`` where several events' commits begin so.
        """
        self._check_readable()
        return self._upkeep.with_sound_index(lambda: self._reader.by_commit(prefix))

    def places(self, event_id: str) -> EventPlaces | None:
        """Where the event of this id is, and where it was before rebases; ``None`` without one."""
        check_event_id(event_id)
        self._check_readable()
        look = partial(places, self._parts, event_id)
        return self._upkeep.with_sound_index(look)

    def superseded(
        self,
        wanted: EventFilter | None = None,
        after_position: int = 0,
        limit: int | None = None,
        *,
        backwards: bool = False,
    ) -> Iterator[RecordedEvent]:
        """The superseded events alone, by position, lazily: those ``read_all`` leaves out.

        Each with ``superseded_by``; the arguments are those of ``read_all``.
        """
        self._check_readable()
        filtered = wanted or EventFilter()
        return self._superseded(filtered, after_position, limit, backwards=backwards)

    def _superseded(
        self, wanted: EventFilter, after: int, limit: int | None, *, backwards: bool
    ) -> Iterator[RecordedEvent]:
        before, left = 2**63 - 1, 2**63 - 1 if limit is None else limit
        while left > 0:
            bounds = (after, before, PAGE)
            look = partial(superseded_page, self._parts, wanted, *bounds, backwards=backwards)
            page = self._upkeep.with_sound_index(look)
            some = [recorded for recorded in page if wanted.matches(recorded)][:left]
            yield from some
            left -= len(some)
            if len(page) < PAGE:
                return
            after, before = (after, page[-1].position) if backwards else (page[-1].position, before)

    def _first_superseded(self, to: int, after: int, through: int) -> tuple[int, int] | None:
        look = partial(self._parts.index.first_superseded, to, after, through)
        return self._upkeep.with_sound_index(look)

    def flush(self) -> None:
        """Bring every recorded event into git, and wait until it is there.

        Raises ``StoreUnavailable`` where some could not be moved: they are durable in the journal.
        """
        self._check_writable()
        with disk_errors_told(self._parts.layout.root):
            self._upkeep.flush()

    def index_types(self) -> None:
        """Bring the portable type index, ``refs/notes/types``, up to the last event, and wait.

        It is brought up by itself at close and now and then in between. Raises what ``flush``
        does, and ``StoreUnavailable`` where the ref cannot be moved.
        """
        self._check_writable()
        with disk_errors_told(self._parts.layout.root):
            self._upkeep.flush()
            self._upkeep.with_sound_index(self._upkeep.index_types)

    def maintain(self, *, trim: bool = False, progress: Progress | None = None) -> MaintainReport:
        """Make the store small: few packs, packed refs, a commit-graph. Drops nothing.

        ``trim``: the index keeps the bodies of the newest 10,000 events only; older ones are read
        from git, at a quarter of the speed. ``progress`` is called with what is being done, how
        much of it, and of how much. Waits for another process that is at it. Raises ``GitFailed``
        or ``StoreUnavailable`` where a step fails; the store is sound.
        """
        self._check_writable()
        return self._maintainer.run(progress or (lambda _what, _done, _total: None), trim=trim)

    def maintain_if_due(self) -> MaintainReport | None:
        """Maintain a store that has many packs or loose objects, as it does by itself.

        ``None`` where nothing is due, another process is at it, or the store's git configuration
        says ``gitstore.autoMaintain = false``.
        """
        self._check_writable()
        return self._maintainer.run_if_due()

    def verify(
        self, *, repair: bool = False, deep: bool = False, progress: Progress | None = None
    ) -> VerifyReport:
        """Hold the whole store against git, event by event; ``ok``, and ``findings``.

        - ``repair``: rebuild what can be rebuilt, and look again; see ``repairing``.
        - ``deep``: ask ``git fsck`` too.
        - ``progress``: called with what is being done, how much is done, and of how much.
        """
        self._check_readable()
        if repair:
            self._check_writable()
        look = None if self._parts.read_only else self._upkeep.look_through
        verifier = Verifier(self._parts, look, deep=deep, progress=progress)
        return verify_and_repair(verifier.run, self._repair) if repair else verifier.run()

    def _repair(self) -> None:
        with disk_errors_told(self._parts.layout.root):
            salvaged = repairing.repair(self._parts)
            self._parts.objects.close()
            self._upkeep.forget_heads()
            if salvaged:
                self._readmit(salvaged)

    def status(self) -> StoreStatus:
        """The store at a glance; changes nothing."""
        self._check_readable()
        return self._upkeep.with_sound_index(
            lambda: take_status(self._parts, self._flusher.contested)
        )

    def examine(self, act: Callable[[Parts], T]) -> T:
        """What ``act`` finds in the store's parts, which it only reads; twice after a repair."""
        self._check_readable()
        return self._upkeep.with_sound_index(lambda: act(self._parts))

    def close(self) -> None:
        if self._closed.is_set() or os.getpid() != self._process:
            return
        self._maintainer.stop()
        self._background.stop()
        self._automatic.join()
        try:
            if self._wrote:
                self._leave_in_order()
        finally:
            self._closed.set()
            atexit.unregister(self._at_exit)
            self._release()

    def _leave_in_order(self) -> None:
        try:
            self.flush()
        except (EventStoreError, OSError) as error:
            _LOG.warning("events are recorded, but not in git yet: %s", error)
        self._upkeep.try_index_types()

    def _tend(self) -> None:
        """What can wait: once a minute while there are writes."""
        self._upkeep.try_index_types()
        self._automatic.consider()

    def _append(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> Appended:
        self._check_writable()
        with disk_errors_told(self._parts.layout.root):
            self._upkeep.with_sound_index(self._upkeep.prepare_to_write)
            self._upkeep.with_sound_index(self._upkeep.look_outside)
            appended = self._upkeep.with_sound_index(lambda: self._record(proposals, expected))
        if appended.is_new:
            self._wrote = True
            if self._subscriptions:
                self._subscriptions.deliver()
            self._see_to_flush(appended)
        return appended

    def _record(
        self, proposals: Sequence[Proposal], expected: Mapping[str, ExpectedVersion]
    ) -> Appended:
        while True:
            try:
                return self._writer.append(proposals, expected)
            except JournalReplaced:
                self._upkeep.look_for_journal()

    def _see_to_flush(self, appended: Appended) -> None:
        if self._flush_mode == "background":
            self._background.wake()
            return
        self._background.remind()
        try:
            self.flush()
        except StoreUnavailable as error:
            why = f"recorded, but not in git yet: {error}"
            raise FlushFailed(why, appended.events()) from error

    def _readmit(self, rows: Sequence[JournalRow]) -> None:
        for old, new in self._writer.readmit(rows):
            _LOG.warning(
                "%s@%d is now %s@%d: its place was taken",
                old.stream,
                old.version,
                new.stream,
                new.version,
            )
        self._wrote = True
        self._background.wake()

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise StoreUnavailable(
                "this store was opened before a fork, in the parent process",
                hint="Open the store again in this process.",
            )
        if self._closed.is_set():
            raise StoreUnavailable("the store is closed", hint="Open it again with open_store().")

    def _check_readable(self) -> None:
        self._check_open()
        if self._clone is not None:
            with disk_errors_told(self._parts.layout.root):
                self._clone.build()

    def _check_writable(self) -> None:
        self._check_open()
        if self._parts.read_only:
            raise StoreUnavailable(
                f"{self._parts.layout.root} is read only",
                hint="Give yourself leave to write there, or append to another store."
                if self._clone is None
                else "It is a clone: open it for writing (`sc-events init`) to make it a store.",
            )

    def _release(self) -> None:
        self._parts.close()
        if self._clone is not None:
            self._clone.close()


def _close_at_exit(store: GitEventStore) -> Callable[[], None]:
    """Close a forgotten store when the interpreter ends, without keeping it alive until then."""
    reference = weakref.ref(store)

    def close() -> None:
        forgotten = reference()
        if forgotten is not None:
            forgotten.close()

    atexit.register(close)
    return close


def _folds_case(layout: StoreLayout) -> bool:
    return (layout.root / "head").exists()
