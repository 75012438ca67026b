"""Laws that hold of every store, whatever its history: properties, checked with hypothesis.

::

    @pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
    def test_my_store_keeps_the_law(law):
        hold(law, lambda folder: MyStore(folder / "events"))

``gitstore.testing.sidebyside`` drives two stores with the same steps. Needs the extra ``testing``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.filters import EventFilter
from gitstore.testing.strategies import filters, histories  # first: it says what to install

from hypothesis import given, settings, strategies as st  # isort: skip

OpenAt = Callable[[Path], BaseEventStore]
"""Opens a store in a folder: a durable one has its events when it is opened there again."""

Fresh = Callable[[], AbstractContextManager[BaseEventStore]]
"""An empty store, and its own ``verify`` at the end."""

Law = Callable[[Fresh, st.DataObject], None]
LAWS: dict[str, Law] = {}
"""Each law by its name."""


def hold(law: Law, open_at: OpenAt, how: settings | None = None) -> None:
    """Hold a store to a law; ``how``: hypothesis's settings, such as how many histories to try."""

    @settings(how, deadline=None)
    @given(st.data())
    def held(data: st.DataObject) -> None:
        law(lambda: _fresh(open_at), data)

    held()


@contextmanager
def _fresh(open_at: OpenAt) -> Iterator[BaseEventStore]:
    with tempfile.TemporaryDirectory() as folder:
        with open_at(Path(folder)) as store:
            yield store
            before = list(store.read_all())
            assert store.verify().findings == ()
        if store.capabilities.durable:
            with open_at(Path(folder)) as again:
                assert list(again.read_all()) == before, "opened again it reads other events"


def _law(check: Law) -> Law:
    LAWS[check.__name__] = check
    return check


def in_pieces(data: st.DataObject, events: list[DomainEvent]) -> Iterator[list[DomainEvent]]:
    """The events, cut into batches anywhere."""
    cuts = data.draw(st.sets(st.integers(1, max(len(events) - 1, 1))), "cuts")
    for begin, end in pairwise([0, *sorted(cuts), len(events)]):
        yield events[begin:end]


@_law
def what_is_appended_is_read(fresh: Fresh, data: st.DataObject) -> None:
    """As it was given, at once, with the places that the append returned."""
    history = data.draw(histories, "history")
    with fresh() as store:
        recorded = [store.append(event) for event in history]
        assert list(store.read_all()) == recorded
        for event, there in zip(history, recorded, strict=True):
            assert replace(event, version=there.version).to_json() == there.event.to_json()
            assert store.find_event(event.id or "") == there


@_law
def positions_and_versions_count(fresh: Fresh, data: st.DataObject) -> None:
    """Positions from 1 over the store, versions from 1 in each stream, neither with a gap."""
    history = data.draw(histories, "history")
    with fresh() as store:
        for piece in in_pieces(data, history):
            store.append_many(piece)
        read = list(store.read_all())
        assert [recorded.position for recorded in read] == list(range(1, len(history) + 1))
        assert list(store.streams()) == sorted({event.stream_id for event in history})
        for stream in store.streams():
            own = [recorded for recorded in read if recorded.stream_id == stream]
            assert [recorded.version for recorded in own] == list(range(1, len(own) + 1))
            assert list(store.read_stream(stream)) == own
            assert store.stream_version(stream) == len(own)


@_law
def a_filtered_read_is_a_filtered_list(fresh: Fresh, data: st.DataObject) -> None:
    """The naive filter gives the same; a limit is its beginning, backwards is it turned round."""
    history = data.draw(histories, "history")
    with fresh() as store:
        store.append_many(history)
        wanted, after = data.draw(filters, "filters"), data.draw(st.integers(0, len(history)))
        matches = EventFilter.of(**wanted).matches
        naive = [r for r in store.read_all() if r.position > after and matches(r)]
        limit = data.draw(st.integers(0, len(history)), "limit")
        assert list(store.read_all(after, **wanted)) == naive
        assert list(store.read_all(after, **wanted, limit=limit)) == naive[:limit]
        turned = store.read_all(after, **wanted, limit=limit, backwards=True)
        assert list(turned) == naive[::-1][:limit]


@_law
def pages_make_the_whole(fresh: Fresh, data: st.DataObject) -> None:
    """Reading on after the last event of each page, in the store and in a stream."""
    history = data.draw(histories, "history")
    size = data.draw(st.integers(1, 5), "page")
    with fresh() as store:
        store.append_many(history)
        for stream in (None, *store.streams()):
            whole = list(store.read_stream(stream) if stream else store.read_all())
            paged: list[RecordedEvent] = []
            while len(paged) < len(whole):
                if stream:
                    page = store.read_stream(stream, paged[-1].version if paged else 0, limit=size)
                else:
                    page = store.read_all(paged[-1].position if paged else 0, limit=size)
                given = list(page)
                assert given == whole[len(paged) : len(paged) + size]
                paged += given


@_law
def a_window_is_a_slice_of_the_stream(fresh: Fresh, data: st.DataObject) -> None:
    """``after_version`` exclusive, ``to_version`` inclusive, then the limit from either end."""
    history = data.draw(histories.filter(bool), "history")
    with fresh() as store:
        store.append_many(replace(event, stream_id="task-1") for event in history)
        place = st.integers(0, len(history) + 1)
        after, to, limit = (data.draw(place, name) for name in ("after", "to", "limit"))
        slice_ = [r for r in store.read_stream("task-1") if after < r.version <= to]
        assert list(store.read_stream("task-1", after, to, limit)) == slice_[:limit]
        turned = list(store.read_stream("task-1", after, to, limit, backwards=True))
        assert turned == slice_[::-1][:limit]


@_law
def a_retry_records_nothing(fresh: Fresh, data: st.DataObject) -> None:
    """Appended again, one by one or in the same batches, an event is what is recorded."""
    history = data.draw(histories, "history")
    with fresh() as store:
        pieces = list(in_pieces(data, history))
        recorded = [store.append_many(piece) for piece in pieces]
        assert [store.append_many(piece) for piece in pieces] == recorded
        assert [store.append(event) for event in history] == list(store.read_all())
        assert store.last_position() == len(history)


@_law
def batches_are_singles(fresh: Fresh, data: st.DataObject) -> None:
    """However a history is cut into batches, it is the same history, commit ids and all."""
    history = data.draw(histories, "history")
    with fresh() as one, fresh() as other:
        for event in history:
            one.append(event)
        for piece in in_pieces(data, history):
            other.append_many(piece)
        assert list(one.read_all()) == list(other.read_all())


@_law
def a_copy_says_the_same(fresh: Fresh, data: st.DataObject) -> None:
    """The whole events of one store, appended to another, are its events; once more, nothing."""
    history = data.draw(histories, "history")
    with fresh() as source, fresh() as target:
        source.append_many(history)
        for _ in range(2):
            for recorded in source.read_all():
                assert target.append(recorded.event) == recorded
            assert list(target.read_all()) == list(source.read_all())
