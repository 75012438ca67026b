"""Two stores driven by the same steps: whatever one answers, the other must answer too.

::

    class MemoryAndMine(SideBySide):
        def open_store(self, folder):
            return MyStore(folder / "events")

        def open_model(self):
            return gitstore.open_store("memory:")

    TestMemoryAndMine = MemoryAndMine.TestCase

Needs the extra ``testing``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import EventStoreError
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from gitstore.testing.strategies import few_events, filters  # first: it says what to install

from hypothesis import strategies as st  # isort: skip
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule  # isort: skip

_EXPECTED = st.sampled_from([ANY, ANY, NO_STREAM, STREAM_EXISTS]) | st.integers(0, 4)
_VERSIONS = st.none() | st.integers(1, 4)
_STREAMS = few_events.map(lambda event: event.stream_id)
_PLACES = st.integers(0, 8)


class SideBySide(RuleBasedStateMachine):
    """Appends, retries, contradictions, reads and openings, on a model and on a store.

    Both give the same events, or raise the same error with the same facts; commits aside. The store
    is closed and opened again now and then, where it is durable; the model stays open.
    """

    def open_model(self) -> BaseEventStore:
        """A store that is trusted; it may be in memory."""
        raise NotImplementedError

    def open_store(self, folder: Path) -> BaseEventStore:
        """The store to be judged; the same one at each call with the same folder."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp())
        self._model = self.open_model()
        self._store = self.open_store(self._folder)
        self._known: list[DomainEvent] = []
        self._seen: tuple[list[RecordedEvent], list[RecordedEvent]] = ([], [])
        self._model.subscribe(self._seen[0].append)
        self._store.subscribe(self._seen[1].append)

    def teardown(self) -> None:
        """Hold the whole histories against each other, and the store against itself."""
        try:
            self._same(lambda store: list(store.read_all()))
            assert self._store.verify().findings == ()
        finally:
            self._model.close()
            self._store.close()
            shutil.rmtree(self._folder)

    @rule(event=few_events, expected=_EXPECTED, version=_VERSIONS)
    def append(self, event: DomainEvent, expected: ExpectedVersion, version: int | None) -> None:
        """A new event, or another one under an id that is taken."""
        self._record([replace(event, version=version)], {event.stream_id: expected})

    @rule(
        events=st.lists(few_events, max_size=5),
        expected=st.dictionaries(
            few_events.map(lambda event: event.stream_id), _EXPECTED, max_size=2
        ),
    )
    def append_batch(self, events: list[DomainEvent], expected: dict[str, ExpectedVersion]) -> None:
        """New events of several streams, some of them twice or known."""
        self._record(events, expected)

    @precondition(lambda self: self._known)
    @rule(data=st.data(), expected=_EXPECTED)
    def retry(self, data: st.DataObject, expected: ExpectedVersion) -> None:
        """Events that are recorded: in a row or not, alone or with a new one, changed or not."""
        begin = data.draw(st.integers(0, len(self._known) - 1))
        events = self._known[begin : begin + data.draw(st.integers(1, 3))]
        if data.draw(st.booleans()):
            events = data.draw(st.permutations(events))
        if data.draw(st.integers(0, 3)) == 0:
            events = [*events, data.draw(few_events)]
        if data.draw(st.integers(0, 3)) == 0:
            events = [replace(events[0], data=[events[0].data]), *events[1:]]
        self._record(events, {events[0].stream_id: expected})

    @rule(after=_PLACES, limit=st.none() | _PLACES, wanted=filters, backwards=st.booleans())
    def read(self, after: int, limit: int | None, wanted: dict[str, Any], backwards: bool) -> None:
        """All streams, through any filter."""
        self._same(
            lambda store: list(store.read_all(after, **wanted, limit=limit, backwards=backwards))
        )

    @precondition(lambda self: self._known)
    @rule(data=st.data(), after=_PLACES, to=st.none() | _PLACES, backwards=st.booleans())
    def read_stream(self, data: st.DataObject, after: int, to: int | None, backwards: bool) -> None:
        """One stream, any window of it; its version, its category's streams, an event by its id."""
        event = data.draw(st.sampled_from(self._known))
        stream = event.stream_id
        self._same(lambda store: list(store.read_stream(stream, after, to, None, backwards)))
        self._same(lambda store: store.stream_version(stream))
        self._same(lambda store: [*store.streams(), *store.streams(event.category)])
        self._same(lambda store: store.find_event(event.id or ""))

    @rule(after=_PLACES, wanted=filters)
    def follow(self, after: int, wanted: dict[str, Any]) -> None:
        """As far as there is something to be followed."""
        there = len(list(self._model.read_all(after, **wanted)))
        self._same(lambda store: list(islice(store.follow(after, **wanted), there)))

    @rule(position=_PLACES)
    def resume(self, position: int) -> None:
        """A checkpoint is good or not, whatever the store's id is."""

        def resumed(store: BaseEventStore) -> int:
            checkpoint = replace(store.checkpoint(), position=position)
            return store.resume(checkpoint).position

        self._same(resumed, but=("store_id", "given"))

    @precondition(lambda self: self._store.capabilities.durable)
    @rule()
    def open_again(self) -> None:
        """Another day."""
        self._store.close()
        self._store = self.open_store(self._folder)
        self._store.subscribe(self._seen[1].append)

    @rule(trim=st.booleans())
    def maintain(self, trim: bool) -> None:
        """Of which no reader hears."""
        self._store.maintain(trim=trim)

    def _record(self, events: list[DomainEvent], expected: dict[str, ExpectedVersion]) -> None:
        if len(events) == 1 and {events[0].stream_id} == expected.keys():
            (belief,) = expected.values()
            self._same(lambda store: [store.append(events[0], belief)])
        else:
            self._same(lambda store: store.append_many(events, expected))
        self._same(lambda store: store.last_position())
        assert _plain(self._seen[0]) == _plain(self._seen[1]), "subscribers heard other events"
        self._known = [recorded.event for recorded in self._model.read_all()]

    def _same(self, ask: Callable[[BaseEventStore], Any], but: tuple[str, ...] = ()) -> None:
        model, store = (_answer(ask, asked, but) for asked in (self._model, self._store))
        assert model == store, f"the model says\n{model}\nthe store says\n{store}"


def _plain(answer: Any) -> Any:
    """An answer without commits, that tells ``1`` from ``1.0``."""
    if isinstance(answer, list):
        return list(map(_plain, answer))
    if isinstance(answer, RecordedEvent):
        return answer.position, answer.event.to_json()
    return answer


def _answer(
    ask: Callable[[BaseEventStore], Any], store: BaseEventStore, but: tuple[str, ...]
) -> Any:
    """What a store gives, or the error and its facts."""
    try:
        return _plain(ask(store))
    except EventStoreError as error:
        return type(error), {name: fact for name, fact in vars(error).items() if name not in but}
